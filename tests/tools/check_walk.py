#!/usr/bin/env python3
"""Checks the example `walk` against an independent reckoning.

    check_walk.py [FILE.csv ...]

Runs `walk --json`, takes what was fed to the ledger, and works out every day, level and statistic anew from
the rules of the domain contract (sections 3 to 5), without a line of the crate. Then writes CSV files of its
own, plain and gzip, with blanks, bad rows, quotes and several rows a day, and compares every day's total of
`walk --input` with a plain reading of the file. Files named as arguments are compared the same way.
Only Python's standard library.
"""

import csv
import datetime
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPS_MAX = 300_000
RANKED_MAX = 100_000
LEVELS = ["very_obese", "obese", "overweight", "healthy", "very_healthy"]
ONE_DAY = datetime.timedelta(days=1)


def date(text):
    return datetime.date.fromisoformat(text)


class Tally:
    """Counts days compared and things that differ; says the first differences in full."""

    SHOWN_MAX = 20

    def __init__(self):
        self.days = 0
        self.differ = 0

    def compare(self, what, expected, got):
        if expected == got:
            return
        self.differ += 1
        if self.differ <= self.SHOWN_MAX:
            print(f"DIFFERS {what}: expected {expected!r}, got {got!r}")


# The example itself.


def build():
    """Builds the example where cargo would put it (CARGO_TARGET_DIR and all) and gives its path."""
    executable = None
    command = ["cargo", "build", "-p", "manbo-import", "--release", "--locked", "--example", "walk",
               "--message-format", "json-render-diagnostics"]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    for line in run.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "walk":
            executable = message["executable"]
    if executable is None:
        raise SystemExit("cargo built no example called walk")
    return executable


def walk(executable, *options, cwd, status=0):
    run = subprocess.run([executable, *options], cwd=cwd, capture_output=True, check=False)
    if run.returncode != status:
        print(run.stderr.decode(errors="replace"), file=sys.stderr)
        raise SystemExit(f"walk {' '.join(options)}: exit {run.returncode}, expected {status}")
    return run


# The rules of the contract, written down a second time.


class Cell:
    """One register on one device that only ever reads: section 3."""

    def __init__(self):
        self.epoch = 0
        self.value = None
        self.read_here = False
        self.offset = None

    def read(self, fed, day):
        said = (fed["recorded"], fed["manual"])
        lower = self.value is not None and (said[0] < self.value[0] or said[1] < self.value[1])
        offset_differs = fed["offset"] is not None and self.offset is not None and fed["offset"] != self.offset
        replaces = (fed["extent"] == "full" and day < date(fed["on"]) and lower and sum(said) > 0
                    and not offset_differs and self.read_here)
        if replaces:
            self.epoch += 2
            self.value = said
        elif self.value is None:
            self.value = said
        else:
            self.value = (max(self.value[0], said[0]), max(self.value[1], said[1]))
        if self.value == said:
            self.read_here = True
            if fed["offset"] is not None:
                self.offset = fed["offset"]

    def delete(self, left):
        left = None if left is None else tuple(left)
        if left != self.value and self.read_here:
            self.epoch += 2
            self.value = left


def day_totals(day, fed):
    """Shown and ranked of a day, or `None`; and whether the app was opened."""
    cells = {}
    attended = False
    for entry in fed:
        if "attended" in entry:
            attended = True
        elif "left" in entry:
            cells.setdefault(entry["source"], Cell()).delete(entry["left"])
        else:
            cells.setdefault(entry["source"], Cell()).read(entry, day)
    values = [cell.value for cell in cells.values() if cell.value is not None]
    if not values:
        return None, attended
    shown = min(max(recorded + manual for recorded, manual in values), STEPS_MAX)
    ranked = min(max(recorded for recorded, _ in values), RANKED_MAX)
    return (shown, ranked), attended


def levels(days, totals, rules):
    """Initial level and level of each logged day, by the day-by-day fold of section 4 (gaps skipped)."""
    assert rules["gap"] == "skip"
    result = {}
    level, before = None, None
    for day in days:
        if totals[day] is None:
            continue
        shown = totals[day][0]
        if level is None:
            initial = LEVELS.index(rules["start_level"])
        else:
            initial = max(level - 1, 0) if before < rules["drop_below"] else level
        level = min(initial + 1, 4) if shown >= rules["raise_at"] else initial
        before = shown
        result[day] = (LEVELS[initial], LEVELS[level])
    return result


def runs(days):
    """Runs of consecutive civil days as (first, last, length)."""
    result = []
    for day in sorted(days):
        if result and day - result[-1][1] == ONE_DAY:
            result[-1][1] = day
        else:
            result.append([day, day])
    return [(first, last, (last - first).days + 1) for first, last in result]


def streaks(days, as_of):
    """The current and the longest streak of a set of days."""
    all_runs = runs(days)
    current = [length for _, last, length in all_runs if last >= as_of - ONE_DAY]
    return (current[0] if current else 0), max((length for *_, length in all_runs), default=0)


def expected_statistics(days, totals, attended, level_of, rules, as_of):
    shown = {day: totals[day][0] for day in days if totals[day] is not None}
    assert rules["week_start"] == "monday"
    monday = as_of - datetime.timedelta(days=as_of.weekday())
    best = max(shown, key=lambda day: (shown[day], -day.toordinal()), default=None)
    goal, longest_goal = streaks([day for day in shown if shown[day] >= rules["goal"]], as_of)
    seen, longest_seen = streaks(attended, as_of)
    if as_of in level_of:
        current_level = level_of[as_of][1]
    elif level_of:
        last = max(level_of)
        index = LEVELS.index(level_of[last][1])
        current_level = LEVELS[max(index - 1, 0) if shown[last] < rules["drop_below"] else index]
    else:
        current_level = rules["start_level"]
    return {
        "as_of": as_of.isoformat(),
        "total_steps": sum(shown.values()),
        "today_steps": shown.get(as_of, 0),
        "week_steps": sum(steps for day, steps in shown.items() if monday <= day <= as_of),
        "best_day": best and best.isoformat(),
        "best_day_steps": shown.get(best, 0),
        "days_logged": len(shown),
        "current_level": current_level,
        "last_attended": max(attended).isoformat() if attended else None,
        "attendance_streak": seen,
        "longest_attendance_streak": longest_seen,
        "goal_streak": goal,
        "longest_goal_streak": longest_goal,
    }


def check_weeks(tally, report, days, totals):
    sums = {}
    for day in days:
        monday = day - datetime.timedelta(days=day.weekday())
        shown, ranked, logged = sums.get(monday, (0, 0, 0))
        if totals[day] is not None:
            shown, ranked, logged = shown + totals[day][0], ranked + totals[day][1], logged + 1
        sums[monday] = (shown, ranked, logged)
    expected = []
    for monday in sorted(sums):
        year, number, _ = monday.isocalendar()
        shown, ranked, logged = sums[monday]
        expected.append({"first": monday.isoformat(), "label": f"{year:04}-W{number:02}", "shown": shown,
                         "ranked": ranked, "days_logged": logged})
    tally.compare("weeks", expected, report["weeks"])
    tally.compare("best week", max(expected, key=lambda week: week["shown"]), report["best_week"])


def check_report(tally, name, report):
    """Works every figure of a report out anew from what was fed."""
    rules = report["rules"]
    days = [date(line["day"]) for line in report["days"]]
    as_of = date(report["statistics"]["as_of"])
    tally.compare(f"{name}: every civil day once", days, [days[0] + ONE_DAY * n for n in range(len(days))])
    tally.compare(f"{name}: the last day", as_of, days[-1])
    totals, attended = {}, set()
    for day, line in zip(days, report["days"]):
        totals[day], was_attended = day_totals(day, line["readings"])
        if was_attended:
            attended.add(day)
    level_of = levels(days, totals, rules)
    for day, line in zip(days, report["days"]):
        shown, ranked = totals[day] or (None, None)
        initial, level = level_of.get(day, (None, None))
        expected = (shown, ranked, initial, level, day in attended)
        got = tuple(line[key] for key in ("shown", "ranked", "initial_level", "level", "attended"))
        tally.compare(f"{name}: {day}", expected, got)
        tally.days += 1
    expected = expected_statistics(days, totals, attended, level_of, rules, as_of)
    for key in expected.keys() | report["statistics"].keys():
        tally.compare(f"{name}: {key}", expected.get(key), report["statistics"].get(key))
    check_weeks(tally, report, days, totals)
    at_goal = [day for day in days if totals[day] and totals[day][0] >= rules["goal"]]
    spans = [{"first": first.isoformat(), "last": last.isoformat(), "days": length}
             for first, last, length in runs(at_goal)]
    tally.compare(f"{name}: goal streaks", spans, report["goal_streaks"])
    course = [level_of[day][1] for day in days if day in level_of]
    tally.compare(f"{name}: days at each level", {level: course.count(level) for level in LEVELS},
                  report["days_at_level"])
    tally.compare(f"{name}: level changes", sum(a != b for a, b in zip(course, course[1:])),
                  report["level_changes"])
    if "simulated" in report["origin"]:
        check_late(tally, name, report)
    else:
        tally.compare(f"{name}: a file brings everything at once", [], report["late_changes"])
    copies = report["copies"]
    digests = {copies[place] for place in ("phone", "server", "tablet")}
    same = len(digests) == 1 and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    tally.compare(f"{name}: the three copies are equal", (True, True), (same, copies["equal"]))
    tally.compare(f"{name}: nothing was refused", 0, report["traffic"]["facts_refused"])


def state_of(day, totals, course):
    if totals[day] is None:
        return None
    (shown, ranked), (initial, level) = totals[day], course[day]
    return {"shown": shown, "ranked": ranked, "initial_level": initial, "level": level}


def check_late(tally, name, report):
    """Lives through each morning that brought something about older days, one late entry after the other."""
    rules = report["rules"]
    feeds = {date(line["day"]): line["readings"] for line in report["days"]}
    told = list(report["late_changes"])
    is_late = lambda day, entry: "attended" not in entry and date(entry["on"]) - day > ONE_DAY
    mornings = sorted({date(entry["on"]) for day, feed in feeds.items() for entry in feed if is_late(day, entry)})
    for on in mornings:
        # What is known by then: everything of the days before, yesterday as read this morning, and the
        # first look at this day.
        known, late = {}, []
        for day in (day for day in feeds if day <= on):
            before = [entry for entry in feeds[day] if date(entry["on"]) < on]
            now = [entry for entry in feeds[day] if date(entry["on"]) == on]
            if on - day > ONE_DAY:
                late += [(day, entry) for entry in now]
            else:
                before += now if day < on else [entry for entry in now if "recorded" in entry][:1]
            known[day] = before
        # Entries of one morning in the order in which their changes are told; the silent ones come last.
        here = [change for change in told if date(change["on"]) == on]
        order = {(change["day"], change["source"]): place for place, change in enumerate(here)}
        late.sort(key=lambda pair: order.get((pair[0].isoformat(), pair[1]["source"]), len(here)))
        totals = {day: day_totals(day, feed)[0] for day, feed in known.items()}
        course = levels(sorted(totals), totals, rules)
        for day, entry in late:
            before, course_before = state_of(day, totals, course), course
            known[day].append(entry)
            totals[day] = day_totals(day, known[day])[0]
            course = levels(sorted(totals), totals, rules)
            after = state_of(day, totals, course)
            if before == after:
                continue
            moved = sum(course_before.get(other) != course.get(other) for other in totals if other > day)
            expected = {"on": on.isoformat(), "day": day.isoformat(), "source": entry["source"],
                        "deletion": "left" in entry, "before": before, "after": after, "later_days": moved}
            tally.compare(f"{name}: late on {on}", expected, told.pop(0) if told else None)
    tally.compare(f"{name}: late changes that were none", [], told)


def check_variety(tally, report):
    """A year in which nothing happens would check nothing: what the simulated walker must live through."""
    feeds = [(date(line["day"]), entry) for line in report["days"] for entry in line["readings"]]
    readings = [(day, entry) for day, entry in feeds if "recorded" in entry]
    tally.compare("sources", {"apple-health", "garmin"}, {entry["source"] for _, entry in readings})
    tally.compare("a deletion", True, any("left" in entry for _, entry in feeds))
    tally.compare("two offsets", {60, 540}, {entry["offset"] for _, entry in readings})
    tally.compare("typed-in steps", True, sum(entry["manual"] > 0 for _, entry in readings) > 3)
    late = [day for day, entry in readings if date(entry["on"]) - day > 2 * ONE_DAY]
    tally.compare("late readings", True, len(set(late)) > 10)
    corrected = [line for line in report["days"] if line["shown"] is not None and line["shown"] < max(
        entry["recorded"] + entry["manual"] for entry in line["readings"] if "recorded" in entry)]
    tally.compare("days corrected downward", True, len(corrected) >= 3)
    tally.compare("days without a log", True, any(line["shown"] is None for line in report["days"]))
    attended = sum(line["attended"] for line in report["days"])
    tally.compare("the app is opened on most days, not on all", True, 300 < attended < 365)
    tally.compare("late data moved later levels", True,
                  any(change["later_days"] > 0 for change in report["late_changes"]))
    tally.compare("a receipt got lost", True, report["traffic"]["receipts_lost"] > 0)


# Files.


def plain_reading(path):
    """The largest count of each day of a CSV file, the blank rows, and the lines of the bad rows."""
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    opener = gzip.open if packed else open
    best, blank, bad, rows = {}, 0, 0, 0
    with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        header = [title.strip().lower() for title in next(row for row in reader if row)]
        day_at = header.index("day") if "day" in header else header.index("date")
        steps_at = header.index("steps")
        for row in reader:
            if not row:
                continue
            rows += 1
            day_text = row[day_at].strip() if len(row) > day_at else ""
            steps = row[steps_at].strip() if len(row) > steps_at else None
            try:
                if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day_text, re.ASCII) or steps is None:
                    raise ValueError
                day = date(day_text)
                if not steps:
                    blank += 1
                    continue
                if not re.fullmatch(r"[0-9]+", steps, re.ASCII) or int(steps) > STEPS_MAX:
                    raise ValueError
                if not 2000 <= day.year <= 2199:
                    raise ValueError
            except ValueError:
                bad += 1
                continue
            best[day] = max(best.get(day, 0), int(steps))
    return best, blank, bad, rows


def check_file(tally, executable, path, folder):
    name = os.path.basename(path)
    best, blank, bad, rows = plain_reading(path)
    svg = os.path.join(folder, "file.svg")
    report = json.loads(walk(executable, "--json", "--svg", svg, "--input", path, cwd=folder).stdout)
    xml.etree.ElementTree.parse(svg)
    got = {date(line["day"]): line["shown"] for line in report["days"] if line["shown"] is not None}
    for day in sorted(best.keys() | got.keys()):
        tally.compare(f"{name}: {day}", best.get(day), got.get(day))
    tally.compare(f"{name}: total", sum(best.values()), report["statistics"]["total_steps"])
    origin = report["origin"]["imported"]
    tally.compare(f"{name}: rows, blank, bad", (rows, blank, bad),
                  (origin["rows"], origin["blank_rows"], origin["bad_rows"]))
    tally.compare(f"{name}: days", len(best), origin["days"])
    check_report(tally, name, report)
    print(f"{name}: {rows} rows, {len(best)} days, {sum(best.values())} steps, {blank} blank, {bad} bad")
    return report


def own_files(folder, dice):
    """Files with everything that a file of steps may have; `None` or the lines of the bad rows of each."""
    first = datetime.date(2019, 12, 20)
    orderly = [(first + ONE_DAY * n, dice.randrange(0, 26_000)) for n in range(900) if dice.random() > 0.03]
    text = "day,steps\n" + "".join(f"{day},{steps}\n" for day, steps in orderly)
    yield "orderly.csv", text.encode(), []
    yield "orderly.csv.gz", gzip.compress(text.encode()), []
    half = len(text) // 2
    yield "two members.gz", gzip.compress(text[:half].encode()) + gzip.compress(text[half:].encode()), []
    rows = [(day, dice.choice([steps, steps // 2, "", steps + 7])) for day, steps in orderly for _ in range(3)]
    dice.shuffle(rows)
    shuffled = "".join(f'"{steps}",x,"{day}"\r\n' for day, steps in rows)
    yield "shuffled.csv", ("\ufeff Steps ,note,DATE\r\n" + shuffled).encode(), []
    odd = [
        ("2024-02-29", "8000"), ("2023-02-29", "8000"), ("2024-03-01", ""), ("2024-03-02", "-1"),
        ("2024-03-03", "300000"), ("2024-03-04", "300001"), ("2024-03-05", "4294967296"),
        ("2024-03-06", "8,5"), ("2024-03-07", "1.5"), ("10/03/2024", "100"), ("", "100"), ("1999-12-31", "5"),
        ("2000-01-01", "5"), ("2199-12-31", "0"), ("2200-01-01", "5"), ("2024-03-08", " 77 "),
        ("2024-03-09", "\u0661\u0662"), ("2024-03-10", "+5"), ("2024-03-11", "0"), ("2024-03-11", "12"),
    ]
    bad_lines = [3, 5, 7, 8, 9, 10, 11, 12, 13, 16, 18, 19, 22]
    odd_text = "date,STEPS\n" + "".join(f'{day},"{steps}"\n' for day, steps in odd) + "2024-03-12\n"
    yield "odd.csv", odd_text.encode(), bad_lines
    crlf = odd_text.replace("\n", "\r\n").encode()
    yield "odd-crlf.csv", crlf, bad_lines
    yield "gaps.csv", b"\n\nday,steps\n\n2024-03-01,x\n\n\n2024-03-02,5\n2024-03-03,y", [5, 9]
    yield "notes.csv", b'day,note,steps\n2024-03-01,"two\nlines, one ""field""",7\n2024-03-02,"a\nb",x\n,,9\n', [4, 6]
    yield "old.csv", b"day,steps\r2024-03-01,7\r2024-03-02,x\r2024-03-03,8", [3]


def check_files(tally, executable, folder):
    for name, content, bad_lines in own_files(folder, random.Random(7)):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(content)
        report = check_file(tally, executable, path, folder)
        lines = [row["line"] for row in report["origin"]["imported"]["bad_rows_listed"]]
        tally.compare(f"{name}: lines of the bad rows", bad_lines, lines)
    with open(os.path.join(folder, "orderly.csv.gz"), "rb") as whole:
        cut = whole.read()[:-200]
    with open(os.path.join(folder, "cut.csv.gz"), "wb") as file:
        file.write(cut)
    with open(os.path.join(folder, "foreign.csv"), "wb") as file:
        file.write(b"name,age\nx,1\n")
    with open(os.path.join(folder, "empty.csv"), "wb"):
        pass
    for name, words in (("cut.csv.gz", "cut off"), ("missing.csv", "No such file"), ("foreign.csv", "no column"),
                        ("empty.csv", "the file is empty")):
        db = os.path.join(folder, "unwanted.db")
        run = walk(executable, "--input", os.path.join(folder, name), "--db", db, cwd=folder, status=1)
        told = run.stderr.decode()
        tally.compare(f"{name}: says what is wrong", True, name in told and words in told)
        tally.compare(f"{name}: nothing recorded, nothing shown", (False, b""), (os.path.exists(db), run.stdout))


def check_again(tally, executable, folder):
    """A second import into a kept ledger: a lower count replaces, and the copies stay equal."""
    path, db = os.path.join(folder, "again.csv"), os.path.join(folder, "kept.db")
    for steps in (9_000, 12_000, 7_000):
        with open(path, "w", encoding="ascii") as file:
            file.write(f"day,steps\n2024-05-01,{steps}\n2024-05-02,500\n")
        report = json.loads(walk(executable, "--json", "--db", db, "--input", path, cwd=folder).stdout)
        tally.compare(f"again with {steps}", (steps + 500, True),
                      (report["statistics"]["total_steps"], report["copies"]["equal"]))
    walk(executable, "--db", db, cwd=folder, status=1)


EXPORT = """<?xml version="1.0" encoding="UTF-8"?>
<HealthData locale="en_GB">
 <ExportDate value="2024-07-05 09:00:00 +0200"/>
 <Record type="HKQuantityTypeIdentifierStepCount" sourceName="Phone" unit="count" startDate="2024-07-01 23:30:00 +0200"
  endDate="2024-07-02 00:30:00 +0200" value="900"/>
 <Record type="HKQuantityTypeIdentifierStepCount" sourceName="Watch" unit="count" startDate="2024-07-02 12:00:00 +0200"
  endDate="2024-07-02 12:10:00 +0200" value="1000"/>
 <Record type="HKQuantityTypeIdentifierStepCount" sourceName="Phone" unit="count" startDate="2024-07-02 12:00:00 +0200"
  endDate="2024-07-02 12:10:00 +0200" value="700"/>
</HealthData>
"""


def check_kinds(tally, executable, folder):
    """Other formats, several files, several people: what the import gives is what is walked."""
    def shown(*options):
        report = json.loads(walk(executable, "--json", *options, cwd=folder).stdout)
        check_report(tally, " ".join(options), report)
        return {line["day"]: line["shown"] for line in report["days"] if line["shown"] is not None}

    def write(name, text):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    write("export.xml", EXPORT)
    tally.compare("split at the printed midnight, sources never added up", {"2024-07-01": 450, "2024-07-02": 1_150},
                  shown("--input", "export.xml"))
    tally.compare("split at the midnight of a zone", {"2024-07-01": 900, "2024-07-02": 1_000},
                  shown("--input", "export.xml", "--zone", "UTC"))
    write("people.csv", "person,day,steps\nwalker-7,2024-07-01,100\nwalker-8,2024-07-01,200\n")
    tally.compare("one of several people", {"2024-07-01": 200}, shown("--input", "people.csv", "--user", "walker-8"))
    run = walk(executable, "--input", "people.csv", cwd=folder, status=1)
    told = run.stderr.decode()
    tally.compare("several people: how many, not who", (True, True, False),
                  ("2 people" in told, "--user" in told, "walker-" in told))
    write("more.csv", "day,steps\n2024-07-02,70\n2024-07-04,80\n")
    write("most.csv", "day,steps\n2024-07-02,90\n2024-07-03,60\n")
    tally.compare("several files", {"2024-07-02": 90, "2024-07-03": 60, "2024-07-04": 80},
                  shown("--input", "more.csv", "--input", "most.csv"))


def check_options(tally, executable, folder):
    for wrong in (["--what"], ["file"], ["--days", "0"], ["--days", "7306"], ["--days", "x"], ["--seed"],
                  ["--seed", "1", "--seed", "2"], ["--input", "x", "--days", "3"], ["--source", "x"],
                  ["--zone", "UTC"], ["--input", "x", "--zone", "Nowhere"], ["--input"], ["--json=yes"], ["--input", "x", "--source", "No Such"]):
        run = walk(executable, *wrong, cwd=folder, status=2)
        tally.compare(f"{wrong}: usage on stderr only", (True, b""), (b"Usage:" in run.stderr, run.stdout))
    tally.compare("--help", True, b"--input FILE" in walk(executable, "--help", cwd=folder).stdout)


def check_walks(tally, executable, folder):
    first = walk(executable, cwd=folder)
    tally.compare("two runs print the same", first.stdout, walk(executable, cwd=folder).stdout)
    widest = max(len(line) for line in first.stdout.decode().splitlines())
    tally.compare("at most 100 columns", True, widest <= 100)
    tally.compare("no colour into a pipe", False, b"\x1b" in first.stdout)
    xml.etree.ElementTree.parse(os.path.join(folder, "target", "walk.svg"))
    svg = os.path.join(folder, "picture.svg")
    output = walk(executable, "--json", "--svg", svg, cwd=folder).stdout
    tally.compare("two runs give the same object", output, walk(executable, "--json", cwd=folder).stdout)
    xml.etree.ElementTree.parse(svg)
    report = json.loads(output)
    check_report(tally, "walk", report)
    check_variety(tally, report)
    for options in (["--seed", "2"], ["--seed", "3", "--days", "1"], ["--seed", "4", "--days", "1500"]):
        name = "walk " + " ".join(options)
        check_report(tally, name, json.loads(walk(executable, "--json", *options, cwd=folder).stdout))


def main():
    files = [os.path.abspath(path) for path in sys.argv[1:]]
    tally = Tally()
    executable = build()
    with tempfile.TemporaryDirectory() as folder:
        check_walks(tally, executable, folder)
        check_options(tally, executable, folder)
        check_files(tally, executable, folder)
        check_kinds(tally, executable, folder)
        check_again(tally, executable, folder)
        for path in files:
            check_file(tally, executable, path, folder)
    print(f"check_walk: {tally.days} days compared, {tally.differ} differ")
    return 1 if tally.differ else 0


if __name__ == "__main__":
    sys.exit(main())
