"""Sets that are written by hand (tests/fixtures, with days worked out by hand) or made with a fixed seed."""

import datetime
import gzip
import json
import os
import random
import zipfile
import zoneinfo

import exports
import reckoning
from reckoning import MS_A_DAY, MS_A_MINUTE, MS_AN_HOUR, day_text
from sets import Set, figures_of

UTC = datetime.timezone.utc
FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")


def day(text):
    return exports.whole_day(text, None)


# By hand.


def by_hand(expected, extents=None, **figures):
    """Compares the reckoning itself with days that were worked out by hand: (person, source, day) -> steps."""

    def check(found, reckoned):
        got = {(person, source, day_text(number)): (recorded, manual)
               for (person, source, number), (recorded, manual, _) in reckoned.cells.items()}
        return [("the days worked out by hand", expected, got),
                *((what, value, getattr(reckoned, what)) for what, value in figures.items())]

    return check


def fixtures():
    def at(*names):
        return [os.path.join(FIXTURES, *name.split("/")) for name in names]

    apple = {
        ("", "ana-s-apple-watch", "2026-03-01"): (600, 0), ("", "iphone", "2026-03-01"): (550, 0),
        ("", "health", "2026-03-01"): (0, 1000), ("", "iphone", "2026-03-02"): (151, 0),
        ("", "iphone", "2026-03-03"): (50, 0), ("", "ana-s-cran-co-7ea6", "2026-03-04"): (42, 0),
    }
    bad = {"end_before_start": 1, "bad_count": 1}
    return [
        # Printed at -05:00, the record of a July evening is of that evening; in the zone it is half past
        # midnight.
        Set("fixture: Apple Health, printed offset", at("apple_health_export/export.xml"),
            figures=by_hand(apple | {("", "iphone", "2025-07-10"): (200, 0)}, duplicates=1, splits=1, rejects=bad)),
        Set("fixture: Apple Health in New York", at("apple_health_export/export.xml"), zone="America/New_York",
            figures=by_hand(apple | {("", "iphone", "2025-07-11"): (200, 0)}, duplicates=1, splits=1, rejects=bad)),
        # 13:00 UTC is midnight in Sydney's summer.
        Set("fixture: Fitbit in Sydney", at("steps-2026-02-25.json"), zone="Australia/Sydney",
            figures=by_hand({("", "fitbit", "2026-02-25"): (40, 0), ("", "fitbit", "2026-02-26"): (50, 0)},
                            duplicates=1, rejects={"bad_time": 1})),
        Set("fixture: Google's daily metrics", at("Daily activity metrics.csv"),
            figures=by_hand({("", "import", "2026-02-14"): (6033, 0), ("", "import", "2026-02-16"): (0, 0),
                             ("", "import", "2026-02-17"): (9120, 0)}, blank=1)),
        Set("fixture: Google's quarters of a day", at("2026-02-18.csv"), zone="Asia/Kolkata",
            figures=by_hand({("", "import", "2026-02-18"): (1229, 0)}, blank=1, splits=0)),
        Set("fixture: Samsung's day summary", at("com.samsung.shealth.tracker.pedometer_day_summary.202603051200.csv"),
            figures=by_hand({("", "samsung-combined", "2026-03-01"): (5100, 0),
                             ("", "samsung-combined", "2026-03-02"): (7315, 0),
                             ("", "samsung-abc12345", "2026-03-02"): (7000, 0),
                             ("", "samsung-combined", "2026-03-03"): (0, 0)})),
        # The watch: 20 + 30 in the minutes; the quarter of an hour adds 280, of which 80 in the hour; the hour
        # then adds 600 - 130. The ring: 6 in the half hour; of two records of the same two hours the larger goes
        # first and adds 15 over the hour and a half that is free, a third of it before midnight.
        Set("fixture: overlaps", at("overlaps.csv"),
            figures=by_hand({("", "watch", "2026-03-01"): (800, 0), ("", "phone", "2026-03-01"): (500, 0),
                             ("", "phone", "2026-03-02"): (0, 0), ("", "phone", "2026-03-03"): (0, 0),
                             ("", "ring", "2026-03-05"): (11, 0), ("", "ring", "2026-03-06"): (10, 0)},
                            duplicates=1, spared=30 + 20 + 130 + 6 + 10)),
        # The second report may lower the 1st and the 3rd, which are over by then; the third may not lower the
        # 5th, on which it was made, and 0 lowers nothing.
        Set("fixture: reports", at("reports.csv"),
            figures=by_hand({("", "import", "2026-03-01"): (4000, 0), ("", "import", "2026-03-02"): (7000, 0),
                             ("", "import", "2026-03-03"): (300, 0), ("", "import", "2026-03-05"): (900, 0)})),
        Set("fixture: counters", at("counters.csv"), settings=exports.Settings(day=day("2026-03-01")),
            figures=by_hand({("", "app", "2026-03-01"): (5, 0), ("", "hardware", "2026-03-01"): (8, 0)})),
        # The day's own total and its hours: the larger one.
        Set("fixture: hours", at("hours.csv"),
            figures=by_hand({("b", "import", "2026-03-01"): (700, 0), ("b", "import", "2026-03-02"): (650, 0),
                             ("a", "import", "2026-03-03"): (0, 0)})),
    ]


# With a seed.


def wall_text(ms, offset=None, form="T"):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    text = moment.isoformat(sep=form, timespec="milliseconds" if ms % 1000 else "seconds")
    if offset is None:
        return text
    hours, minutes = divmod(abs(offset), 60)
    sign = "-" if offset < 0 else "+"
    return f"{text} {sign}{hours:02}{minutes:02}" if form == " " else f"{text}{sign}{hours:02}:{minutes:02}"


def local_text(ms, zone, form="T"):
    """An instant as clocks of a zone print it."""
    moment = datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(milliseconds=ms)
    offset = moment.astimezone(zone).utcoffset() // datetime.timedelta(minutes=1)
    return wall_text(ms + offset * MS_A_MINUTE, offset, form)


class Maker:
    """Writes files into a folder; every set has dice of its own, so that one more set changes no other."""

    def __init__(self, folder):
        self.folder = folder
        self.dice = None

    def begin(self, name):
        self.dice = random.Random(f"manbo {name}")
        self.sub = os.path.join(self.folder, name.replace(" ", "-"))
        os.makedirs(self.sub)

    def write(self, name, content):
        path = os.path.join(self.sub, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def csv(self, name, header, rows, comma=",", end="\n"):
        quoted = [[f'"{cell}"' if any(letter in str(cell) for letter in ',;"\n') else str(cell) for cell in row]
                  for row in rows]
        return self.write(name, header.replace(",", comma) + end + "".join(comma.join(row) + end for row in quoted))

    def steps(self, most=400):
        return self.dice.choice((0, 1, 2, 3, self.dice.randrange(most), self.dice.randrange(most)))

    def spans(self, first, days, number, longest):
        """Random spans of time in milliseconds, some of them equal, of equal time, nested, or an instant."""
        begin = day(first) * MS_A_DAY
        made = []
        for _ in range(number):
            kind = self.dice.random()
            if made and kind < 0.1:
                made.append(self.dice.choice(made))
                continue
            if made and kind < 0.15:
                made.append((*self.dice.choice(made)[:2], self.steps()))
                continue
            if made and kind < 0.35:
                start, end = self.dice.choice(made)[:2]
                start, end = sorted(self.dice.randrange(start, end + 1) for _ in range(2))
            else:
                start = begin + self.dice.randrange(days * MS_A_DAY)
                start -= start % self.dice.choice((1, 1000, MS_A_MINUTE, MS_AN_HOUR))
                end = start + self.dice.choice((0, 1000, MS_A_MINUTE, 10 * MS_A_MINUTE, MS_AN_HOUR,
                                                self.dice.randrange(longest)))
            made.append((start, end, self.steps()))
        return made


def days(make):
    make.begin("days")
    rows = []
    for number in range(day("2019-12-20"), day("2022-02-01")):
        if make.dice.random() < 0.05:
            continue
        rows += [(day_text(number), make.dice.choice(("", 0, make.dice.randrange(26_000))))
                 for _ in range(make.dice.choice((1, 1, 1, 2)))]
    rows += [("2000-01-01", 5), ("2024-02-29", 300_000), ("2024-03-04", 300_001)]
    make.dice.shuffle(rows)
    text = make.csv("days.csv", "day,steps", rows)
    with open(text, "rb") as file:
        packed = make.write("days-packed.csv.gz", gzip.compress(file.read()))
    yield Set("made: days", [text])
    yield Set("made: days, packed", [packed])
    yield Set("made: days, twice in one import", [text, packed])
    semicolons = make.csv("semicolons.csv", "steps;day".replace(";", ","), [row[::-1] for row in rows], ";", "\r\n")
    yield Set("made: days, semicolons and CRLF", [semicolons])


def people(make):
    make.begin("people")
    names = ("iPhone", "IPHONE", "Ana\u2019s Apple\u00a0Watch", "Ana's Apple Watch", "L\u00e9a", "L\u00e8a", "",
             "\u643a\u5e2f\u96fb\u8a71", "A rather long name of a device (the second one)", "garmin, old")
    rows = [(person, source, day_text(number), make.steps(20_000))
            for person in ("zoe", "1503960366", "Bo") for source in names
            for number in range(day("2023-05-01"), day("2023-05-31")) if make.dice.random() < 0.8]
    make.dice.shuffle(rows)
    path = make.csv("people.csv", "user,source,day,steps", rows)
    yield Set("made: people and sources", [path])
    yield Set("made: one of the people, sources by name", [path], only="zoe", source="nameless",
              names={"iPhone": "phone", "L\u00e9a": "lea"})


def hours_and_minutes(make):
    make.begin("hours and minutes")
    first, last = day("2023-03-10"), day("2023-03-20")
    hours = [hour for hour in range(first * 24, last * 24) if make.dice.random() < 0.9]
    narrow = make.csv("hours.csv", "user,hour,steps", [
        ("u", wall_text(hour * MS_AN_HOUR)[:13], make.dice.choice(("", make.steps(2000)))) for hour in hours])
    titles = ",".join(f"h{hour:02}" for hour in range(24))
    wide_rows = []
    for number in range(first, last):
        cells = [make.dice.choice(("", 0, make.steps(2000))) for _ in range(24)]
        stated = sum(cell or 0 for cell in cells) + make.dice.choice((0, 0, 17, -5))
        wide_rows.append(("u", day_text(number), max(0, stated), *cells))
    wide = make.csv("wide-hours.csv", f"user,day,steps,{titles}", wide_rows)
    bare = make.csv("bare-hours.csv", f"user,day,{titles}", [row[:2] + row[3:] for row in wide_rows])
    minutes = [(wall_text(minute * MS_A_MINUTE)[:16], make.steps(150))
               for minute in range(first * 1440, (first + 4) * 1440) if make.dice.random() < 0.7]
    narrow_minutes = make.csv("minutes.csv", "minute,steps", minutes)
    wide_minutes = make.csv("wide-minutes.csv", "user,hour," + ",".join(f"m{minute:02}" for minute in range(60)), [
        ("u", wall_text(hour * MS_AN_HOUR)[:13], *(make.dice.choice(("", 0, make.steps(99))) for _ in range(60)))
        for hour in hours[:150]])
    whole = make.csv("days.csv", "user,day,steps", [("u", day_text(number), make.dice.randrange(30_000))
                                                    for number in range(first - 2, last + 1)])
    for name, path in (("hours", narrow), ("hours, wide, with the day's total", wide), ("hours, wide", bare),
                       ("minutes", narrow_minutes), ("minutes, wide", wide_minutes)):
        yield Set(f"made: {name}", [path])
    yield Set("made: hours, minutes and days of one person", [narrow, wide, wide_minutes, whole])
    quarters = make.csv("quarters.csv", "start,steps", [
        (wall_text(quarter * 15 * MS_A_MINUTE), make.steps()) for quarter in range(first * 96, (first + 3) * 96)])
    yield Set("made: quarters of an hour by --slot", [quarters], settings=exports.Settings(slot=15))


# Zones whose summer time begins or ends in the night: with the date on which it does.
NIGHTS = (
    ("America/New_York", "2023-03-11"), ("America/New_York", "2023-11-04"), ("Europe/Berlin", "2023-10-28"),
    # Midnight does not exist; midnight comes twice; half an hour; the day after starts over for an hour; no
    # summer time at all; a day that never was.
    ("America/Santiago", "2023-09-02"), ("America/Havana", "2023-11-04"), ("Australia/Lord_Howe", "2023-04-01"),
    ("America/St_Johns", "2009-10-31"), ("Asia/Kolkata", "2023-03-11"), ("Pacific/Apia", "2011-12-29"),
)


def intervals(make):
    make.begin("intervals")
    for name, first in NIGHTS:
        zone = zoneinfo.ZoneInfo(name)
        rows, at = [], day(first) * MS_A_DAY - 14 * MS_AN_HOUR
        while at < (day(first) + 4) * MS_A_DAY:
            length = make.dice.randrange(1000, 3 * MS_AN_HOUR) // 1000 * 1000
            rows.append((local_text(at, zone), local_text(at + length, zone), local_text(at + 2 * length, zone),
                         "iPhone", make.steps()))
            at += length + make.dice.choice((0, 0, 60_000))
        path = make.csv(f"{name.replace('/', '-')}-{first}.csv", "start,end,created,source,steps", rows)
        yield Set(f"made: intervals over {first} in {name}", [path], zone=name)
        yield Set(f"made: the same, {name}, by printed offset", [path])
    elsewhere = Set("made: the same in a zone far away", [path], zone="America/Adak")
    yield elsewhere


def overlaps(make):
    make.begin("overlaps")
    zone = zoneinfo.ZoneInfo("America/New_York")
    for number in range(12):
        spans = make.spans("2023-03-10", 5, (5, 12, 40, 200)[number % 4], 30 * MS_AN_HOUR)
        sources = ("",) if number % 3 else ("watch", "phone")
        rows = [(start, end, make.dice.choice(sources), steps) for start, end, steps in spans]
        walls = make.csv(f"wall-{number}.csv", "start,end,source,steps", [
            (wall_text(start), wall_text(end), source, steps) for start, end, source, steps in rows])
        yield Set(f"made: overlaps {number}", [walls])
        printed = make.csv(f"printed-{number}.csv", "start,end,source,steps", [
            (local_text(start, zone), local_text(end, zone), source, steps) for start, end, source, steps in rows])
        yield Set(f"made: overlaps {number} with offsets", [printed])
        yield Set(f"made: overlaps {number} in a zone", [printed], zone="America/New_York")
    yield Set("made: overlaps with and without offsets, in one", [walls, printed], zone="Europe/Berlin")
    # Many people's records of the same days, and records of weeks.
    spans = make.spans("2023-01-05", 60, 120, 31 * MS_A_DAY)
    weeks = make.csv("weeks.csv", "user,start,end,steps", [
        (make.dice.choice("ab"), wall_text(start), wall_text(end), steps * 40) for start, end, steps in spans])
    yield Set("made: records of weeks", [weeks])


def reports(make):
    make.begin("reports")
    rows = []
    for number in range(1, 15):
        made = day("2023-05-01") + 3 * number + make.dice.randrange(3)
        offset = make.dice.choice((540, -300, 60))
        at = wall_text(made * MS_A_DAY + make.dice.randrange(86_400) * 1000, offset)
        for person in ("a", "b"):
            rows += [(person, number, at, day_text(told), make.dice.choice((0, make.dice.randrange(20_000))))
                     for told in range(made - 9, made + 1) if make.dice.random() < 0.6]
    make.dice.shuffle(rows)
    dated = make.csv("dated.csv", "user,report,reported_at,day,steps", rows)
    numbered = make.csv("numbered.csv", "user,report,day,steps", [row[:2] + row[3:] for row in rows])
    hourly = make.csv("hourly.csv", "user,report,hour,steps", [
        (person, number, f"{told}T{make.dice.randrange(24):02}", steps)
        for person, number, _, told, steps in rows for _ in range(3)])
    yield Set("made: dated reports", [dated])
    yield Set("made: numbered reports", [numbered])
    yield Set("made: numbered reports of hours", [hourly])
    yield Set("made: reports of days and hours", [numbered, hourly])


def bad_rows(make):
    make.begin("bad rows")
    odd = [
        ("2024-02-29", 8000), ("2023-02-29", 8000), ("2024-03-01", ""), ("2024-03-02", -1), ("2024-03-03", 300_000),
        ("2024-03-04", 300_001), ("2024-03-05", 4_294_967_296), ("2024-03-06", "1.5"), ("2024-03-07", "77.0"),
        ("2024-03-08", "1,234"), ("2024-03-09", "12,34"), ("2024-13-01", 100), ("10.03.2024x", 100),
        ("1999-12-31", 5), ("2000-01-01", 5), ("2024-03-16", 5), ("2024-03-17", 5), ("2199-12-31", 5),
        ("2200-01-01", 5), ("2024-03-10", " 77 "), ("2024-03-11", "\u0661\u0662"), ("2024-03-12", "+5"),
        ("2024-03-13", "5e3"), ("2024-03-14", "many"),
    ]
    text = make.csv("odd.csv", "day,steps", odd)
    with open(text, "ab") as file:
        file.write(b"\n2024-03-15\n2024-03-15,70\n")
    yield Set("made: bad days", [text], today="2024-03-15")
    spans = [
        ("2024-03-01T10:00:00", "2024-03-01T09:59:59", 5), ("2024-03-01T10:00:00", "2024-03-01T10:00:00", 6),
        ("2024-03-01T10:00:00+01:00", "2024-03-01T10:05:00", 5), ("2024-03-01T24:00:00", "2024-03-02T00:05:00", 5),
        ("2024-03-01T23:59:60", "2024-03-02T00:00:01", 5), ("2024-03-01T12:00:00", "2024-03-31T12:00:00", 500),
        ("2024-03-01T12:00:00", "2024-04-01T12:00:00", 500), ("2024-03-01T12:00:00", "2024-04-01T12:00:01", 500),
        ("2024-03-01T10:00:00+14:00", "2024-03-01T10:05:00+14:00", 5),
        ("2024-03-01T10:00:00+14:01", "2024-03-01T10:05:00+14:01", 5),
        ("2024-03-01T10:00:00-12:00", "2024-03-01T10:05:00-12:00", 5),
        ("2024-03-01T10:00:00-12:01", "2024-03-01T10:05:00-12:01", 5),
        ("2024-05-02T10:00:00", "2024-05-02T11:00:00", 5), ("2024-05-03T10:00:00", "2024-05-03T11:00:00", 5),
        ("1999-12-31T10:00:00", "1999-12-31T11:00:00", 5), ("2024-03-05T10:00:00", "2024-03-05T11:00:00", 200_000),
        ("2024-03-05T12:00:00", "2024-03-05T13:00:00", 100_001), ("2024-03-06T10:00:00", "2024-03-06T11:00:00", "x"),
        ("2024-03-07T10:00:00.1239", "2024-03-07T11:00:00Z", 5), ("2024-03-07T10:00:00.1239Z", "2024-03-07T11:00Z", 9),
    ]
    path = make.csv("spans.csv", "start,end,steps", spans)
    yield Set("made: bad records", [path], today="2024-05-01")
    # A month's total in one record: no day of it is implausible.
    path = make.csv("month.csv", "start,end,steps", [("2024-01-01T00:00:00", "2024-02-01T00:00:00", 310_000)])
    yield Set("made: a month in a record", [path], figures=figures_of(days=31, least=10_000, most=10_000))
    path = make.csv("tomorrow.csv", "start,end,steps", [("2024-03-15T22:00:00", "2024-03-17T00:00:00", 26),
                                                       ("2024-03-16T22:00:00", "2024-03-17T00:00:01", 26)])
    yield Set("made: records until the end of tomorrow", [path], today="2024-03-15")
    down = "boot_ns,app\n1000000,0\n2000000,5\n3000000,3\n4000000,8\nx,9\n5000000,-1\n6000000\n7000000,9\n"
    yield Set("made: bad counters", [make.write("down.csv", down)],
              settings=exports.Settings(day=day("2024-03-01")))


def counters(make):
    make.begin("counters")
    files = []
    at = 5 * 60_000_000_000
    for name in ("walk-b.csv", "walk-a.csv"):
        app, rows = 0, []
        for _ in range(300):
            at += make.dice.randrange(1, 40_000_000_000)
            rows.append((at, app, app // 3 * 3, 0))
            app += make.dice.choice((0, 1, 1, 2))
        files.append(make.csv(name, "boot_ns,app,hardware,nothing", rows))
    yield Set("made: counters of two walks", files, settings=exports.Settings(day=day("2024-03-01")))


def written_otherwise(make):
    """Columns, dates and separators that the options name."""
    make.begin("written otherwise")
    numbers = range(day("2024-02-25"), day("2024-03-20"))
    ymd = [(*day_text(number).split("-"), make.steps(20_000)) for number in numbers]
    mdy = make.csv("mdy.csv", "Datum,Schritte", [(f"{int(m)}/{int(d)}/{y}", steps) for y, m, d, steps in ymd], ";")
    yield Set("made: month/day/year under other titles", [mdy], settings=exports.Settings(
        dates="mdy", delimiter=";", columns={"day": "Datum", "steps": "Schritte"}))
    dmy = make.csv("dmy.csv", "day,steps", [(f"{d}.{m}.{y}", steps) for y, m, d, steps in ymd])
    yield Set("made: day.month.year", [dmy], settings=exports.Settings(dates="dmy"))
    hours = []
    for y, m, d, steps in ymd:
        hour = make.dice.randrange(24)
        half = "AM" if hour < 12 else "PM"
        hours.append((f"{int(m)}/{int(d)}/{y} {hour % 12 or 12}:00:00 {half}", steps))
    path = make.csv("hours.csv", "hour,steps", hours)
    yield Set("made: hours as 4/12/2016 1:00:00 PM", [path],
              settings=exports.Settings(dates="mdy", slot=60, columns={"start": "hour"}))
    manual = make.csv("manual.csv", "day,steps,manual", [
        (day_text(number), make.dice.choice(("", make.steps(9000))), make.dice.choice(("", make.steps(9000))))
        for number in numbers])
    yield Set("made: typed-in steps in a column of their own", [manual])


def apple(make):
    make.begin("apple")
    zone = zoneinfo.ZoneInfo("America/New_York")
    names = ("iPhone", "Ana\u2019s Apple\u00a0Watch", "Health", "B &amp; Co&#8217;s &quot;phone&quot;", "\u00c9cran")
    lines = []
    for index, (start, end, steps) in enumerate(make.spans("2023-10-30", 12, 900, 4 * MS_AN_HOUR)):
        # Apple prints the offset of the export for every time.
        texts = [wall_text(moment - 4 * MS_AN_HOUR, -240, " ") for moment in (start, end, end + make.steps() * 60_000)]
        attributes = [f'sourceName="{make.dice.choice(names)}"', 'unit="count"', f'creationDate="{texts[2]}"',
                      f'startDate="{texts[0]}"', f'endDate="{texts[1]}"', f'value="{steps}"',
                      'device="&lt;&lt;HKDevice: 0x28&gt;, name:x&gt;"']
        if index % 7 == 0:
            make.dice.shuffle(attributes)
        kind = make.dice.choice(("StepCount",) * 6 + ("HeartRate", "DistanceWalkingRunning"))
        begin = f' <Record type="HKQuantityTypeIdentifier{kind}" {" ".join(attributes)}'
        entered = make.dice.choice((None, None, None, "1", "0"))
        if entered is None:
            lines.append(begin + "/>")
        else:
            lines.append(f'{begin}>\n  <MetadataEntry key="HKWasUserEntered" value="{entered}"/>\n'
                         '  <MetadataEntry key="note" value="&lt;Record/&gt;"/>\n </Record>')
    lines.insert(5, ' <!-- <Record type="x"/> -->\n <![CDATA[ <Record type="HKQuantityTypeIdentifierStepCount"/> ]]>')
    head = ('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE HealthData [\n<!ELEMENT HealthData (Record*)>\n]>\n'
            '<HealthData locale="en_US">\n <ExportDate value="2023-11-12 09:08:45 -0500"/>\n')
    text = head + "\n".join(lines) + "\n</HealthData>\n"
    plain = make.write("export.xml", text)
    packed = os.path.join(make.sub, "export.zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("apple_health_export/export.xml", text)
        archive.writestr("apple_health_export/export_cda.xml", "<?xml version=\"1.0\"?>\n<ClinicalDocument/>\n")
    yield Set("made: Apple Health by printed offset", [plain])
    yield Set("made: Apple Health in a zone", [plain], zone=zone.key)
    yield Set("made: Apple Health, zipped", [packed], zone=zone.key)
    yield Set("made: Apple Health, zipped and plain in one import", [plain, packed], zone=zone.key)


def apple_again(make):
    """One phone exported in winter and again in summer: every time is printed with the offset of the export."""
    make.begin("apple again")
    spans = make.spans("2024-02-20", 30, 600, 2 * MS_AN_HOUR)
    exports_at = (("2024-03-06", -300, 350), ("2024-03-25", -240, 600))
    files = []
    for made_on, offset, number in exports_at:
        lines = []
        for start, end, steps in sorted(spans)[:number]:
            texts = [wall_text(moment + offset * MS_A_MINUTE, offset, " ") for moment in (start, end)]
            lines.append(f' <Record type="HKQuantityTypeIdentifierStepCount" sourceName="iPhone" unit="count" '
                         f'startDate="{texts[0]}" endDate="{texts[1]}" value="{steps}"/>')
        at = wall_text(day(made_on) * MS_A_DAY + 9 * MS_AN_HOUR, offset, " ")
        files.append(make.write(f"{made_on}/export.xml", '<?xml version="1.0" encoding="UTF-8"?>\n<HealthData>\n'
                                f' <ExportDate value="{at}"/>\n' + "\n".join(lines) + "\n</HealthData>\n"))
    yield Set("made: two exports of Apple Health in a zone", files, zone="America/New_York")
    yield Set("made: the later of the two alone in a zone", files[1:], zone="America/New_York")
    yield Set("made: two exports of Apple Health by printed offset", files)


def fitbit(make):
    make.begin("fitbit")
    files = []
    first = day("2023-02-25") * 1440 + 797
    for number in range(2):
        rows = []
        for minute in range(first + number * 20_000, first + (number + 1) * 20_000 + 500):
            if make.dice.random() < 0.2:
                at = datetime.datetime(1970, 1, 1) + datetime.timedelta(minutes=minute)
                value = minute * 7919 % 120
                rows.append({"dateTime": at.strftime("%m/%d/%y %H:%M:%S"), "value": str(value)})
        indent = 2 if number else None
        files.append(make.write(f"steps-2023-0{2 + number}-26.json", json.dumps(rows, indent=indent)))
    yield Set("made: Fitbit in Adelaide", files, zone="Australia/Adelaide")
    yield Set("made: Fitbit in New York", files[::-1], zone="America/New_York")


def google_and_samsung(make):
    make.begin("google and samsung")
    numbers = [number for number in range(day("2022-01-01"), day("2022-12-31")) if make.dice.random() < 0.9]
    daily = make.csv("Daily activity metrics.csv", "Date,Calories (kcal),Step count,Walking duration (ms)", [
        (day_text(number), "1500.25", make.dice.choice(("", make.steps(20_000))), "") for number in numbers])
    yield Set("made: Google's daily metrics", [daily])
    files = []
    for number in numbers[:10]:
        rows = []
        for quarter in range(96):
            ends = [f"{at // 4 % 24:02}:{at % 4 * 15:02}:00.000+05:30" for at in (quarter, quarter + 1)]
            rows.append((*ends, "10.5", make.dice.choice(("", "", make.steps(900)))))
        files.append(make.csv(f"{day_text(number)}.csv", "Start time,End time,Calories (kcal),Step count", rows))
    yield Set("made: Google's quarters of ten days", files)
    yield Set("made: Google's quarters read in Kolkata", files, zone="Asia/Kolkata")
    for kind, title in (("tracker.pedometer_day_summary", "step_count"), ("step_daily_trend", "count")):
        rows = []
        for number in numbers:
            at = number * MS_A_DAY if title == "step_count" else day_text(number) + " 00:00:00.000"
            told = {device: make.dice.choice((0, make.steps(20_000))) for device in ("AbC12345", "xyz", "AbC12345")}
            told["merged"] = max(told.values())
            for device, steps in told.items():
                kind_of_source = -2 if device == "merged" else 0
                # The older table has no kinds; there all devices together are a device of this name.
                name = exports.SAMSUNG_MERGED if device == "merged" and title == "step_count" else device
                rows.append(f"{at},{kind_of_source},x,{name},{steps},")
        text = f"com.samsung.shealth.{kind},6212007,5\nday_time,source_type,pkg_name,deviceuuid,{title}\n"
        if title == "step_count":
            text = text.replace("source_type", "healthy_step")
        path = make.write(f"com.samsung.shealth.{kind}.202207021430.csv", text + "\n".join(rows) + "\n")
        yield Set(f"made: Samsung's {kind}", [path])


def made(folder):
    """Everything that is made, written into a folder."""
    make = Maker(folder)
    for kind in (days, people, hours_and_minutes, intervals, overlaps, reports, bad_rows, counters,
                 written_otherwise, apple, apple_again, fitbit, google_and_samsung):
        yield from kind(make)
