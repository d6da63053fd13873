//! Where a node of this machine saves its users, and whether it can, as far as the system tells that without harm: only
//! saving proves it, and saves what other people have changed, so that it is left to an apply.

use crate::services::valkey::node::Node;
use crate::services::valkey::presets::{Persistence, Server};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Larger files, in bytes, are not looked into: 10,000 users take 20 MB.
const LARGEST: u64 = 256 << 20;

/// The kernel keeps so much of a process' name.
const COMM: usize = 15;

/// The capability of root to write whatever the permissions say (`CAP_DAC_OVERRIDE`), as a bit.
const WRITES_ANYWHERE: u64 = 1 << 1;

/// To make and rename files in a directory: write and search.
const MAKES_FILES: u32 = 0o3;

const STICKY: u32 = 0o1000;

/// The file of a node that runs on this machine.
pub struct UserFile {
    /// As the server knows it.
    pub path: PathBuf,
    /// What is in it; `None` if there is no such file, or we may not read it.
    pub text: Option<String>,
    /// A server whose file is gone does not start again.
    pub missing: bool,
    /// Why the server cannot save there, and what to do.
    pub obstacle: Option<Obstacle>,
}

/// Why a server cannot save, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub why: String,
    pub next: &'static str,
}

/// A server's process on this machine.
struct Process {
    id: u32,
    /// Where it sees its files from: empty, or its own root.
    root: PathBuf,
    user: User,
    /// `/proc/<id>/mountinfo`
    mounts: String,
}

/// Whom a process opens files as.
#[derive(Debug, Default, PartialEq, Eq)]
struct User {
    id: u32,
    groups: BTreeSet<u32>,
    writes_anywhere: bool,
}

/// What the system says of a file or directory.
#[derive(Clone, Copy)]
struct Entry {
    is_directory: bool,
    mode: u32,
    user: u32,
    group: u32,
}

/// The file that a node saves its users in. A path alone says little: it may be one of another machine, or inside of a
/// container. So the node must be reached on this machine, and be a process of it; else there is nothing to see.
pub async fn user_file(node: &Node, server: &Server) -> Option<UserFile> {
    let path = match server.persistence() {
        Persistence::AclFile => server.aclfile.as_deref()?,
        Persistence::ConfigFile => server.config_file.as_deref()?,
        Persistence::Volatile | Persistence::Unknown => return None,
    };
    if !is_local(&node.name) {
        return None;
    }
    let info = node.call(&["INFO", "server"], "INFO server").await.ok()?;
    let info = info.as_str_lossy()?.into_owned();
    let path = PathBuf::from(path);
    // A disk may be slow to answer.
    tokio::task::spawn_blocking(move || look(&info, path)).await.ok()?
}

fn look(info: &str, path: PathBuf) -> Option<UserFile> {
    let process = Process::of(info)?;
    // What is relative is so to where the server keeps its data.
    let path = if path.is_absolute() { path } else { std::fs::read_link(process.file("cwd")).ok()?.join(path) };
    let seen = process.sees(&path);
    let directory = entry(process.sees(path.parent()?).as_path());
    let file = entry(&seen);
    Some(UserFile {
        text: is_readable(&seen).then(|| std::fs::read_to_string(&seen).ok()).flatten(),
        missing: file.is_none(),
        obstacle: obstacle(&path, file, directory, &process.user, &process.mounts),
        path,
    })
}

/// A pipe would be waited for, and a device has no end.
fn is_readable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() <= LARGEST)
}

/// Whether an address is one that only leads to this machine: of loopback, or a socket.
fn is_local(node: &str) -> bool {
    let host = node.rsplit_once(':').map_or(node, |(host, _)| host).trim_matches(['[', ']']);
    let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
    node.starts_with('/') || host == "localhost" || host.parse().is_ok_and(is_loopback)
}

impl Process {
    /// The process of the number that a server gives as its own, if it runs the same program here. In a container, the
    /// numbers are others.
    fn of(info: &str) -> Option<Self> {
        let fact = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let program = Path::new(fact("executable")?).file_name()?.to_str()?;
        let id: u32 = fact("process_id")?.parse().ok()?;
        let mut process = Self { id, root: PathBuf::new(), user: User::default(), mounts: String::new() };
        let comm = process.read("comm")?;
        if comm.trim_end() != program.get(..COMM).unwrap_or(program) {
            return None;
        }
        process.user = User::of(&process.read("status")?)?;
        process.mounts = process.read("mountinfo")?;
        let ours = Path::new("/proc/self/");
        if process.mounts != std::fs::read_to_string(ours.join("mountinfo")).ok()? {
            // It sees other files than we do: through its own root, if we may.
            process.root = process.file("root");
            std::fs::read_link(&process.root).ok()?;
        }
        Some(process)
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.id))
    }

    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.file(name)).ok()
    }

    /// A path of its own, as we reach it.
    fn sees(&self, path: &Path) -> PathBuf {
        if self.root.as_os_str().is_empty() {
            return path.to_owned();
        }
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl User {
    /// Reads `/proc/<id>/status`.
    fn of(status: &str) -> Option<Self> {
        let words = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        };
        // Real, effective, saved, and that of files.
        let of_files = |name: &str| words(name)?.get(3)?.parse::<u32>().ok();
        let more = words("Groups").unwrap_or_default().into_iter().filter_map(|group| group.parse().ok());
        let capabilities = u64::from_str_radix(words("CapEff")?.first()?, 16).ok()?;
        Some(Self {
            id: of_files("Uid")?,
            groups: more.chain([of_files("Gid")?]).collect(),
            writes_anywhere: capabilities & WRITES_ANYWHERE != 0,
        })
    }

    /// Whether it may make files in a directory. `None` where lists of further permissions may decide, which are not read:
    /// the bits of the group are their most.
    fn makes_files_in(&self, directory: Entry) -> Option<bool> {
        let has = |shift: u32| (directory.mode >> shift) & MAKES_FILES == MAKES_FILES;
        match () {
            () if self.writes_anywhere => Some(true),
            () if self.id == directory.user => Some(has(6)),
            () if has(0) => Some(true),
            () if self.groups.contains(&directory.group) => Some(has(3)),
            () if has(3) => None,
            () => Some(false),
        }
    }
}

fn entry(path: &Path) -> Option<Entry> {
    let data = std::fs::metadata(path).ok()?;
    Some(Entry { is_directory: data.is_dir(), mode: data.mode(), user: data.uid(), group: data.gid() })
}

/// Why a server cannot put a new file in the place of one: it makes it beside the old one and renames it.
fn obstacle(path: &Path, file: Option<Entry>, directory: Option<Entry>, user: &User, mounts: &str) -> Option<Obstacle> {
    let shown = path.parent().unwrap_or(path).display();
    let because = |why: String, next: &'static str| Some(Obstacle { why, next });
    let Some(there) = directory.filter(|directory| directory.is_directory) else {
        return because(format!("there is no directory {shown}"), "make it, and let the server's user write there");
    };
    if file.is_some_and(|file| file.is_directory) {
        return because("there is a directory of that name".to_owned(), "remove it");
    }
    if mount_of(mounts, path).is_some_and(|mount| mount.point == path) {
        let why = "the file is mounted alone, and cannot be replaced (\"Resource busy\")".to_owned();
        return because(why, "mount its directory in its place");
    }
    if mount_of(mounts, path).is_some_and(|mount| mount.is_read_only) {
        return because(
            format!("{shown} is mounted read-only"),
            "mount it for writing (with systemd: ReadWritePaths=)",
        );
    }
    let next = "let the server's user make and rename files in that directory (chown, chmod)";
    if user.makes_files_in(there) == Some(false) {
        return because(format!("the server's user (uid {}) may not make files in {shown}", user.id), next);
    }
    let owns_neither = || file.is_some_and(|file| file.user != user.id) && there.user != user.id;
    if there.mode & STICKY != 0 && !user.writes_anywhere && owns_neither() {
        let why = format!("{shown} is sticky, and the file is not the server's user's (uid {})", user.id);
        return because(why, "give the file to the server's user (chown)");
    }
    None
}

/// What is mounted somewhere.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    is_read_only: bool,
}

/// What a path lies on, by lines such as `36 35 98:0 /from /at rw,noatime master:1 - ext4 /dev/sda1 rw`. What is mounted
/// over something else comes later.
fn mount_of(mounts: &str, path: &Path) -> Option<Mount> {
    let read = |line: &str| {
        let mut words = line.split(' ');
        let point = PathBuf::from(unescaped(words.nth(4)?));
        let own = words.next()?;
        let of_the_device = words.skip_while(|word| *word != "-").nth(3).unwrap_or_default();
        let is_read_only = [own, of_the_device].iter().any(|options| options.split(',').any(|one| one == "ro"));
        path.starts_with(&point).then_some(Mount { point, is_read_only })
    };
    mounts.lines().filter_map(read).max_by_key(|mount| mount.point.components().count())
}

/// Spaces and the like stand as `\040`.
fn unescaped(text: &str) -> String {
    let mut plain = text.to_owned();
    for (code, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(code, character);
    }
    plain
}

#[cfg(test)]
#[path = "user_file_tests.rs"]
mod tests;
