#!/usr/bin/env python3
"""Times whole commands of the release binary: wall seconds (median) and peak resident memory of `validate` and `plan`.

    make infra && . infra/run/env && cargo build --release && python3 benches/whole.py

One app is a database with its two roles, a key-value user, a Kafka user, three topics, its ACLs and its secret. Makes a
workspace in a temporary directory, applies it to the running services, and destroys it at the end.
"""
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from binary import BINARY

SPEC = """app = "{app}"
[services.postgres]
connection_limit = 10
[services.kv]
[services.events]
topics = ["{app}.a", {{ name = "{app}.b", config = {{ "retention.ms" = "7d" }} }}, "{app}.c"]
"""


def workspace(root, apps):
    (root / "specs").mkdir(parents=True)
    (root / "nornplan.toml").write_text('specs = "specs"\n')
    for n in range(apps):
        app = f"bench{n:04}"
        (root / "specs" / f"{app}.toml").write_text(SPEC.format(app=app))
    return root


def run(root, *arguments, times=1, codes=(0,)):
    """Runs a command; gives the median of its wall seconds and its peak resident memory in MB."""
    walls, peak = [], 0
    for _ in range(times):
        before = time.perf_counter()
        child = subprocess.Popen([BINARY, *arguments], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        walls.append(time.perf_counter() - before)
        peak = max(peak, usage.ru_maxrss / 1024)
        if os.waitstatus_to_exitcode(status) not in codes:
            sys.exit(f"{arguments}: {errors.decode()}")
    return statistics.median(walls), peak


def report(what, figures):
    print(f"{what:52} {figures[0]:8.3f} s {figures[1]:8.1f} MB", flush=True)


def main():
    apps = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        report("validate, 1,000 specs", run(workspace(root / "validate", 1000), "validate", times=9))
        services = workspace(root / "apply", apps)
        everything = ("destroy", "--all", "--auto-approve", "--allow-destroy", "all")
        try:
            report(f"plan, {apps} apps, nothing there yet", run(services, "plan", times=3))
            report(f"apply, {apps} apps from nothing", run(services, "apply", "--auto-approve"))
            report(f"plan, {apps} apps, nothing to do", run(services, "plan", "--detailed-exitcode", times=5))
            report(f"plan --shallow, {apps} apps, nothing to do", run(services, "plan", "--shallow", times=5))
            report(f"drift, {apps} apps (signs in everywhere)", run(services, "drift", times=3))
        finally:
            report(f"destroy, {apps} apps (each database dumped first)", run(services, *everything))


if __name__ == "__main__":
    main()
