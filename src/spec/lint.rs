//! What an infraspec allows that may not be meant: said in every plan.

use crate::core::name::AppName;
use crate::core::plan::Level;
use crate::error::Diagnostic;
use crate::services::ServiceId;
use crate::spec::model::Warning;
use crate::spec::source::Spot;

/// One such thing.
pub struct Lint {
    pub service: ServiceId,
    pub app: AppName,
    pub spot: Spot,
    pub text: String,
    /// What would do without it.
    pub hint: String,
    /// [`Level::Alarm`] where the app could take or destroy what others have; the worst come first.
    pub level: Level,
}

impl Lint {
    pub fn into_error(self) -> Diagnostic {
        self.spot.error(self.text).hint(self.hint)
    }

    /// With a sentence that names the place.
    pub fn as_warning(&self) -> Warning {
        let text = format!("{}: {}; {}", self.spot, self.text, self.hint);
        Warning { service: self.service, level: self.level, app: self.app.clone(), text }
    }
}
