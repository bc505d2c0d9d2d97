#!/usr/bin/env python3
"""Checks the imports of `manbo-import` against an independent reckoning, day by day.

    check_import.py [--data DIR] [--binary PATH] [--only WORDS]
    check_import.py --reckon DIR

Builds the binary (or takes the one given), imports sets of files, and compares every day of every set, and the
figures of the report, with a reckoning from the rules (reckoning.py) on what independent readers found in the
files (exports.py), without a line of the crate. The sets are the files of tests/fixtures, whose days were worked
out by hand, files made with a fixed seed (made.py) and, with --data, the published sets in that folder
(sets.py), whose README figures are checked too. With --reckon only the reckoning is done and printed.
Only Python's standard library.

How a moment becomes a day, and where midnight is
    A moment without a UTC offset is what the clock on the wall showed: its day is the date that it shows, and
    the day ends at the wall's midnight, whatever summer time did. A moment with an offset is an instant: with
    --zone, its day is the date that clocks of that zone show at that instant, and midnight is wherever that
    date changes, so that a day has 23, 24, 25 or any number of hours; without --zone, its day is the date at
    the offset printed for the record's start. A record over midnight is split in proportion to its time on
    either side: the running total is rounded half up at each midnight, so that the parts add up.

Each set is also imported twice into one ledger (the second time changes nothing), without --db and with
--dry-run (nothing is written), with its files in reverse order and its rows shuffled over several files (the
same days), and exported and read back (the same days).
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import zoneinfo

sys.dont_write_bytecode = True

import made
import sets
from reckoning import day_text

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 4))


class Tally:
    """Counts sets and days compared and what differs; says the first differences of each set in full."""

    SHOWN_MAX = 6

    def __init__(self):
        self.sets = 0
        self.days = 0
        self.differ = 0
        self.here = 0

    def compare(self, what, expected, got):
        if expected == got:
            return
        self.differ += 1
        self.here += 1
        if self.here <= self.SHOWN_MAX:
            print(f"DIFFERS {what}: expected {self.short(expected, got)}, got {self.short(got, expected)}")

    @staticmethod
    def short(value, other):
        """What only this side says, where both sides are collections; never pages of it."""
        if isinstance(value, dict) and isinstance(other, dict):
            value = {key: part for key, part in value.items() if other.get(key) != part}
        elif isinstance(value, (list, set)) and type(other) is type(value):
            value = [part for part in value if part not in other]
        text = repr(value)
        return text if len(text) <= 400 else text[:400] + " ..."


def build():
    """Builds the binary where cargo would put it (CARGO_TARGET_DIR and all) and gives its path."""
    executable = None
    command = ["cargo", "build", "-p", "manbo-import", "--release", "--locked", "--message-format",
               "json-render-diagnostics"]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    for line in run.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "manbo-import":
            executable = message["executable"] or executable
    if executable is None:
        raise SystemExit("cargo built no binary called manbo-import")
    return executable


class Binary:
    def __init__(self, executable):
        self.executable = executable

    def run(self, *words, status=0):
        run = subprocess.run([self.executable, *words], capture_output=True, check=False)
        if run.returncode != status:
            told = run.stderr.decode(errors="replace").strip()
            raise Failed(f"{' '.join(words)[:300]}: exit {run.returncode}, expected {status}: {told[-500:]}")
        return run

    def imported(self, files, options, *more):
        return json.loads(self.run("import", *files, *options, *more, "--json", "--days").stdout)


class Failed(Exception):
    """The binary ended otherwise than it should."""


# One set.


def cells_of(days):
    """(person, source, day) -> (recorded, manual, whether it is a full reading)."""
    cells = {(line["user"] or "", line["source"], line["day"]):
             (line["recorded"], line["manual"], line["extent"] == "full") for line in days}
    if len(cells) != len(days):
        raise Failed("the readings tell a day of a source twice")
    return cells


def check_report(tally, name, reckoned, report):
    """The figures of the report, from the reckoned ones."""
    tally.compare(f"{name}: rows", reckoned.rows, report["rows"])
    tally.compare(f"{name}: rows by file", reckoned.rows, sum(file["rows"] for file in report["files"]))
    tally.compare(f"{name}: blank", reckoned.blank, report["blank"])
    tally.compare(f"{name}: splits", reckoned.splits, report["splits"])
    tally.compare(f"{name}: duplicates, overlaps, steps not counted twice",
                  (reckoned.duplicates, reckoned.overlaps, reckoned.spared),
                  tuple(report["union"][key] for key in ("duplicates", "overlaps", "steps_spared")))
    tally.compare(f"{name}: re-reports", reckoned.rereports, report["rereports"])
    tally.compare(f"{name}: arrivals", reckoned.arrivals, report["arrivals"])
    rejects = report["rejects"]
    tally.compare(f"{name}: rejects", reckoned.rejects, rejects["by_reason"])
    tally.compare(f"{name}: rejects in all", len(reckoned.rejected), rejects["total"])
    listed = {(base_name(row["file"]), row["line"], row["reason"]) for row in rejects["listed"]}
    if all(line or not file for file, line, _ in reckoned.rejected):
        expected = set(reckoned.rejected)
        complete = len(rejects["listed"]) == rejects["total"]
        tally.compare(f"{name}: rejects one by one", expected if complete else expected & listed, listed)
    people = {person["name"] or "": person for person in report["people"]}
    shown = {}
    for (person, day), steps in reckoned.shown().items():
        shown.setdefault(person, {})[day] = steps
    tally.compare(f"{name}: people", sorted(shown), sorted(people))
    for person in shown.keys() & people.keys():
        check_person(tally, f"{name}, {person or 'nobody named'}", person, shown[person], reckoned, people[person])


def base_name(file):
    return file.rpartition("!")[2].rpartition("/")[2]


def check_person(tally, name, person, shown, reckoned, told):
    first, last = min(shown), max(shown)
    tally.compare(f"{name}: days, steps, zero days, first, last, missing",
                  (len(shown), sum(shown.values()), list(shown.values()).count(0), day_text(first), day_text(last),
                   last - first + 1 - len(shown)),
                  tuple(told[key] for key in ("days", "steps", "zero_days", "first", "last", "missing")))
    gaps, days = [], sorted(shown)
    for before, after in zip(days, days[1:]):
        if after > before + 1:
            gaps.append((before + 1 - after, day_text(before + 1), day_text(after - 1)))
    tally.compare(f"{name}: gaps, longest first", sorted(gaps)[:100],
                  [(-gap["days"], gap["first"], gap["last"]) for gap in told["gaps"]])
    sources = {}
    for (whose, source, day), (recorded, manual, _) in reckoned.cells.items():
        if whose == person:
            sources.setdefault(source, []).append((day, recorded, manual))
    expected = [(source, len(cells), sum(cell[1] for cell in cells), sum(cell[2] for cell in cells),
                 day_text(min(cells)[0]), day_text(max(cells)[0])) for source, cells in sorted(sources.items())]
    got = [tuple(source[key] for key in ("source", "days", "recorded", "manual", "first", "last"))
           for source in told["sources"]]
    tally.compare(f"{name}: sources", expected, sorted(got))


def check_days(tally, name, expected, cells):
    """Every day of every source: the counts, and whether the reading is full."""
    for key in sorted(expected.keys() | cells.keys()):
        wanted, got = expected.get(key), cells.get(key)
        label = f"{name}: {' '.join(part for part in key if part)}"
        tally.compare(f"{label}, recorded and manual", wanted and wanted[:2], got and got[:2])
        if wanted and got:
            tally.compare(f"{label}, a full reading", wanted[2], got[2])


def shown_of(cells):
    most = {}
    for (person, _, day), (recorded, manual, _) in cells.items():
        most[person, day] = max(most.get((person, day), 0), recorded + manual)
    return most


def check_set(tally, binary, each, folder):
    tally.here = 0
    found, reckoned = each.reckon()
    for what, expected, got in each.figures(found, reckoned):
        tally.compare(f"{each.name}, of the reckoning: {what}", expected, got)
    try:
        output = binary.imported(each.files, each.options())
        tally.compare(f"{each.name}: no ledger, no outcome", None, output["outcome"])
        cells = cells_of(output["days"])
        expected = {(person, source, day_text(day)): value
                    for (person, source, day), value in reckoned.cells.items()}
        check_days(tally, each.name, expected, cells)
        check_report(tally, each.name, reckoned, output["report"])
        check_order(tally, binary, each, cells, folder)
        check_ledger(tally, binary, each, cells, folder)
    except Failed as failed:
        tally.compare(each.name, "a run that ends well", str(failed))
    tally.sets += 1
    tally.days += len(reckoned.shown())
    say(each, reckoned, "equal" if not tally.here else f"{tally.here} DIFFER")


def say(each, reckoned, verdict):
    rejects = ", ".join(f"{count} {why}" for why, count in sorted(reckoned.rejects.items())) or "0"
    told = reckoned.rereports
    print(f"{each.name}: {len(reckoned.shown())} days, {reckoned.steps} steps, {reckoned.splits} splits, "
          f"rejects: {rejects}, {reckoned.blank} blank, {len(reckoned.sources)} sources, "
          f"{told['days']} days told again ({told['raised']} raised, {told['lowered']} lowered, {told['kept']} kept): "
          f"{verdict}", flush=True)


# The same files in another order, cut otherwise.


def rows_of(path):
    """The lines of a CSV file of records, or `None` where a row's meaning hangs on its place or its file's name."""
    with open(path, "rb") as file:
        data = file.read()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    if data[:1] in (b"<", b"[", b"P") or data.startswith((b"boot_ns", b"com.samsung", b"Start time")):
        return None
    return [line for line in data.decode("utf-8-sig").replace("\r\n", "\n").split("\n") if line]


def check_order(tally, binary, each, cells, folder):
    if len(each.files) > 1:
        again = cells_of(binary.imported(each.files[::-1], each.options())["days"])
        tally.compare(f"{each.name}: files in reverse order", cells, again)
    dice = random.Random(f"partition {each.name}")
    parts = []
    for place, path in enumerate(each.files):
        rows = rows_of(path)
        if rows is None:
            parts.append(path)
            continue
        heaps = [[] for _ in range(3)]
        for row in rows[1:]:
            dice.choice(heaps).append(row)
        for number, heap in enumerate(heaps):
            dice.shuffle(heap)
            part = os.path.join(folder, f"part-{place}-{number}.csv")
            with open(part, "w", encoding="utf-8", newline="") as file:
                file.writelines(row + "\n" for row in [rows[0], *heap])
            parts.append(part)
    if parts != each.files:
        dice.shuffle(parts)
        output = binary.imported(parts, each.options())
        tally.compare(f"{each.name}: rows shuffled over files", cells, cells_of(output["days"]))
        tally.compare(f"{each.name}: rows shuffled over files, in all", len(parts), len(output["report"]["files"]))


# In a ledger.


def digest(path):
    """What is in a file; `None` where there is none, as after an import of nothing."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def exported(binary, db, person, form):
    user = ["--user", person] if person else []
    return binary.run("export", "--db", db, *user, form).stdout


def check_ledger(tally, binary, each, cells, folder):
    db = os.path.join(folder, "ledger.db")
    for name in os.listdir(folder):
        if name.startswith("ledger.db"):
            os.remove(os.path.join(folder, name))
    into = [*each.options(), "--db", db]
    output = binary.imported(each.files, into, "--dry-run")
    tally.compare(f"{each.name}: a dry run writes nothing", False, os.path.exists(db))
    tally.compare(f"{each.name}: a dry run reads the same", cells, cells_of(output["days"]))
    foreseen = output["outcome"]
    output = binary.imported(each.files, into)
    tally.compare(f"{each.name}: a dry run foretells what is recorded", output["outcome"], foreseen)
    changed = sum(outcome["days_changed"] for outcome in output["outcome"])
    tally.compare(f"{each.name}: days that the first import changes", len(shown_of(cells)), changed)
    people = sorted({person for person, _, _ in cells})
    before = [exported(binary, db, person, "--jsonl") for person in people]
    bytes_before = digest(db)
    output = binary.imported(each.files, into, "--dry-run")
    tally.compare(f"{each.name}: a dry run leaves the ledger alone", bytes_before, digest(db))
    output = binary.imported(each.files, into)
    changed = sum(outcome["days_changed"] for outcome in output["outcome"])
    tally.compare(f"{each.name}: days that the second import changes", 0, changed)
    after = [exported(binary, db, person, "--jsonl") for person in people]
    tally.compare(f"{each.name}: the second import leaves every fact", True, before == after)
    for person in people:
        check_export(tally, binary, each, db, person, cells, folder)


def check_export(tally, binary, each, db, person, cells, folder):
    text = exported(binary, db, person, "--csv")
    wanted = {key[1:]: value[:2] for key, value in cells.items() if key[0] == person}
    rows = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
    got = {(row["source"].removeprefix("'"), row["day"]): (int(row["recorded"]), int(row["manual"])) for row in rows}
    tally.compare(f"{each.name}, {person or 'nobody named'}: the exported CSV", wanted, got)
    path = os.path.join(folder, "exported.csv")
    with open(path, "wb") as file:
        file.write(text)
    back = cells_of(binary.imported([path], ["--today", each.today])["days"])
    tally.compare(f"{each.name}, {person or 'nobody named'}: the exported CSV read back", wanted,
                  {key[1:]: value[:2] for key, value in back.items()})


# What cannot be imported.


def check_refusals(tally, binary, folder):
    tally.here = 0
    days = os.path.join(made.FIXTURES, "Daily activity metrics.csv")
    with open(days, "rb") as file:
        cut = gzip.compress(file.read())[:-12]
    broken = {"cut.csv.gz": cut, "foreign.csv": b"name,age\nx,1\n", "empty.csv": b"",
              "cut.xml": b'<?xml version="1.0"?>\n<!DOCTYPE HealthData []>\n<HealthData>\n <Record type="x"',
              "steps-2026-01-01.json": b'[{"dateTime": "01/01/26 00:00:00", "value": "1"},'}
    db = os.path.join(folder, "unwanted.db")
    try:
        for name, content in broken.items():
            path = os.path.join(folder, name)
            with open(path, "wb") as file:
                file.write(content)
            run = binary.run("import", days, path, "--today", sets.TODAY, "--db", db, "--json", status=1)
            tally.compare(f"{name}: named, and nothing on the way out", (True, b""),
                          (name in run.stderr.decode(), run.stdout))
        binary.run("import", os.path.join(folder, "missing.csv"), "--today", sets.TODAY, "--db", db, status=1)
        tally.compare("an import that stops records nothing", False, os.path.exists(db))
        for wrong in (["--what"], ["import"], ["import", days, "--today", "x"], ["import", days, "--zone", "Mars/Base"],
                      ["import", days, "--source", "No Such"], ["export"]):
            run = binary.run(*wrong, status=2)
            tally.compare(f"{wrong}: usage on stderr only", b"", run.stdout)
    except Failed as failed:
        tally.compare("refusals", "a refusal", str(failed))
    print(f"refusals: {'equal' if not tally.here else f'{tally.here} DIFFER'}")


def reckon_only(chosen):
    differ = 0
    for each in chosen:
        found, reckoned = each.reckon()
        wrong = [figure for figure in each.figures(found, reckoned) if figure[1] != figure[2]]
        for what, expected, got in wrong:
            print(f"DIFFERS {each.name}: {what}: expected {expected!r}, got {got!r}")
        differ += bool(wrong)
        say(each, reckoned, "README figures differ" if wrong else "reckoned")
    print(f"check_import: {len(chosen)} sets reckoned, {differ} differ from known figures")
    return 1 if differ else 0


def main():
    parser = argparse.ArgumentParser(description="Checks manbo-import against an independent reckoning.")
    parser.add_argument("--data", metavar="DIR", help="the folder of the published sets")
    parser.add_argument("--binary", metavar="PATH", help="a binary that is built already")
    parser.add_argument("--reckon", metavar="DIR", help="only reckon, with the published sets of this folder")
    parser.add_argument("--only", metavar="WORDS", default="", help="sets whose name holds these words")
    options = parser.parse_args()
    if not zoneinfo.available_timezones():
        print("check_import: this machine has no time zone database, so that no zone can be checked: FAILED")
        return 1
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        chosen = made.fixtures() + list(made.made(folder))
        data = options.data or options.reckon
        if data:
            chosen = sets.published(os.path.abspath(data)) + chosen
        chosen = [each for each in chosen if options.only in each.name]
        if options.reckon:
            return reckon_only(chosen)
        binary = Binary(os.path.abspath(options.binary) if options.binary else build())
        for each in chosen:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                check_set(tally, binary, each, own)
        check_refusals(tally, binary, folder)
    print(f"check_import: {tally.sets} sets, {tally.days} days compared, {tally.differ} differ")
    return 1 if tally.differ else 0


if __name__ == "__main__":
    sys.exit(main())
