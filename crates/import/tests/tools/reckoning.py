"""The rules by which records become days, written down a second time: no line of the crate is used.

The day and its midnight
    A moment without a UTC offset is what the clock on the wall showed: its day is the date that it shows, and
    the day ends at the wall's midnight. A moment with an offset is an instant. With a zone, its day is the date
    that clocks of the zone show at that instant, and a midnight is each instant at which that date changes: an
    hour that summer time skips or repeats is part of the day whose date is shown. Without a zone the day is the
    date at the offset printed for the record's start. So a record from 23:50-05:00 to 00:10-05:00 belongs half
    to either day, and the same record read in a zone one hour west belongs to the first day alone.

The rest is in the text of `crates/import/src/lib.rs`, section "How records become days".
"""

import collections
import dataclasses
import datetime
import functools
import typing
import re
import zlib

MS_A_MINUTE = 60_000
MS_AN_HOUR = 60 * MS_A_MINUTE
MS_A_DAY = 24 * MS_AN_HOUR
DAY_STEPS_MAX = 300_000
RECORD_MS_MAX = 31 * MS_A_DAY
COUNT_MAX = 2**32 - 1
SOURCE_LENGTH_MAX = 32
EPOCH = datetime.date(1970, 1, 1)
EPOCH_UTC = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def day_number(date):
    return (date - EPOCH).days


FIRST_DAY = day_number(datetime.date(2000, 1, 1))
LAST_DAY = day_number(datetime.date(2199, 12, 31))


def day_text(number):
    return (EPOCH + datetime.timedelta(days=number)).isoformat()


class Stamp(typing.NamedTuple):
    """A moment: milliseconds on the wall's clock since 1970, and minutes east of UTC where they are printed."""

    wall: int
    offset: int | None = None

    @property
    def line(self):
        return self.wall - (self.offset or 0) * MS_A_MINUTE


class Stated(typing.NamedTuple):
    """A day's total as the export states it."""

    person: str
    source: str
    report: tuple
    typed: bool
    steps: int
    day: int


class Span(typing.NamedTuple):
    """Steps between two moments."""

    person: str
    source: str
    report: tuple
    typed: bool
    steps: int
    start: Stamp
    end: Stamp


@dataclasses.dataclass(frozen=True)
class Uptime:
    """Steps between two times since a device was started, in milliseconds, all of them on one day."""

    person: str
    source: str
    report: tuple
    typed: bool
    steps: int
    day: int
    start: int
    end: int


NO_REPORT = (None, None)


def report_order(report):
    """What is not known comes first, but what has no date at all comes last."""
    made, number = report
    return (report == NO_REPORT, made is not None, made or (0, 0), number is not None, number or 0)


# Days.


class OneDay:
    """A line of time all of which lies on one day."""

    def __init__(self, day):
        self.day = day

    def days_of(self, _offset):
        return self

    def parts(self, start, end):
        return [(end - start, self.day)]


class Wall:
    """Days by the wall's own clock, moved by a fixed offset."""

    def __init__(self, minutes=0):
        self.shift = minutes * MS_A_MINUTE

    def parts(self, start, end):
        """The span cut at midnights, as (milliseconds, day)."""
        result = []
        while start < end:
            day = (start + self.shift) // MS_A_DAY
            until = min(end, (day + 1) * MS_A_DAY - self.shift)
            result.append((until - start, day))
            start = until
        return result


class Zone:
    """Days by the clocks of a zone."""

    def __init__(self, zone):
        self.zone = zone
        self.on_the_hour = functools.lru_cache(maxsize=None)(self.offset_at)

    def offset_at(self, instant):
        moment = EPOCH_UTC + datetime.timedelta(milliseconds=instant)
        return moment.astimezone(self.zone).utcoffset() // datetime.timedelta(milliseconds=1)

    def even_stretches(self, start, end):
        """The span cut wherever the clocks change, as (from, until, offset)."""
        grid = [start, *range((start // MS_AN_HOUR + 1) * MS_AN_HOUR, end, MS_AN_HOUR), end]
        for first, until in zip(grid, grid[1:]):
            while first < until:
                offset = self.on_the_hour(first) if first % MS_AN_HOUR == 0 else self.offset_at(first)
                if self.offset_at(until - 1) == offset:
                    yield first, until, offset
                    break
                same, other = first, until - 1
                while other - same > 1:
                    middle = (same + other) // 2
                    same, other = (middle, other) if self.offset_at(middle) == offset else (same, middle)
                yield first, other, offset
                first = other

    def parts(self, start, end):
        result = []
        for first, until, offset in self.even_stretches(start, end):
            while first < until:
                day = (first + offset) // MS_A_DAY
                stop = min(until, (day + 1) * MS_A_DAY - offset)
                if result and result[-1][1] == day:
                    result[-1] = (result[-1][0] + stop - first, day)
                else:
                    result.append((stop - first, day))
                first = stop
        return result


class Calendar:
    """Chooses how a moment becomes a day."""

    def __init__(self, zone=None):
        self.zone = Zone(zone) if zone is not None else None
        self.printed = {None: Wall()}

    def days_of(self, offset):
        if offset is not None and self.zone is not None:
            return self.zone
        if offset not in self.printed:
            self.printed[offset] = Wall(offset)
        return self.printed[offset]

    def day(self, stamp):
        return self.days_of(stamp.offset).parts(stamp.line, stamp.line + 1)[0][1]


# Names.


def slug(name, fallback="import", names=None):
    """The source under which a name is kept."""
    if names and name in names:
        return names[name]
    # A name that is spelt alike: other blanks, other apostrophes.
    for known, mapped in (names or {}).items():
        if name and slug(known) == slug(name):
            return mapped
    if not name:
        return fallback
    if re.fullmatch("[a-z0-9-]{1,32}", name, re.ASCII):
        return name
    lower = name.lower()
    text = "".join(letter if letter in "abcdefghijklmnopqrstuvwxyz0123456789" else "-" for letter in lower)
    text = "-".join(part for part in text.split("-") if part)
    if any(letter.isalnum() and not letter.isascii() for letter in name):
        mark = f"{zlib.crc32(lower.encode()):08x}"[:4]
        text = text[:SOURCE_LENGTH_MAX - len(mark) - 1].strip("-")
        return f"{text}-{mark}".strip("-")
    if len(text) > SOURCE_LENGTH_MAX:
        mark = f"{zlib.crc32(text.encode()):08x}"[:4]
        return text[:SOURCE_LENGTH_MAX - len(mark) - 1].strip("-") + "-" + mark
    return text or fallback


# The union of records.


def by_overlap(spans):
    """Spans (start, end, ...) in groups that share time, directly or through others."""
    group, reach = [], None
    for span in sorted(spans):
        if group and span[0] >= reach:
            yield group
            group = []
        reach = span[1] if not group else max(reach, span[1])
        group.append(span)
    if group:
        yield group


def rounded_share(steps, elapsed, whole):
    """The running total after a part of the time, rounded half up."""
    return (2 * steps * elapsed + whole) // (2 * whole)


@dataclasses.dataclass
class Union:
    """What one clock of one source of one report says, united."""

    days: dict = dataclasses.field(default_factory=dict)
    # The offsets under which steps came to each day.
    offsets: dict = dataclasses.field(default_factory=dict)
    splits: int = 0
    duplicates: int = 0
    overlaps: int = 0
    spared: int = 0

    def hand_out(self, parts, add, steps, offset):
        """Gives steps to the days of the parts in proportion to their time."""
        whole = sum(length for length, _ in parts)
        elapsed = given = 0
        for length, day in parts:
            elapsed += length
            until_here = rounded_share(add, elapsed, whole)
            share, given = until_here - given, until_here
            if share > 0 or steps == 0:
                self.days[day] = self.days.get(day, 0) + share
                self.offsets.setdefault(day, set()).add(offset)

    def add_group(self, group, calendar):
        # A record that repeats another, under whatever offset it is printed, splits nothing more.
        distinct = {span[:3]: span[3] for span in sorted(group, reverse=True)}
        for (start, end, _), offset in distinct.items():
            days = calendar.days_of(offset)
            self.splits += days.parts(start, start + 1)[0][1] != days.parts(end - 1, end)[0][1]
        if len(group) == 1:
            start, end, steps, offset = group[0]
            self.hand_out(calendar.days_of(offset).parts(start, end), steps, steps, offset)
            return
        self.duplicates += len(group) - len(distinct)
        if len(distinct) > 1:
            self.overlaps += len(distinct)
        cuts = sorted({moment for span in group for moment in span[:2]})
        place = {moment: index for index, moment in enumerate(cuts)}
        placed = [0] * len(cuts)
        covered = [False] * len(cuts)
        self.spared += sum(span[2] for span in group) - sum(steps for _, _, steps in distinct)
        spans = [(*span, offset) for span, offset in distinct.items()]
        for start, end, steps, offset in sorted(spans, key=lambda s: (s[1] - s[0], s[0], -s[2], s[3] or 0)):
            pieces = range(place[start], place[end])
            add = max(0, steps - sum(placed[piece] for piece in pieces))
            self.spared += steps - add
            days = calendar.days_of(offset)
            free = [piece for piece in pieces if not covered[piece]]
            if free:
                self.hand_out([part for piece in free for part in days.parts(cuts[piece], cuts[piece + 1])],
                              add, steps, offset)
                if steps == 0:
                    # It says 0 for all its time, whoever else covers it.
                    self.hand_out(days.parts(start, end), 0, 0, offset)
                whole = sum(cuts[piece + 1] - cuts[piece] for piece in free)
                elapsed = given = 0
                for piece in free:
                    elapsed += cuts[piece + 1] - cuts[piece]
                    until_here = rounded_share(add, elapsed, whole)
                    placed[piece] += until_here - given
                    given = until_here
                    covered[piece] = True
            else:
                self.hand_out(days.parts(start, end), add, steps, offset)
                placed[pieces[0]] += add


# Everything together.


@dataclasses.dataclass
class Found:
    """What files hold, in their own words; the readers fill it."""

    # Records, and beside them the places (file, line) on which they begin.
    records: list = dataclasses.field(default_factory=list)
    places: list = dataclasses.field(default_factory=list)
    file: str = ""
    blank: int = 0
    other: int = 0
    # (file, line, reason); the line is 0 where the format has none that counts.
    rejected: list = dataclasses.field(default_factory=list)
    arrivals: list = dataclasses.field(default_factory=list)
    # The moment at which the current file says that it was exported, and those of each record's file.
    exported: object = None
    exports: list = dataclasses.field(default_factory=list)

    def take(self, line, record):
        self.records.append(record)
        self.places.append((self.file, line))
        self.exports.append(self.exported)

    def reject(self, line, why):
        self.rejected.append((self.file, line, str(why)))


@dataclasses.dataclass
class Reckoned:
    """The days that come out: (person, source, day) -> (recorded, manual, full)."""

    cells: dict
    # Records, which are several in a row of hours or minutes, and rows that were left out or blank.
    rows: int
    splits: int
    blank: int
    # (file, line, reason); a whole day has no file and line 0.
    rejected: list
    duplicates: int
    overlaps: int
    spared: int
    rereports: dict
    arrivals: dict

    def shown(self):
        """(person, day) -> the most that any source says."""
        most = {}
        for (person, _, day), (recorded, manual, _) in self.cells.items():
            most[person, day] = max(most.get((person, day), 0), recorded + manual)
        return most

    @property
    def steps(self):
        return sum(self.shown().values())

    @property
    def rejects(self):
        return dict(collections.Counter(why for _, _, why in self.rejected))

    @property
    def sources(self):
        return sorted({source for _, source, _ in self.cells})


def fault(record, calendar, today):
    """Why a record is left out, or `None`."""
    if isinstance(record, Stated):
        days = [record.day]
        if record.steps > DAY_STEPS_MAX:
            return "implausible_steps"
    elif isinstance(record, Uptime):
        days = [record.day]
    else:
        if (record.start.offset is None) != (record.end.offset is None):
            return "mixed_offsets"
        length = record.end.line - record.start.line
        if length < 0:
            return "end_before_start"
        if length > RECORD_MS_MAX:
            return "too_long"
        parts = calendar.days_of(record.start.offset).parts(record.start.line, record.start.line + max(length, 1))
        days = [day for _, day in parts]
    if not all(FIRST_DAY <= day <= min(LAST_DAY, today + 1) for day in days):
        return "day_out_of_range"
    return None


def days_of_one_report(records, calendar, sums):
    """Each day of one source in one report: day -> [recorded, manual, stated, offsets]."""
    days = {}

    def join(day, typed, steps, stated, offsets=()):
        cell = days.setdefault(day, [0, 0, False, set()])
        cell[typed] = max(cell[typed], steps)
        cell[2] = cell[2] or stated
        cell[3].update(offsets)

    clocks = collections.defaultdict(list)
    for record in records:
        if isinstance(record, Stated):
            join(record.day, record.typed, record.steps, True)
        elif isinstance(record, Uptime):
            clocks[record.typed, record.day].append(
                (record.start, max(record.end, record.start + 1), record.steps, None))
        else:
            start, end = record.start.line, max(record.end.line, record.start.line + 1)
            clock = (record.typed, "offset" if record.start.offset is not None else "wall")
            clocks[clock].append((start, end, record.steps, record.start.offset))
    for (typed, clock), spans in clocks.items():
        union = Union()
        for group in by_overlap(spans):
            union.add_group(group, calendar if isinstance(clock, str) else OneDay(clock))
        for day, steps in union.days.items():
            offsets = union.offsets[day] if clock == "offset" else ()
            join(day, typed, steps, False, offsets)
        for name in ("splits", "duplicates", "overlaps", "spared"):
            sums[name] += getattr(union, name)
    return days


class Register:
    """One cell on a device that only reads: section 3 of the contract."""

    def __init__(self):
        self.value = None
        self.full = False
        self.told = 0

    def read(self, recorded, manual, full, sums):
        said = (recorded, manual)
        self.told += 1
        self.full = self.full or full
        if self.value is None:
            self.value = said
            return
        lower = recorded < self.value[0] or manual < self.value[1]
        before = self.value
        if lower and full and recorded + manual > 0:
            self.value = said
            sums["lowered"] += 1
        else:
            self.value = (max(before[0], recorded), max(before[1], manual))
            if lower:
                sums["kept"] += 1
            elif self.value != before:
                sums["raised"] += 1


def reckon(found, today, zone=None, fallback="import", names=None, only=None):
    """The days of everything found."""
    calendar = Calendar(zone)
    sums = collections.Counter()
    rejected = list(found.rejected)
    rows = len(rejected) + found.blank
    reports = collections.defaultdict(lambda: collections.defaultdict(list))
    exported = {}
    # A row that cannot be taken may be a part of any day, unless its day is outside what is taken at all.
    lossy = any(why != "day_out_of_range" for _, _, why in rejected)
    for record, place, at in zip(found.records, found.places, found.exports):
        if only is not None and record.person and record.person != only:
            continue
        rows += 1
        why = fault(record, calendar, today)
        if why is not None:
            rejected.append((*place, why))
            lossy = lossy or why != "day_out_of_range"
            continue
        cell_of = slug(record.source, fallback, names)
        reports[record.report, record.person][cell_of].append(record)
        if at is not None:
            stream = (record.report, record.person, cell_of)
            exported[stream] = max(exported.get(stream, at), at, key=lambda stamp: stamp.line)
    registers = collections.defaultdict(Register)
    for (report, person), sources in sorted(reports.items(), key=lambda item: report_order(item[0][0])):
        told = {source: days_of_one_report(records, calendar, sums) for source, records in sources.items()}
        for source, days in told.items():
            for day in [day for day, cell in days.items() if cell[0] + cell[1] > DAY_STEPS_MAX]:
                rejected.append(("", 0, "implausible_steps"))
                del days[day]
        made = report[0]
        for source, days in told.items():
            if made:
                over = calendar.day(Stamp(made[0] + made[1] * MS_A_MINUTE, made[1]))
            elif report == NO_REPORT and (report, person, source) in exported:
                # Several exports together cover what the last one of them covers.
                over = calendar.day(exported[report, person, source])
            else:
                over = max(days, default=0)
            # A day is over when today is later, whatever the files say.
            over = min(over, today)
            first = min((day for day, cell in days.items() if not cell[2]), default=0)
            for day, (recorded, manual, stated, offsets) in days.items():
                full = day < over and (stated or (day > first and not lossy))
                # Under several printed offsets nobody knows which day was meant.
                full = full and (zone is not None or len(offsets) < 2)
                cell = registers[person, source, day]
                # Nothing tells whether what has no date is older or newer than a dated report: it joins.
                joins = report == NO_REPORT and cell.told > 0
                cell.read(recorded, manual, full and not joins, sums)
    cells = {key: (*cell.value, cell.full) for key, cell in registers.items()}
    sums["days"] = sum(cell.told > 1 for cell in registers.values())
    return Reckoned(cells, rows, sums["splits"], found.blank, rejected, sums["duplicates"], sums["overlaps"],
                    sums["spared"], {name: sums[name] for name in ("days", "raised", "lowered", "kept")},
                    arrivals_of(found.arrivals))


def arrivals_of(pairs):
    """How late records were stored; pairs are (end, stored) in Unix milliseconds."""
    delays = [stored - end for end, stored in pairs]
    return {
        "known": len(delays),
        "late": sum(delay > MS_A_DAY for delay in delays),
        "delay_minutes_max": max(0, max(delays, default=0)) // MS_A_MINUTE,
        "early": sum(delay < 0 for delay in delays),
    }
