"""Counts what a batch costs in system calls: 1 fdatasync and 2 pwrite a dirty page under FULL.

Runs the child of tests/processes.rs under strace. Standard library only; needs strace and Linux.
Figures that no load can move: they are counted, not timed.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FRAME_HEADER, PAGE, WAL_HEADER = 24, 4096, 32


def test_binary():
    """Builds the test target and gives its path."""
    command = ["cargo", "test", "--release", "--locked", "-p", "manbo", "--test", "processes", "--no-run"]
    out = subprocess.run(command + ["--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    for line in out.stdout.decode().splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("executable") and message.get("target", {}).get("name") == "processes":
            return message["executable"]
    sys.exit("syscalls: cargo named no test binary")


def traced(binary, role):
    """The system calls between the marks of each phase: {phase: [(name, bytes written)]}."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "trace")
        calls = "trace=write,pwrite64,fdatasync,fsync"
        command = ["strace", "-f", "-o", log, "-e", calls, binary]
        command += ["child", "--exact", "--nocapture", "--test-threads=1"]
        environment = dict(os.environ, MANBO_TEST_ROLE=role, MANBO_TEST_FILE=os.path.join(folder, "steps.db"))
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        with open(log, encoding="utf-8", errors="replace") as trace:
            lines = trace.read().splitlines()
    phases, phase = {}, None
    for line in lines:
        mark = re.search(r'write\(1, ".*?(grown|again) (begins|ends)', line)
        if mark:
            phase = mark.group(1) if mark.group(2) == "begins" else None
            if phase:
                phases[phase] = []
        elif phase:
            call = re.search(r"\b(pwrite64|fdatasync|fsync)\(.*= (-?\d+)", line)
            if call:
                phases[phase].append((call.group(1), int(call.group(2))))
    if set(phases) != {"grown", "again"}:
        sys.exit("syscalls: the child did not mark its phases")
    return phases


def counts(calls):
    """(syncs, frames, pwrites): a frame is a dirty page with its header."""
    syncs = sum(name != "pwrite64" for name, _ in calls)
    written = [size for name, size in calls if name == "pwrite64"]
    return syncs, written.count(PAGE), len(written) - written.count(WAL_HEADER)


def main():
    binary = test_binary()
    passed = failed = 0
    print(f"{'batch':>6} {'mode':>7} {'phase':>6} {'syncs':>6} {'pages':>6} {'pwrites':>8}")
    for days in (1, 365):
        for mode, syncs_expected in (("full", 1), ("normal", 0)):
            phases = traced(binary, f"batch {days} {mode}")
            syncs, pages, pwrites = counts(phases["grown"])
            again = phases["again"]
            checks = {
                "syncs a batch": syncs == syncs_expected,
                "pages written": 1 <= pages <= 1 + days,
                "two pwrites a page": pwrites == 2 * pages,
                "a re-send writes nothing": again == [],
            }
            print(f"{days:>6} {mode:>7} {'grown':>6} {syncs:>6} {pages:>6} {pwrites:>8}")
            print(f"{days:>6} {mode:>7} {'again':>6} {len(again):>6} {0:>6} {len(again):>8}")
            for name, holds in checks.items():
                if holds:
                    passed += 1
                else:
                    failed += 1
                    print(f"FAILED batch of {days}, {mode}: {name}")
    print(f"syscalls: {passed} checks passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
