"""What is imported: the published sets, with the figures that their README files give."""

import collections
import dataclasses
import os
import typing
import zoneinfo

import exports
import reckoning
from reckoning import day_text

# A day after every set's last one; an import is told the day, it reads no clock.
TODAY = "2026-11-21"


@dataclasses.dataclass
class Set:
    """Files that are imported together, and how."""

    name: str
    files: list
    zone: str | None = None
    today: str = TODAY
    settings: exports.Settings = dataclasses.field(default_factory=exports.Settings)
    source: str | None = None
    names: dict = dataclasses.field(default_factory=dict)
    only: str | None = None
    # Known figures, each as (what, expected, got).
    figures: typing.Callable = lambda found, reckoned: []

    def reckon(self):
        found = exports.read_files(self.files, self.settings)
        zone = zoneinfo.ZoneInfo(self.zone) if self.zone else None
        today = exports.whole_day(self.today, None)
        reckoned = reckoning.reckon(found, today, zone, self.source or "import", self.names, self.only)
        return found, reckoned

    def options(self):
        """The same settings for the command line."""
        words = ["--today", self.today]
        for option, value in (("--zone", self.zone), ("--source", self.source), ("--user", self.only),
                              ("--delimiter", self.settings.delimiter), ("--dates", self.settings.dates),
                              ("--slot", self.settings.slot)):
            words += [option, str(value)] if value is not None else []
        if self.settings.day is not None:
            words += ["--day", day_text(self.settings.day)]
        for name, source in self.names.items():
            words += ["--map", f"{name}={source}"]
        for role, title in self.settings.columns.items():
            words += ["--column", f"{role}={title}"]
        return words


def by_day(reckoned):
    """Shown steps by (person, day as text)."""
    return {(person, day_text(day)): steps for (person, day), steps in reckoned.shown().items()}


def figures_of(days=None, least=None, most=None, mean=None, steps=None, zero=None, blank=None, splits=None):
    """Checks what README files say of nearly every set."""

    def figures(found, reckoned):
        shown = list(reckoned.shown().values())
        known = [
            ("days", days, len(shown)),
            ("the least steps of a day", least, min(shown)),
            ("the most steps of a day", most, max(shown)),
            ("the mean of a day", mean, round(sum(shown) / len(shown))),
            ("steps", steps, sum(shown)),
            ("days of 0 steps", zero, shown.count(0)),
            ("blank rows", blank, reckoned.blank),
            ("records over midnight", splits, reckoned.splits),
        ]
        return [(what, expected, got) for what, expected, got in known if expected is not None]

    return figures


def fitabase_daily(found, reckoned):
    """944 days, and 17 days that the second report raises."""
    common = figures_of(days=944, least=0, most=36_019, mean=7_028, zero=105)(found, reckoned)
    return [*common, ("days told twice, raised, lowered, kept", (17, 17, 0, 0),
                      tuple(reckoned.rereports[what] for what in ("days", "raised", "lowered", "kept")))]


def lifesnaps_daily(folder):
    """Every daily total is the sum of the day's hours; days that only the hours know are 0."""

    def figures(found, reckoned):
        common = figures_of(days=3_096, least=0, most=43_112, mean=8_802, zero=55)(found, reckoned)
        hours = by_day(Set("", [os.path.join(folder, "hourly.csv.gz")]).reckon()[1])
        days = by_day(reckoned)
        beside = [steps for key, steps in hours.items() if key not in days]
        return [*common, ("days that differ from their hours", 0, sum(hours[key] != days[key] for key in days)),
                ("days with hours", 3_524, len(hours)), ("steps of days that only hours know", 0, sum(beside))]

    return figures


def iphone_printed(found, reckoned):
    """The README counts days by the date printed for a record's start."""
    started = collections.Counter()
    for record in found.records:
        started[record.start.wall // reckoning.MS_A_DAY] += record.steps
    late = [stored - end for end, stored in found.arrivals]
    return [("days by printed start", (772, "2016-02-24", "2018-04-15"),
             (len(started), day_text(min(started)), day_text(max(started)))),
            ("records over midnight", 33, reckoned.splits),
            ("the least and most by printed start", (4, 16_393), (min(started.values()), max(started.values()))),
            ("steps, whatever the day", sum(started.values()), reckoned.steps),
            ("records, duplicates, overlaps", (12_250, 0, 0),
             (reckoned.rows, reckoned.duplicates, reckoned.overlaps)),
            ("stored before they ended", 0, sum(delay < 0 for delay in late)),
            ("the longest delay in tenths of an hour", 209, round(max(late) / 360_000))]


def iphone_zoned(found, reckoned):
    """Read in the wearer's zone 123 days get another total than by the printed date (by start, as counted there)."""
    printed, zoned = collections.Counter(), collections.Counter()
    calendar = reckoning.Calendar(zoneinfo.ZoneInfo("America/New_York"))
    for record in found.records:
        printed[record.start.wall // reckoning.MS_A_DAY] += record.steps
        zoned[calendar.day(record.start)] += record.steps
    return [("days with another total than by the printed date", 123,
             sum(printed[day] != zoned[day] for day in printed | zoned)),
            ("steps, whatever the day", sum(printed.values()), reckoned.steps)]


def tracker_reports(found, reckoned):
    days = by_day(reckoned)
    common = figures_of(days=2_238, least=294, most=55_122, mean=9_819)(found, reckoned)
    return [*common, ("the two days that had been swapped", (10_903, 8_214),
                      (days["", "2024-12-16"], days["", "2024-12-17"])),
            ("days told twice, raised, lowered, kept", (2, 1, 1, 0),
             tuple(reckoned.rereports[what] for what in ("days", "raised", "lowered", "kept")))]


def oxford(app, reference, hardware):
    def figures(found, reckoned):
        got = {source: recorded for (_, source, _), (recorded, _, _) in reckoned.cells.items()}
        return [("the counts at the end of the walks", {"app": app, "reference": reference, "hardware": hardware},
                 got)]

    return figures


def published(data):
    """Every file of every published set, most of them also one by one."""

    def at(folder, *names):
        return [os.path.join(data, folder, name) for name in names]

    fitabase = at("fitabase", "daily.csv", "hourly.csv.gz", "minute.csv.gz")
    iphone = at("iphone-records", "records.csv.gz")
    walks = exports.Settings(day=exports.whole_day("2018-01-01", None))
    places = ("backpocket", "bag", "frontpocket", "hand")
    sets = [
        Set("fitabase daily", fitabase[:1], figures=fitabase_daily),
        Set("fitabase hourly", fitabase[1:2]),
        Set("fitabase minute", fitabase[2:], figures=figures_of(steps=4_600_932)),
        Set("fitabase daily + hourly + minute", fitabase),
        Set("lifesnaps daily", at("lifesnaps", "daily.csv"), figures=lifesnaps_daily(os.path.join(data, "lifesnaps"))),
        Set("lifesnaps hourly", at("lifesnaps", "hourly.csv.gz"), figures=figures_of(days=3_524)),
        Set("iphone-records by printed offset", iphone, figures=iphone_printed),
        Set("iphone-records in America/New_York", iphone, zone="America/New_York", figures=iphone_zoned),
        Set("stanford-fitbit-minutes", at("stanford-fitbit-minutes", "minute.csv.gz"),
            figures=figures_of(days=75, least=190, most=26_666, mean=6_513, splits=0)),
        Set("tracker-reports", at("tracker-reports", "reports.csv"), figures=tracker_reports),
        Set("oxford-walks user1", at("oxford-walks", *(f"user1_{place}.csv" for place in places)), settings=walks,
            figures=oxford(1_471, 1_342, 0)),
        Set("oxford-walks user2", at("oxford-walks", *(f"user2_{place}.csv" for place in places)), settings=walks,
            figures=oxford(1_402, 1_381, 1_381)),
        Set("pedometer-hourly", at("pedometer-hourly", "hourly.csv"),
            figures=figures_of(days=331, least=297, most=17_334, mean=5_828)),
        Set("iphone-daily", at("iphone-daily", "daily.csv"),
            figures=figures_of(days=3_247, least=2, most=36_885, mean=5_786, zero=0)),
        Set("googlefit-daily", at("googlefit-daily", "daily.csv"),
            figures=figures_of(days=1_029, least=12, most=33_217, mean=3_382, zero=0, blank=24)),
    ]
    for place in places:
        for user in ("user1", "user2"):
            sets.append(Set(f"oxford-walks {user} {place}", at("oxford-walks", f"{user}_{place}.csv"), settings=walks))
    left_out = {path for folder in os.listdir(data) if os.path.isdir(os.path.join(data, folder))
                for path in at(folder, *os.listdir(os.path.join(data, folder)))
                if path.endswith((".csv", ".csv.gz"))} - {path for each in sets for path in each.files}
    if left_out:
        raise SystemExit(f"no set holds {sorted(left_out)}")
    return sets
