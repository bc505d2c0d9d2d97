"""Reads exports into records, with Python's standard library only.

Each reader says what it takes as a record; what the records mean is told in `reckoning.py`.
"""

import csv
import dataclasses
import datetime
import gzip
import io
import json
import os
import re
import xml.parsers.expat
import zipfile

from reckoning import (COUNT_MAX, MS_A_DAY, MS_A_MINUTE, MS_AN_HOUR, NO_REPORT, Found, Span, Stamp, Stated, Uptime,
                       day_number)

STEP_TYPE = "HKQuantityTypeIdentifierStepCount"
USER_ENTERED = "HKWasUserEntered"
# Samsung's name for the row in which all devices are merged.
SAMSUNG_MERGED = "VfS0qUERdZ"


class Bad(Exception):
    """A row that is left out; its text is the reason's name."""


@dataclasses.dataclass
class Settings:
    """What the caller of an import decides about reading."""

    day: int | None = None
    dates: str | None = None
    columns: dict = dataclasses.field(default_factory=dict)
    delimiter: str | None = None
    slot: int | None = None


# Counts and moments.

PLAIN = re.compile(r"[0-9]+(\.00?)?", re.ASCII)
GROUPED = re.compile(r"[0-9]{1,3}(,[0-9]{3})+", re.ASCII)
MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:(?:T| {1,2})([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(\.[0-9]+)?)?)?"
    r" ?(Z|[+-][0-9]{2}:?(?:[0-9]{2})?)?)?", re.ASCII)
ORDERED = re.compile(
    r"([0-9]{1,4})[/.-]([0-9]{1,2})[/.-]([0-9]{1,4})"
    r"(?: ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?: ?([AaPp][Mm]))?)?", re.ASCII)
TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)
LENGTHS = {"day": MS_A_DAY, "hour": MS_AN_HOUR, "minute": MS_A_MINUTE, "second": None}


def count(text):
    text = text.strip()
    if PLAIN.fullmatch(text):
        value = int(text.partition(".")[0])
    elif GROUPED.fullmatch(text):
        value = int(text.replace(",", ""))
    else:
        raise Bad("bad_count")
    if value > COUNT_MAX:
        raise Bad("bad_count")
    return value


def offset_minutes(text):
    if not text:
        return None
    if text == "Z":
        return 0
    digits = text[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    minutes = -minutes if text[0] == "-" else minutes
    if not -720 <= minutes <= 840:
        raise Bad("bad_time")
    return minutes


def wall_ms(year, month, day, hour=0, minute=0, second=0, fraction=""):
    if hour > 23 or minute > 59 or second > 60:
        raise Bad("bad_time")
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        raise Bad("bad_time") from None
    seconds = hour * 3600 + minute * 60
    if second == 60:
        return day_number(date) * MS_A_DAY + seconds * 1000 + 59_999
    milliseconds = int((fraction or ".")[1:4].ljust(3, "0"))
    return day_number(date) * MS_A_DAY + (seconds + second) * 1000 + milliseconds


def moment(text, dates=None):
    """A moment as (stamp, unit): the unit is the finest part that is written."""
    text = text.strip()
    match = MOMENT.fullmatch(text)
    if match:
        year, month, day, hour, minute, second, fraction, offset = match.groups()
    else:
        match = ORDERED.fullmatch(text) if dates else None
        if not match:
            raise Bad("bad_time")
        parts = dict(zip(dates, match.groups()[:3]))
        year, month, day = parts["y"], parts["m"], parts["d"]
        year = f"20{year}" if len(year) == 2 else year
        hour, minute, second, half = match.groups()[3:]
        fraction = offset = None
        if half:
            hour = int(hour) % 12 + (12 if half.lower() == "pm" else 0)
    unit = "second" if second else "minute" if minute else "hour" if hour else "day"
    wall = wall_ms(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), fraction)
    return Stamp(wall, offset_minutes(offset)), unit


def whole_day(text, dates):
    return moment(text, dates)[0].wall // MS_A_DAY


# CSV.

TITLES = {
    "person": ("user", "person", "id"),
    "source": ("source", "data source"),
    "report": ("report",),
    "reported_at": ("reported_at",),
    "day": ("day", "date"),
    "hour": ("hour",),
    "minute": ("minute", "timestamp"),
    "start": ("start", "start time"),
    "end": ("end", "end time"),
    "arrived": ("created",),
    "steps": ("steps", "step count"),
    "manual": ("manual",),
}


class Table:
    """A CSV file with its columns by role."""

    def __init__(self, header, settings):
        low = [title.strip().lower() for title in header]
        self.at = {}
        for role, titles in TITLES.items():
            wanted = [settings.columns[role].lower()] if role in settings.columns else titles
            for title in wanted:
                if title in low:
                    self.at.setdefault(role, low.index(title))
        # Column -> where its part of the day or hour begins, and how long it is.
        self.wide = {}
        for letter, length in (("h", MS_AN_HOUR), ("m", MS_A_MINUTE)):
            wide = [(int(title[1:]), column) for column, title in enumerate(low)
                    if re.fullmatch(letter + "[0-9]{2}", title)]
            if wide:
                self.wide = {column: (number * length, length) for number, column in wide}
        self.boot = low.index("boot_ns") if "boot_ns" in low else None
        self.counters = [(column, title.strip()) for column, title in enumerate(header) if column != self.boot]
        self.settings = settings

    def text(self, row, role, default=""):
        place = self.at.get(role)
        if place is None:
            return default
        if place >= len(row):
            raise Bad("missing_field")
        return row[place].strip()

    def who(self, row, role):
        return self.text(row, role).replace("\u00a0", " ")


def report_of(table, row):
    made = number = None
    if "reported_at" in table.at:
        stamp, _ = moment(table.text(row, "reported_at"))
        made = (stamp.line, stamp.offset or 0)
    if "report" in table.at:
        number = int(table.text(row, "report"))
    return (made, number)


def span_of(table, row):
    """The start and end of a narrow row, or a day number."""
    dates = table.settings.dates
    for role in ("start", "minute", "hour", "day"):
        if role in table.at:
            start, unit = moment(table.text(row, role), dates)
            break
    if "end" in table.at:
        return start, moment(table.text(row, "end"), dates)[0]
    if unit == "day":
        return start.wall // MS_A_DAY, None
    length = table.settings.slot * MS_A_MINUTE if table.settings.slot else LENGTHS[unit]
    if role == "start" and not table.settings.slot and start.wall % MS_A_MINUTE:
        # A time with seconds is a moment.
        return start, start
    return start, Stamp(start.wall + (length or MS_A_MINUTE), start.offset)


def narrow_row(table, row, line, found):
    person, source = table.who(row, "person"), table.who(row, "source")
    steps_text, manual_text = table.text(row, "steps"), table.text(row, "manual")
    if not steps_text and not manual_text:
        found.blank += 1
        return
    start, end = span_of(table, row)
    report = report_of(table, row)
    counts = [(typed, count(text)) for typed, text in ((False, steps_text), (True, manual_text)) if text]
    # Nothing typed in is nothing to tell beside what was measured.
    counts = [(typed, steps) for typed, steps in counts if not typed or steps or len(counts) == 1]
    for typed, steps in counts:
        if end is None:
            found.take(line, Stated(person, source, report, typed, steps, start))
        else:
            found.take(line, Span(person, source, report, typed, steps, start, end))
    if "arrived" in table.at and table.text(row, "arrived") and end is not None and end.offset is not None:
        found.arrivals.append((end.line, moment(table.text(row, "arrived"))[0].line))


def wide_row(table, row, line, found):
    """Each cell is a record of its own, so that a bad one leaves the others."""
    cells = [(column, shift, length) for column, (shift, length) in table.wide.items()]
    if "steps" in table.at:
        cells.insert(0, (table.at["steps"], None, None))
    if any(column >= len(row) for column, _, _ in cells):
        raise Bad("missing_field")
    cells = [(row[column].strip(), shift, length) for column, shift, length in cells if row[column].strip()]
    if not cells:
        found.blank += 1
        return
    person, source = table.who(row, "person"), table.who(row, "source")
    begin, _ = moment(table.text(row, "hour" if "hour" in table.at else "day"), table.settings.dates)
    report = report_of(table, row)
    for text, shift, length in cells:
        try:
            steps = count(text)
        except Bad as bad:
            found.reject(line, bad)
            continue
        if shift is None:
            found.take(line, Stated(person, source, report, False, steps, begin.wall // MS_A_DAY))
        else:
            start = Stamp(begin.wall + shift, begin.offset)
            end = Stamp(start.wall + length, start.offset)
            found.take(line, Span(person, source, report, False, steps, start, end))


class Counters:
    """Counts since a device was started: each difference is a record, from the row before to its own."""

    def __init__(self, table):
        self.table = table
        self.before = {}
        self.last = self.shift = self.starts = 0

    def row(self, row, line, found):
        if len(row) <= max(self.table.boot, *(column for column, _ in self.table.counters)):
            raise Bad("missing_field")
        if not re.fullmatch("[0-9]+", row[self.table.boot].strip(), re.ASCII):
            raise Bad("bad_time")
        at = int(row[self.table.boot]) // 1_000_000
        if at < self.last:
            # Started again: the counters begin at 0, and the time goes on.
            self.starts += 1
            self.shift += self.last
        self.last = at
        at += self.shift
        for column, title in self.table.counters:
            value = count(row[column])
            known = self.before.get(title)
            start, last, starts = known or (at, value, self.starts)
            if starts != self.starts:
                last = 0
            if value < last:
                raise Bad("counter_went_down")
            self.before[title] = (at, value, self.starts)
            if known:
                found.take(line, Uptime("", title, NO_REPORT, False, value - last, self.table.settings.day, start, at))


def read_csv(name, data, settings, found):
    text = data.decode("utf-8-sig")
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("com.samsung."):
        return read_samsung(data, found)
    if first.startswith("Start time,") and settings.day is None:
        match = re.search(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.csv", os.path.basename(name))
        return read_takeout_day(lines, whole_day(match[1], None), found)
    delimiter = settings.delimiter or max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    table, counters = None, None
    above = 0
    for row in reader:
        line, above = above + 1, reader.line_num
        if not row:
            continue
        if table is None:
            table = Table(row, settings)
            counters = Counters(table)
            continue
        try:
            if table.boot is not None:
                counters.row(row, line, found)
            elif table.wide:
                wide_row(table, row, line, found)
            else:
                narrow_row(table, row, line, found)
        except Bad as bad:
            found.reject(line, bad)
    return None


def read_takeout_day(lines, day, found):
    """Google's file of one day: quarters of an hour with the offset, and the date in the file's name."""
    rows = csv.reader(lines)
    header = [title.strip() for title in next(rows)]
    start_at, end_at, steps_at = (header.index(title) for title in ("Start time", "End time", "Step count"))
    for row in rows:
        try:
            if not row[steps_at].strip():
                found.blank += 1
                continue
            ends = []
            for text in (row[start_at], row[end_at]):
                match = TIME.fullmatch(text.strip())
                if not match:
                    raise Bad("bad_time")
                hour, minute, second, fraction, offset = match.groups()
                wall = wall_ms(1970, 1, 1, int(hour), int(minute), int(second or 0), fraction)
                ends.append(Stamp(day * MS_A_DAY + wall, offset_minutes(offset)))
            start, end = ends
            if end.line <= start.line:
                # The last quarter ends at the midnight of the next day.
                end = Stamp(end.wall + MS_A_DAY, end.offset)
            found.take(rows.line_num, Span("", "", NO_REPORT, False, count(row[steps_at]), start, end))
        except Bad as bad:
            found.reject(rows.line_num, bad)


def read_samsung(data, found):
    """Samsung's days: a line about the file, the header, and rows that end with a comma too many. Each device
    is a source, and so is the row for all of them."""
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    next(rows)
    header = [title.rpartition(".")[2] for title in next(rows)]
    day_at = header.index("day_time")
    steps_at = header.index("step_count" if "step_count" in header else "count")
    device_at = header.index("deviceuuid")
    kind_at = header.index("source_type") if "source_type" in header else None
    for row in rows:
        if not row:
            continue
        try:
            if not row[steps_at].strip():
                found.blank += 1
                continue
            text = row[day_at].strip()
            day = int(text) // MS_A_DAY if text.isdigit() else whole_day(text[:10], None)
            merged = row[device_at] == SAMSUNG_MERGED or (kind_at is not None and row[kind_at] == "-2")
            source = "samsung combined" if merged else f"samsung {row[device_at]}".strip()
            found.take(rows.line_num, Stated("", source, NO_REPORT, False, count(row[steps_at]), day))
        except Bad as bad:
            found.reject(rows.line_num, bad)


# Apple Health.


class Apple:
    """Step records that are children of the root; what a correlation holds is told there again."""

    def __init__(self, found):
        self.found = found
        self.depth = 0
        self.record = None
        self.entered = False
        self.parser = xml.parsers.expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end

    def start(self, tag, attributes):
        self.depth += 1
        if self.depth == 2 and tag == "ExportDate":
            self.found.exported = moment(attributes["value"])[0]
        elif self.depth == 2 and tag == "Record":
            self.entered = False
            self.record = (self.parser.CurrentLineNumber, attributes)
        elif self.depth == 3 and tag == "MetadataEntry" and attributes.get("key") == USER_ENTERED:
            self.entered = attributes.get("value") == "1"

    def end(self, tag):
        self.depth -= 1
        if self.depth != 1 or tag != "Record":
            return
        line, attributes = self.record
        if attributes.get("type") != STEP_TYPE:
            self.found.other += 1
            return
        try:
            self.take(line, attributes)
        except Bad as bad:
            self.found.reject(line, bad)

    def take(self, line, attributes):
        if any(name not in attributes for name in ("sourceName", "startDate", "endDate", "value")):
            raise Bad("bad_shape")
        start, end = moment(attributes["startDate"])[0], moment(attributes["endDate"])[0]
        source = attributes["sourceName"].replace("\u00a0", " ").strip()
        steps = count(attributes["value"])
        self.found.take(line, Span("", source, NO_REPORT, self.entered, steps, start, end))
        if "creationDate" in attributes:
            self.found.arrivals.append((end.line, moment(attributes["creationDate"])[0].line))


def read_apple(data, found):
    # Some versions of iOS write a document type that no parser takes; it says nothing about steps.
    text = data.decode()
    begin = text.find("<!DOCTYPE")
    if begin >= 0:
        end = text.index("]>", begin) + 2
        text = text[:begin] + "\n" * text.count("\n", begin, end) + text[end:]
    Apple(found).parser.Parse(text, True)


# Fitbit.


def read_fitbit(data, found):
    """Fitbit's minutes, whose clock is UTC: `MM/DD/YY HH:MM:SS`. Lines are not told apart here."""
    for row in json.loads(data):
        try:
            if "value" not in row or "dateTime" not in row:
                raise Bad("bad_shape")
            wall = moment(row["dateTime"], "mdy")[0].wall
            start, end = Stamp(wall, 0), Stamp(wall + MS_A_MINUTE, 0)
            found.take(0, Span("", "fitbit", NO_REPORT, False, count(str(row["value"])), start, end))
        except Bad as bad:
            found.reject(0, bad)


# Files.


def read_bytes(name, data, settings, found):
    if data[:2] == b"\x1f\x8b":
        return read_bytes(name, gzip.decompress(data), settings, found)
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.namelist():
                if not entry.endswith(("/", "export_cda.xml")):
                    read_bytes(entry, archive.read(entry), settings, found)
        return None
    found.file = os.path.basename(name)
    found.exported = None
    head = data[:65536].lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith(b"<"):
        return read_apple(data, found)
    if head.startswith(b"["):
        return read_fitbit(data, found)
    return read_csv(name, data, settings, found)


def read_files(paths, settings):
    found = Found()
    for path in paths:
        with open(path, "rb") as file:
            read_bytes(os.path.basename(path), file.read(), settings, found)
    return found
