//! Whom one tries to reach.

/// Whom we tried to reach, as whom, and where.
#[derive(Clone, Debug)]
pub struct Target {
    /// host:port
    pub endpoint: String,
    pub user: String,
    pub database: String,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} as {} in the database {}", self.endpoint, self.user, self.database)
    }
}
