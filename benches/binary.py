"""The release binary, run and timed."""
import pathlib
import re
import subprocess
import sys
import threading
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
        most = [0]
        watching = threading.Thread(target=watch, args=(running.pid, most))
        watching.start()
        running.wait()
        seconds = time.perf_counter() - before
        watching.join()
        if running.returncode:
            said.seek(0)
            # Of thousands of steps a few tell why.
            lines = said.readlines()
            failed = [line for line in lines if "failed" in line or "error" in line] or lines
            sys.exit(f"{arguments}: {''.join(failed[:20])}")
    return seconds, most[0] / 1024


def watch(process, most):
    """Keeps the most memory that a process had, in kB, until it ends. What wait4 tells counts what this process has, too."""
    while True:
        try:
            found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process}/status").read_text())
        except OSError:
            return
        if not found:
            return
        most[0] = int(found[1])
        time.sleep(0.01)
