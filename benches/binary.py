"""The release binary, run and timed."""
import os
import pathlib
import subprocess
import sys
import time

BINARY = pathlib.Path(__file__).resolve().parent.parent / "target/release/nornplan"


def by_nornplan(root, *arguments):
    """Seconds for a command in a workspace; a command that fails ends the bench."""
    return measured(root, *arguments)[0]


def measured(root, *arguments):
    """The same, with the most memory that it had, in MiB."""
    with open(root / "said", "w+") as said:
        before = time.perf_counter()
        running = subprocess.Popen([BINARY, *arguments], cwd=root, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - before
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            said.seek(0)
            # Of thousands of steps that failed, a few tell why.
            failed = [line for line in said if "staged" not in line][:20]
            sys.exit(f"{arguments}: {''.join(failed)}")
    return seconds, used.ru_maxrss / 1024
