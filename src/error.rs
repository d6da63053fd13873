//! One diagnostic type for everything that can go wrong, and the one place where exit codes are decided.

use std::fmt;
use std::path::PathBuf;

/// The result of anything that can fail in front of a user.
pub type Result<T, E = Diagnostic> = std::result::Result<T, E>;

/// What sort of failure this is. A run that ends with one is [`Exit::Failed`], whatever its sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Arguments that cannot be carried out together.
    Usage,
    /// An infraspec is wrong.
    Spec,
    /// The workspace file or the environment is wrong.
    Config,
    /// A service could not be reached, read or written.
    Service,
    /// The state or its lock.
    State,
    /// The sink of secrets.
    Secrets,
    /// A plan that cannot be made or carried out.
    Plan,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A point in a text file. `line` and `column` count from 1; `text` is the line itself.
    Text { file: PathBuf, line: usize, column: usize, text: String },
    /// A whole file or directory.
    File(PathBuf),
    /// An object on a service, and the statement or call that failed (never with a secret in it).
    Server { service: String, object: String, statement: String },
}

/// Something that is wrong, where, and what to do next.
#[derive(Debug)]
pub struct Diagnostic {
    pub kind: Kind,
    /// What is wrong, in one line, in lower case, with no full stop.
    pub message: String,
    pub place: Option<Place>,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether it may pass by itself: the service cannot be reached, or is still starting.
    pub may_pass: bool,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Diagnostic {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None, hint: None, may_pass: false, source: None }
    }

    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Names a whole file as the place.
    #[must_use]
    pub fn in_file(self, file: impl Into<PathBuf>) -> Self {
        self.at(Place::File(file.into()))
    }

    /// Names an object on a service as the place.
    #[must_use]
    pub fn on(self, service: impl fmt::Display, object: impl fmt::Display, statement: impl Into<String>) -> Self {
        self.at(Place::Server { service: service.to_string(), object: object.to_string(), statement: statement.into() })
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says whether waiting may help.
    #[must_use]
    pub fn may_pass(mut self, may_pass: bool) -> Self {
        self.may_pass = may_pass;
        self
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same for another step; what led to it as far as its text tells.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.message.clone(),
            place: self.place.clone(),
            hint: self.hint.clone(),
            may_pass: self.may_pass,
            source: self.source.as_ref().map(|source| source.to_string().into()),
        }
    }

    /// What led to it, the nearest first, without what the message says already.
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut cause = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !causes.last().unwrap_or(&self.message).contains(&text) {
                causes.push(text);
            }
            cause = error.source();
        }
        causes
    }
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: message`, the line itself, the causes, the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(Place::Text { file, line, column, .. }) => {
                write!(f, "{}:{line}:{column}: {}", file.display(), self.message)?;
            }
            Some(Place::File(file)) => write!(f, "{}: {}", file.display(), self.message)?,
            Some(Place::Server { service, object, .. }) if object.is_empty() => {
                write!(f, "{service}: {}", self.message)?;
            }
            Some(Place::Server { service, object, .. }) => write!(f, "{service}: {object}: {}", self.message)?,
            None => write!(f, "{}", self.message)?,
        }
        match &self.place {
            Some(Place::Text { line, column, text, .. }) => {
                let number = line.to_string();
                let margin = " ".repeat(number.len());
                let (shown, indent) = excerpt(text, *column);
                write!(f, "\n  {number} | {shown}")?;
                if let Some(indent) = indent {
                    write!(f, "\n  {margin} | {}^", " ".repeat(indent))?;
                }
            }
            Some(Place::Server { statement, .. }) if !statement.is_empty() => {
                write!(f, "\n  while: {statement}")?;
            }
            Some(Place::Server { .. } | Place::File(_)) | None => {}
        }
        for cause in self.causes() {
            write!(f, "\n  caused by: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  help: {hint}")?;
        }
        Ok(())
    }
}

/// The part of a line that is shown, and how far in it the column is: very long lines are kept only in part.
fn excerpt(line: &str, column: usize) -> (String, Option<usize>) {
    const WIDEST: usize = 160;
    const BEFORE: usize = 100;
    let (at, length) = (column.saturating_sub(1), line.chars().count());
    if at < WIDEST || at > length {
        let cut = if length > WIDEST { "…" } else { "" };
        let shown: String = line.chars().take(WIDEST).collect();
        return (shown + cut, Some(at).filter(|at| *at <= WIDEST));
    }
    let shown: String = line.chars().skip(at - BEFORE).take(WIDEST).collect();
    (format!("…{shown}"), Some(BEFORE + 1))
}

impl std::error::Error for Diagnostic {}

/// Sorts errors by their places, and leaves out repetitions.
pub fn in_order(mut errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let key = |error: &Diagnostic| {
        let (file, line, column) = match &error.place {
            Some(Place::Text { file, line, column, .. }) => (file.clone(), *line, *column),
            Some(Place::File(file)) => (file.clone(), 0, 0),
            Some(Place::Server { .. }) | None => (PathBuf::new(), 0, 0),
        };
        (file, line, column, error.message.clone())
    };
    errors.sort_by_cached_key(key);
    errors.dedup_by(|one, other| one.place == other.place && one.message == other.message);
    errors
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    /// Changes or drift, where the user asked to be told by the exit code.
    Differs,
    /// By a signal (its number).
    Interrupted(i32),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Differs => 2,
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(1),
        }
    }
}
