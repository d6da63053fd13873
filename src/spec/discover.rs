//! Which files are infraspecs: `*.toml` directly in each specs directory, `infraspec.{toml,yaml,yml}` at any depth.

use crate::config::Config;
use crate::error::{Diagnostic, Kind};
use ignore::overrides::{Override, OverrideBuilder};
use ignore::{DirEntry, WalkBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folders that never hold infraspecs of ours, whether git ignores them or not.
const PASSED_BY: [&str; 3] = ["node_modules", "target", "vendor"];
const WORKSPACE_FILE: &str = "nornplan.toml";
const STEM: &str = "infraspec";

/// An infraspec and the overlay files that lie beside it, by environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub base: PathBuf,
    pub overlays: BTreeMap<String, PathBuf>,
}

/// What was found, and what was passed by although it looks like an infraspec.
#[derive(Debug, Default)]
pub struct Discovery {
    pub found: Vec<Found>,
    pub notes: Vec<String>,
}

/// Finds the infraspecs of all specs directories, each once, in order of their paths.
///
/// # Errors
/// Pushed onto `errors`: a directory that is missing, empty or unreadable (also one inside it), a loop of symbolic
/// links, an overlay file without its base, two infraspecs in one folder.
pub fn discover(config: &Config, errors: &mut Vec<Diagnostic>) -> Discovery {
    let (mut found, mut notes) = (BTreeSet::new(), Vec::new());
    for root in &config.specs {
        let shown = root.strip_prefix(&config.root).unwrap_or(root);
        let before = errors.len();
        let files = match std::fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => walk(config, root, errors, &mut notes),
            Ok(_) => explicit(root, shown, errors),
            Err(error) => {
                let hint = "specs = ... in nornplan.toml (or NORNPLAN_SPECS) says where infraspecs are; \
                            `nornplan init` writes a workspace file and a first infraspec";
                let missing = Diagnostic::new(Kind::Spec, "no infraspecs can be read here").in_file(shown);
                errors.push(missing.because(error).hint(hint));
                continue;
            }
        };
        let grouped = group(config, files, errors);
        if grouped.is_empty() && errors.len() == before {
            let hint = "put NAME.toml or NAME/infraspec.yaml into it; to remove everything there is `nornplan destroy`, \
                        never an empty directory";
            errors
                .push(Diagnostic::new(Kind::Spec, "there is no infraspec in this directory").in_file(shown).hint(hint));
        }
        found.extend(grouped);
    }
    Discovery { found: once(found), notes }
}

/// The same file by another path (a link, overlapping directories) is one infraspec.
fn once(found: BTreeSet<Found>) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    found.into_iter().filter(|file| seen.insert(real(&file.base))).collect()
}

/// A specs path that is itself a file: it alone, with the overlays beside it.
fn explicit(file: &Path, shown: &Path, errors: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    if !has_extension(file, &["toml", "yaml", "yml"]) || named(file, WORKSPACE_FILE) {
        let hint = if named(file, WORKSPACE_FILE) {
            "this is the workspace file; name an infraspec, or a directory of them"
        } else {
            "an infraspec is a .toml, .yaml or .yml file"
        };
        errors.push(Diagnostic::new(Kind::Spec, "is no infraspec").in_file(shown).hint(hint));
        return Vec::new();
    }
    let beside = file.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    let others = beside.into_iter().flatten().flatten().map(|entry| entry.path());
    let belongs = |path: &PathBuf| overlay_of(path).is_some_and(|(stem, _)| stem_of(file) == Some(stem));
    let mut files: Vec<PathBuf> = others.filter(belongs).collect();
    files.push(file.to_path_buf());
    files
}

fn walk(config: &Config, root: &Path, errors: &mut Vec<Diagnostic>, notes: &mut Vec<String>) -> Vec<PathBuf> {
    let exclude = match excluded(config, root) {
        Ok(exclude) => exclude,
        Err(error) => {
            errors.push(error);
            return Vec::new();
        }
    };
    let walker = WalkBuilder::new(root)
        .follow_links(true)
        .require_git(false)
        .ignore(false)
        .overrides(exclude)
        .sort_by_file_name(Ord::cmp)
        .build();
    let mut files = Vec::new();
    for entry in walker {
        match entry {
            Ok(entry) if is_infraspec(&entry) => files.push(entry.into_path()),
            Ok(entry) if entry.depth() == 1 && has_extension(entry.path(), &["yaml", "yml"]) => {
                let shown = entry.path().strip_prefix(&config.root).unwrap_or(entry.path()).display();
                notes.push(format!("{shown} is not read: an infraspec in YAML is called infraspec.yaml"));
            }
            Ok(_) => {}
            Err(error) => match unreadable(config, error) {
                Unreadable::Spec(path) => files.push(path),
                Unreadable::Harmless => {}
                Unreadable::Wrong(error) => errors.push(error),
            },
        }
    }
    files
}

/// `exclude` and the folders that are always passed by, as git-ignore patterns.
fn excluded(config: &Config, root: &Path) -> Result<Override, Diagnostic> {
    let mut builder = OverrideBuilder::new(root);
    let wrong = |pattern: &str, error: ignore::Error| {
        Diagnostic::new(Kind::Config, format!("exclude = [{pattern:?}] is no pattern"))
            .because(error)
            .hint("patterns are written as in .gitignore, such as \"drafts/\"")
    };
    for folder in PASSED_BY {
        builder.add(&format!("!{folder}/")).map_err(|error| wrong(folder, error))?;
    }
    for pattern in &config.exclude {
        builder.add(&format!("!{pattern}")).map_err(|error| wrong(pattern, error))?;
    }
    builder.build().map_err(|error| wrong(&config.exclude.join(", "), error))
}

/// Directories that are named like an infraspec are told too: reading them says what is wrong.
fn is_infraspec(entry: &DirEntry) -> bool {
    entry.depth() > 0 && is_infraspec_name(entry.path(), entry.depth() == 1)
}

fn is_infraspec_name(path: &Path, top: bool) -> bool {
    let stem = stem_of(path).unwrap_or_default();
    let whole = stem == STEM || stem.strip_prefix(STEM).is_some_and(|rest| rest.starts_with('.'));
    let notation = has_extension(path, &["toml", "yaml", "yml"]);
    (whole && notation) || (top && has_extension(path, &["toml"]) && !named(path, WORKSPACE_FILE))
}

enum Unreadable {
    /// A broken link or the like that is named as an infraspec is: reading it says what is wrong.
    Spec(PathBuf),
    /// Nothing that could hide an infraspec.
    Harmless,
    Wrong(Diagnostic),
}

fn unreadable(config: &Config, error: ignore::Error) -> Unreadable {
    let (path, looped) = place_of(&error);
    // The walk's own errors have lost the operating system's number.
    let again = path.as_ref().and_then(|path| std::fs::metadata(path).err());
    let dangling = again.as_ref().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let looped = looped || again.and_then(|error| error.raw_os_error()) == Some(libc::ELOOP);
    if let Some(path) = &path {
        let top = config.specs.iter().any(|root| path.parent() == Some(root.as_path()));
        if is_infraspec_name(path, top) {
            return Unreadable::Spec(path.clone());
        }
        if dangling {
            return Unreadable::Harmless;
        }
    }
    let what = if looped { "is a loop of symbolic links" } else { "cannot be read, so an infraspec could be missed" };
    let hint = "repair or remove it, or pass it by with exclude = [...] in nornplan.toml";
    let mut diagnostic = Diagnostic::new(Kind::Spec, what).hint(hint);
    if let Some(path) = path {
        diagnostic = diagnostic.in_file(path.strip_prefix(&config.root).unwrap_or(&path));
    }
    if !looped {
        diagnostic = diagnostic.because(error);
    }
    Unreadable::Wrong(diagnostic)
}

/// The path that an error of the walk is about, and whether it is a loop.
fn place_of(error: &ignore::Error) -> (Option<PathBuf>, bool) {
    if let ignore::Error::Loop { child, .. } = error {
        return (Some(child.clone()), true);
    }
    if let ignore::Error::WithPath { path, err } = error {
        let (inner, looped) = place_of(err);
        return (inner.or_else(|| Some(path.clone())), looped);
    }
    if let ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } = error {
        return place_of(err);
    }
    (None, false)
}

/// Ties overlay files to their bases.
fn group(config: &Config, files: Vec<PathBuf>, errors: &mut Vec<Diagnostic>) -> Vec<Found> {
    let shown = |path: &Path| path.strip_prefix(&config.root).unwrap_or(path).to_path_buf();
    let (overlays, bases): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| overlay_of(path).is_some());
    let mut found: BTreeMap<(PathBuf, String), Found> = BTreeMap::new();
    let place = |path: &Path, stem: &str| (path.parent().map(Path::to_path_buf).unwrap_or_default(), stem.to_owned());
    for base in bases {
        let key = place(&base, stem_of(&base).unwrap_or_default());
        if let Some(other) = found.get(&key) {
            let name = other.base.file_name().unwrap_or_default().display();
            let message = format!("stands beside {name}: which of them is meant?");
            errors.push(Diagnostic::new(Kind::Spec, message).in_file(shown(&base)).hint("remove one of them"));
            continue;
        }
        found.insert(key, Found { base, overlays: BTreeMap::new() });
    }
    for path in overlays {
        let Some((stem, environment)) = overlay_of(&path) else { continue };
        let wrong =
            |message: String, hint: String| Diagnostic::new(Kind::Spec, message).in_file(shown(&path)).hint(hint);
        let Some(base) = found.get_mut(&place(&path, stem)) else {
            let hint = format!("put {stem}.toml beside it; or is this an app? Its file name has no dot but the last");
            errors.push(wrong(format!("is an overlay for {environment}, and what it lies over is not there"), hint));
            continue;
        };
        if let Some(other) = base.overlays.get(environment) {
            let name = other.file_name().unwrap_or_default().display();
            errors
                .push(wrong(format!("stands beside {name}: which of them is meant?"), "remove one of them".to_owned()));
            continue;
        }
        base.overlays.insert(environment.to_owned(), path.clone());
    }
    found.into_values().collect()
}

/// `cafe.prod.toml` lies over `cafe` for `prod`.
fn overlay_of(path: &Path) -> Option<(&str, &str)> {
    stem_of(path).filter(|_| has_extension(path, &["toml", "yaml", "yml"]))?.rsplit_once('.')
}

fn stem_of(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| extensions.contains(&extension))
}

fn named(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|file| file == name)
}
