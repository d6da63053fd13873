"""The release binary, run and timed."""
import pathlib
import subprocess
import sys
import time

BINARY = pathlib.Path(__file__).resolve().parent.parent / "target/release/nornplan"


def by_nornplan(root, *arguments):
    """Seconds for a command in a workspace; a command that fails ends the bench."""
    before = time.perf_counter()
    ran = subprocess.run([BINARY, *arguments], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{arguments}: {ran.stderr}")
    return time.perf_counter() - before
