//! The sink of dotenv files: `<dir>/<app>.env`, for its owner alone.

use super::env_file::{self, BadLine};
use super::sink::{Sink, Values};
use crate::core::name::AppName;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::Check;
use crate::state::{durable, room};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// Larger ones are no dotenv files.
const LARGEST: u64 = 1 << 20;
const MARKER: &str = ".nornplan";

pub struct Dotenv {
    directory: PathBuf,
    /// The workspace: paths are shown relative to it, and its own mode is never touched.
    root: PathBuf,
}

impl Dotenv {
    pub fn new(directory: PathBuf, root: PathBuf) -> Self {
        Self { directory, root }
    }

    fn file(&self, app: &AppName) -> PathBuf {
        self.directory.join(format!("{app}.env"))
    }

    fn stage_file(&self, app: &AppName) -> PathBuf {
        self.directory.join(format!(".{app}.env.staged"))
    }

    /// Makes the directory, and closes it to others unless it is the workspace itself.
    fn prepare(&self) -> Result<()> {
        not_behind_a_broken_link(&self.directory)?;
        let prepared = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.directory).and_then(|()| {
            let open = mode(&self.directory)? & 0o077 != 0;
            if open && !self.root.starts_with(&self.directory) {
                fs::set_permissions(&self.directory, Permissions::from_mode(DIRECTORY_MODE))?;
            }
            Ok(())
        });
        prepared.map_err(|error| cannot("make the directory of secrets", &self.directory, error))
    }

    fn write(&self, path: &Path, text: &str) -> Result<()> {
        self.prepare()?;
        durable::replace_unsynced(path, text.as_bytes(), FILE_MODE).map_err(|error| cannot("write", path, error))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        durable::remove_unsynced(path).map(drop).map_err(|error| cannot("remove", path, error))
    }

    fn shown(&self) -> String {
        let short = self.directory.strip_prefix(&self.root).unwrap_or(&self.directory);
        format!("{}/", short.display())
    }
}

impl Sink for Dotenv {
    fn describe(&self) -> String {
        format!("dotenv {}", self.shown())
    }

    fn read(&self, app: &AppName) -> Result<Option<Values>> {
        let path = self.file(app);
        text_of(&path)?.map(|text| values_of(&path, &text)).transpose()
    }

    fn staged(&self, app: &AppName) -> Result<Values> {
        let path = self.stage_file(app);
        text_of(&path)?.map_or_else(|| Ok(Values::new()), |text| values_of(&path, &text))
    }

    fn staged_apps(&self) -> Result<Vec<AppName>> {
        let names = staged_apps(&self.directory).into_iter();
        Ok(names.filter_map(|name| AppName::new(name).ok()).collect())
    }

    fn stage(&self, app: &AppName, values: &Values) -> Result<()> {
        let path = self.stage_file(app);
        if values.is_empty() {
            return self.remove(&path);
        }
        let set = values.iter().map(|(name, value)| (name.clone(), value.expose())).collect();
        let text = env_file::edit("", &set, &BTreeSet::new()).map_err(|line| unreadable(&path, line))?;
        self.write(&path, &text.unwrap_or_default())
    }

    fn promote(&self, app: &AppName, set: &Values, remove: &BTreeSet<String>) -> Result<()> {
        let path = self.file(app);
        let before = text_of(&path)?.unwrap_or_default();
        let set: BTreeMap<String, &str> = set.iter().map(|(name, value)| (name.clone(), value.expose())).collect();
        match env_file::edit(&before, &set, remove).map_err(|line| unreadable(&path, line))? {
            Some(text) => self.write(&path, &text),
            None => self.remove(&path),
        }
    }

    fn prove(&self, apps: usize) -> Result<()> {
        /// The stage, the old file and the new one, each of a few blocks.
        const PER_APP: u64 = 16 << 10;
        self.prepare()?;
        let bytes = PER_APP.saturating_mul(u64::try_from(apps).unwrap_or(u64::MAX));
        let failed = |error| cannot("write the directory of secrets", &self.directory, error);
        room::prove(&self.directory, bytes).map_err(failed)
    }

    fn settle(&self) -> Result<()> {
        // Where nothing was ever written, there may be no directory.
        match durable::sync_directory(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("settle", &self.directory, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn marker(&self) -> Result<Option<String>> {
        let text = text_of(&self.directory.join(MARKER))?;
        Ok(text.map(|text| text.trim().to_owned()).filter(|lineage| !lineage.is_empty()))
    }

    fn mark(&self, lineage: &str) -> Result<()> {
        self.write(&self.directory.join(MARKER), &format!("{lineage}\n"))?;
        self.settle()
    }

    fn tidy(&self) -> Result<()> {
        durable::tidy(&self.directory, |_| true).map_err(|error| cannot("tidy", &self.directory, error))
    }

    fn examine(&self) -> Vec<Check> {
        let here = self.shown();
        if !self.directory.exists() {
            return vec![Check::good(format!("{here} is not there yet; the first apply makes it"))];
        }
        let mut checks = vec![match room::prove(&self.directory, 0) {
            Ok(()) => Check::good(format!("{here} can be written")),
            Err(error) => Check::bad(
                format!("{here} cannot be written: {error}"),
                "give your user the right to write it, or name another directory by secrets.dir",
            ),
        }];
        let open = open_to_others(&self.directory);
        if !open.is_empty() {
            let list: Vec<String> = open.iter().map(|path| path.display().to_string()).collect();
            let hint = format!("chmod go= {}", list.join(" "));
            checks.push(Check::warning(format!("others may read {}", list.join(", ")), hint));
        }
        let staged = staged_apps(&self.directory);
        if !staged.is_empty() {
            let what = format!("passwords are staged for {}: a run did not finish, or is under way", staged.join(", "));
            checks.push(Check::warning(what, "the next `nornplan apply` sets and publishes them"));
        }
        match self.marker() {
            Ok(Some(lineage)) => {
                checks.push(Check::good(format!("{here} belongs to the state {lineage}")));
            }
            Ok(None) => {}
            Err(error) => checks.push(Check::failed(&error)),
        }
        checks
    }
}

/// The directory, or else the secret files in it, that someone else may read.
fn open_to_others(directory: &Path) -> Vec<PathBuf> {
    let open = |path: &Path| mode(path).is_ok_and(|mode| mode & 0o077 != 0);
    if !open(directory) {
        return Vec::new();
    }
    let secret = |name: &String| name.ends_with(".env") || name.ends_with(".env.staged");
    let files = names(directory).into_iter().filter(secret).map(|name| directory.join(name));
    [directory.to_owned()].into_iter().chain(files.filter(|path| open(path))).collect()
}

/// Apps with a stage.
fn staged_apps(directory: &Path) -> Vec<String> {
    let app = |name: String| Some(name.strip_prefix('.')?.strip_suffix(".env.staged")?.to_owned());
    names(directory).into_iter().filter_map(app).collect()
}

/// What is in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode())
}

/// The text of a file; `None` if there is none. Symbolic links are refused: what they lead to may be open to others,
/// and an atomic write would put a file in the link's place.
fn text_of(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return not_behind_a_broken_link(path).map(|()| None),
        Err(error) => return Err(cannot("read", path, error)),
    };
    let refuse = |what: &str| {
        Diagnostic::new(Kind::Secrets, what)
            .in_file(path)
            .hint("secrets are kept only in regular files; move it away, or name another directory by secrets.dir")
    };
    if meta.is_symlink() {
        return Err(refuse("it is a symbolic link"));
    }
    if !meta.is_file() {
        return Err(refuse("it is not a regular file"));
    }
    if meta.len() > LARGEST {
        return Err(refuse("it is larger than 1 MiB, which no dotenv file is"));
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(|error| cannot("read", path, error))?);
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(Zeroizing::new(text.to_owned()))),
        Err(_) => Err(refuse("it is not text in UTF-8")),
    }
}

/// What cannot be seen, as on a disk that is not mounted, is not taken for secrets that are not there.
fn not_behind_a_broken_link(path: &Path) -> Result<()> {
    let Some(link) = room::broken_link(path).map_err(|error| cannot("find", path, error))? else { return Ok(()) };
    Err(Diagnostic::new(Kind::Secrets, "it is a symbolic link that leads to nothing")
        .in_file(link)
        .hint("mount or make what it leads to, or name another directory by secrets.dir. Nothing was written"))
}

fn values_of(path: &Path, text: &str) -> Result<Values> {
    let values = env_file::parse(text).map_err(|line| unreadable(path, line))?;
    Ok(values.into_iter().map(|(name, value)| (name, Secret::new(value.to_string()))).collect())
}

fn unreadable(path: &Path, BadLine(line): BadLine) -> Diagnostic {
    Diagnostic::new(Kind::Secrets, format!("line {line} is no NAME=value, or its quotes do not match"))
        .in_file(path)
        .hint("correct the line (it is not shown here, for there may be a secret in it), or move the file away")
}

fn cannot(what: &str, path: &Path, error: io::Error) -> Diagnostic {
    Diagnostic::new(Kind::Secrets, format!("cannot {what}"))
        .in_file(path)
        .hint("see to it that your user may read and write it, and that the disk is not full")
        .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Verdict;

    fn sink(temporary: &tempfile::TempDir) -> Dotenv {
        Dotenv::new(temporary.path().join("secrets/prod"), temporary.path().to_owned())
    }

    fn app() -> AppName {
        AppName::new("cafe").unwrap()
    }

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect()
    }

    #[test]
    fn only_the_owner_can_read_what_it_writes() {
        let temporary = tempfile::tempdir().unwrap();
        let sink = sink(&temporary);
        sink.promote(&app(), &values(&[("A", "1")]), &BTreeSet::new()).unwrap();
        sink.stage(&app(), &values(&[("KAFKA_PASSWORD", "x")])).unwrap();
        sink.mark("lineage").unwrap();
        for file in ["cafe.env", ".cafe.env.staged", ".nornplan"] {
            assert_eq!(mode(&sink.directory.join(file)).unwrap() & 0o777, 0o600, "{file}");
        }
        assert_eq!(mode(&sink.directory).unwrap() & 0o777, 0o700);
        assert_eq!(mode(&temporary.path().join("secrets")).unwrap() & 0o777, 0o700);
        assert_eq!(sink.marker().unwrap().as_deref(), Some("lineage"));
        assert_eq!(sink.describe(), "dotenv secrets/prod/");
        let warnings: Vec<_> = sink.examine().into_iter().filter(|check| check.verdict != Verdict::Good).collect();
        assert!(warnings.len() == 1 && warnings[0].what.starts_with("passwords are staged for cafe:"), "{warnings:?}");
        sink.stage(&app(), &Values::new()).unwrap();
        assert!(sink.examine().iter().all(|check| check.verdict == Verdict::Good));
    }

    #[test]
    fn wrong_modes_are_named_and_tightened_by_the_next_write() {
        let temporary = tempfile::tempdir().unwrap();
        let sink = sink(&temporary);
        sink.promote(&app(), &values(&[("A", "1")]), &BTreeSet::new()).unwrap();
        fs::set_permissions(sink.file(&app()), Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&sink.directory, Permissions::from_mode(0o755)).unwrap();
        assert!(sink.examine().iter().any(|check| check.verdict == Verdict::Warning));
        sink.promote(&app(), &values(&[("A", "2")]), &BTreeSet::new()).unwrap();
        assert_eq!(mode(&sink.file(&app())).unwrap() & 0o777, 0o600);
        assert_eq!(mode(&sink.directory).unwrap() & 0o777, 0o700);
    }

    #[test]
    fn the_workspace_itself_keeps_its_mode() {
        let temporary = tempfile::tempdir().unwrap();
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o755)).unwrap();
        let sink = Dotenv::new(temporary.path().to_owned(), temporary.path().to_owned());
        sink.mark("lineage").unwrap();
        assert_eq!(mode(temporary.path()).unwrap() & 0o777, 0o755);
    }

    #[test]
    fn links_pipes_and_nonsense_are_errors_that_show_no_content() {
        let temporary = tempfile::tempdir().unwrap();
        let sink = sink(&temporary);
        sink.prepare().unwrap();
        fs::write(temporary.path().join("elsewhere"), "A=1\n").unwrap();
        std::os::unix::fs::symlink(temporary.path().join("elsewhere"), sink.file(&app())).unwrap();
        assert_eq!(sink.read(&app()).unwrap_err().message, "it is a symbolic link");
        assert!(sink.promote(&app(), &values(&[("A", "2")]), &BTreeSet::new()).is_err());
        assert_eq!(fs::read_to_string(temporary.path().join("elsewhere")).unwrap(), "A=1\n");
        fs::remove_file(sink.file(&app())).unwrap();
        fs::create_dir(sink.file(&app())).unwrap();
        assert_eq!(sink.read(&app()).unwrap_err().message, "it is not a regular file");
        fs::remove_dir(sink.file(&app())).unwrap();
        fs::write(sink.file(&app()), "A=1\ncanary without a name\n").unwrap();
        let error = sink.read(&app()).unwrap_err();
        assert!(error.to_string().contains("line 2") && !error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn what_a_killed_run_left_half_written_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let sink = sink(&temporary);
        sink.tidy().unwrap();
        sink.mark("lineage").unwrap();
        fs::write(sink.directory.join(".nornplan-.a.env.staged-Ab12.tmp"), "KAFKA_PASSWORD=x").unwrap();
        sink.tidy().unwrap();
        assert!(!sink.directory.join(".nornplan-.a.env.staged-Ab12.tmp").exists());
        assert_eq!(sink.marker().unwrap().as_deref(), Some("lineage"));
    }

    #[test]
    fn an_empty_stage_and_an_emptied_file_are_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let sink = sink(&temporary);
        sink.stage(&app(), &values(&[("KAFKA_PASSWORD", "x")])).unwrap();
        assert_eq!(sink.staged(&app()).unwrap().len(), 1);
        sink.stage(&app(), &Values::new()).unwrap();
        assert!(!sink.stage_file(&app()).exists());
        sink.promote(&app(), &values(&[("A", "1")]), &BTreeSet::new()).unwrap();
        sink.promote(&app(), &Values::new(), &BTreeSet::from(["A".to_owned()])).unwrap();
        assert!(sink.read(&app()).unwrap().is_none());
    }
}
