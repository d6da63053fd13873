#!/usr/bin/env python3
"""Valkey alone: nornplan against the same ACL SETUSER and ACL LIST on one raw connection, pipelined, in the same run.

    make infra && . infra/run/env && cargo build --release && python3 benches/valkey.py [APPS]

An app here is a user with the rules of `readwrite`. nornplan reads first what is there, reads each user again before it
writes it, proves the rules by ACL DRYRUN and each password by signing in, has the server save its users, and its state
and secrets (a file for each app) are on disk when it ends. The raw client does none of that: it is the floor. For new
users the floor has a file of secrets for each app too, written as a program would that does not want to lose it: another
name, fsync, rename, many side by side. (nornplan writes two for each app: a password is on disk before the server is told it.) The server
keeps what it has worked out of ACL LIST for as long as nothing changes, so the first one after a change is timed apart.
"""
import os
import pathlib
import shutil
import socket
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from binary import by_nornplan, measured

# Calls whose answers fit into the buffers of a socket.
AT_ONCE = 1000
# Files that are written at the same time: each mostly waits for the disk.
SIDE_BY_SIDE = 16
HASH = "#" + "ab" * 32


class Raw:
    """A connection that speaks RESP2."""

    def __init__(self):
        address = os.environ.get("NORNPLAN_VALKEY_HOST", "127.0.0.1"), int(os.environ.get("NORNPLAN_VALKEY_PORT", "6379"))
        self.socket = socket.create_connection(address)
        self.answers = self.socket.makefile("rb")
        if password := os.environ.get("NORNPLAN_VALKEY_PASSWORD"):
            self.calls([["AUTH", password]])

    def calls(self, calls):
        """Many calls in as few round trips as may be; their answers."""
        answers = []
        for start in range(0, len(calls), AT_ONCE):
            some = calls[start : start + AT_ONCE]
            self.socket.sendall(b"".join(encode(words) for words in some))
            answers += [self.read() for _ in some]
        return answers

    def read(self):
        line = self.answers.readline()[:-2].decode()
        kind, rest = line[:1], line[1:]
        if kind == "-":
            sys.exit(f"Valkey: {rest}")
        if kind == "$":
            return None if rest == "-1" else self.answers.read(int(rest) + 2)[:-2].decode()
        if kind == "*":
            return None if rest == "-1" else [self.read() for _ in range(int(rest))]
        return rest


def encode(words):
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def timed(work):
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def report(what, ours, raw, of=""):
    seconds, memory = ours
    print(f"{what:36} nornplan {seconds:7.3f} s {memory:5.0f} MiB   raw {raw:7.3f} s   ratio {seconds / raw:6.2f}{of}", flush=True)


def write_files(directory, apps):
    """A file of secrets for each app, on disk when this returns."""
    directory.mkdir()

    def write(app):
        url = f"redis://{app}:{'x' * 32}@127.0.0.1:6379/0"
        file = os.open(directory / f".{app}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(file, f"REDIS_URL={url}\nVALKEY_URL={url}\n".encode())
        os.fsync(file)
        os.close(file)
        os.rename(directory / f".{app}", directory / f"{app}.env")

    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        list(threads.map(write, apps))
    names = os.open(directory, os.O_RDONLY)
    os.fsync(names)
    os.close(names)


def declare(root, apps):
    for app in apps:
        (root / "specs" / f"{app}.toml").write_text(f'app = "{app}"\n[services.kv]\n')


def rules_of(raw, user):
    """A user's rules as words of ACL SETUSER, for another one's name."""
    line = next(line for line in raw.calls([["ACL", "LIST"]])[0] if line.startswith(f"user {user} "))
    return [word for word in line.split(" ")[3:] if not word.startswith("#") and user not in word]


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    apps, names = [[f"bench{kind}{n:05}" for n in range(count)] for kind in ("kv", "raw")]
    raw = Raw()
    directory = tempfile.mkdtemp(prefix="nornplan-bench")
    root = pathlib.Path(directory)
    (root / "specs").mkdir()
    (root / "nornplan.toml").write_text('specs = "specs"\n')
    everything = ("destroy", "--all", "--auto-approve", "--allow-destroy", "all")
    read = lambda: raw.calls([["ACL", "LIST"]])
    unmake = lambda: raw.calls([["ACL", "DELUSER", *names[start : start + AT_ONCE]] for start in range(0, count, AT_ONCE)])
    try:
        declare(root, apps)
        files = timed(lambda: write_files(root / "floor", apps))
        checked = measured(root, "validate")
        made = measured(root, "apply", "--auto-approve")
        first, warm = timed(read), statistics.median(timed(read) for _ in range(5))
        plans = sorted(measured(root, "plan", "--detailed-exitcode") for _ in range(3))[1]
        rules = rules_of(raw, apps[0])
        makes = [["ACL", "SETUSER", name, "reset", "on", HASH, f"~{name}:*", f"&{name}:*", *rules] for name in names]
        pipelined = timed(lambda: raw.calls(makes))
        print(f"{count} infraspecs checked: {checked[0]:.3f} s, {checked[1]:.0f} MiB")
        report(f"{count} users made", made, pipelined + files, f" (users {pipelined:.3f} s, files {files:.3f} s)")
        report(f"{count} users read, nothing to do", plans, warm)
        print(f"the first ACL LIST after a change: {first:.3f} s")
        unmake()
        raw.calls([["ACL", "SETUSER", app, "+keys"] for app in apps])
        repaired = measured(root, "apply", "--auto-approve")
        report(f"{count} users drifted and repaired", repaired, timed(lambda: raw.calls(makes)))
    finally:
        unmake()
        print(f"{count} users destroyed: {by_nornplan(root, *everything):.3f} s")
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
