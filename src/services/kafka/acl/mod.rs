//! What ACLs come to: whom the broker lets do what, and who else reaches what apps have. All of it is pure.

pub mod authorizer;
pub mod lockout;
pub mod places;
pub mod standing;
pub mod strangers;
