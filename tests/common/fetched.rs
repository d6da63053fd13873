//! What the package managers' own clients fetch for tests, once.

use super::root;
use std::process::Command;

/// Where a function of `infra/native/fetch.sh` has put what it fetches, if all programs are there that it needs; else why
/// there is nothing.
pub fn fetched(programs: &str, function: &str) -> Result<String, String> {
    let script = format!(
        "for program in {programs}; do\n\
         command -v $program >/dev/null || {{ echo \"there is no $program here\" >&2; exit 1; }}\n\
         done; . infra/common.sh; . infra/native/fetch.sh; {function}"
    );
    let said = Command::new("bash").args(["-euc", &script]).current_dir(root()).output().expect("bash runs");
    let path = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if said.status.success() && !path.is_empty() {
        return Ok(path);
    }
    Err(format!("nothing of {function}: {}", String::from_utf8_lossy(&said.stderr).trim()))
}
