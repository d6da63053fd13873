use super::*;

#[test]
fn only_addresses_of_this_machine_are_local() {
    for local in ["127.0.0.1:6379", "127.1.2.3:1", "localhost:6379", "::1:6379", "[::1]:6379", "/run/valkey.sock"] {
        assert!(is_local(local), "{local}");
    }
    for other in ["10.0.0.7:6379", "valkey:6379", "localhost.example.com:6379", "fe80::1:6379"] {
        assert!(!is_local(other), "{other}");
    }
}

#[test]
fn whom_a_process_opens_files_as_is_read() {
    let status =
        "Name:\tvalkey-server\nUid:\t0\t0\t0\t999\nGid:\t1\t1\t1\t998\nGroups:\t4 24\nCapEff:\t0000000000000002\n";
    let user = User { id: 999, groups: BTreeSet::from([4, 24, 998]), writes_anywhere: true };
    assert_eq!(User::of(status), Some(user));
    assert_eq!(User::of("Uid:\t0\n"), None);
}

const MOUNTS: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
    40 22 8:1 /x /etc/valkey/users.acl rw - ext4 /dev/sda1 rw\n\
    41 22 0:5 / /ro rw - tmpfs tmpfs ro,size=1k\n\
    42 22 0:6 / /with\\040space ro,nosuid - tmpfs tmpfs rw\n\
    43 41 0:7 / /ro/but/not rw shared:9 master:1 - tmpfs tmpfs rw\n";

#[test]
fn what_a_path_is_mounted_on_is_found() {
    let read_only = |path: &str| mount_of(MOUNTS, Path::new(path)).map(|mount| mount.is_read_only);
    assert_eq!(read_only("/etc/valkey/users.acl.tmp"), Some(false));
    assert_eq!(
        (read_only("/ro/users.acl"), read_only("/ro/but/not/x"), read_only("/rox")),
        (Some(true), Some(false), Some(false))
    );
    assert_eq!(read_only("/with space/x"), Some(true));
    assert_eq!(mount_of("", Path::new("/x")), None);
}

#[test]
fn what_keeps_a_server_from_saving_is_named() {
    let directory = |mode: u32, user: u32| Some(Entry { is_directory: true, mode: 0o040_000 | mode, user, group: 5 });
    let file = |user: u32| Some(Entry { is_directory: false, mode: 0o100_600, user, group: 5 });
    let server = |groups: &[u32]| User { id: 999, groups: groups.iter().copied().collect(), writes_anywhere: false };
    let root = User { writes_anywhere: true, ..User::default() };
    let why = |path: &str, file, directory, user: &User| {
        obstacle(Path::new(path), file, directory, user, MOUNTS).map(|obstacle| obstacle.why).unwrap_or_default()
    };
    let at = "/var/lib/valkey/users.acl";
    assert_eq!(why(at, file(0), None, &root), "there is no directory /var/lib/valkey");
    assert_eq!(why(at, directory(0o755, 0), directory(0o755, 0), &root), "there is a directory of that name");
    assert!(why("/etc/valkey/users.acl", file(0), directory(0o755, 0), &root).contains("mounted alone"));
    assert_eq!(why("/ro/users.acl", file(0), directory(0o755, 0), &root), "/ro is mounted read-only");
    let may_not = "the server's user (uid 999) may not make files in /var/lib/valkey";
    for (mode, owner, groups, expected) in [
        (0o755, 999, &[][..], ""),
        (0o555, 999, &[5], may_not),
        (0o755, 0, &[5], may_not),
        (0o775, 0, &[5], ""),
        (0o777, 0, &[], ""),
        (0o722, 0, &[], may_not),
        // A list of further permissions may let it in.
        (0o770, 0, &[], ""),
        (0o750, 0, &[], may_not),
    ] {
        assert_eq!(why(at, file(999), directory(mode, owner), &server(groups)), expected, "{mode:o} {owner}");
    }
    assert!(why(at, file(0), directory(0o1777, 0), &server(&[])).contains("sticky"));
    assert_eq!(why(at, file(999), directory(0o1777, 0), &server(&[])), "");
    assert_eq!(why(at, None, directory(0o1777, 0), &server(&[])), "");
    assert_eq!(why(at, file(0), directory(0o555, 0), &root), "");
}
