"""The script: seventeen prints on an open-air wall, who hangs there on which date, and what happens to them.

Truth treats a split and a merge like this.  When a print tears in two, the larger piece keeps the identity and the
other piece is a new one.  When two prints are put into one frame, the identity of the larger goes on and the other's
ends.  ``date`` of an event is the date it shows on: the first one for a birth, the return for a gap, the first date in
two for a split, the first date together for a merge, the last one for an end.  Births on the collection's first date
and ends on its last are not events of the script.
"""

from dataclasses import dataclass
from datetime import date

from pipeline.sample.camera import Weather

DATES = tuple(
    date.fromisoformat(day)
    for day in (
        "2024-03-10",
        "2024-03-31",
        "2024-04-27",
        "2024-05-19",
        "2024-06-16",
        "2024-07-07",
        "2024-08-04",
        "2024-08-25",
        "2024-09-22",
        "2024-10-20",
        "2024-11-10",
        "2024-12-08",
    )
)

WEATHER = (
    Weather(1.0, -0.2, 0.7),
    Weather(1.06, 0.0, 0.2),
    Weather(1.02, -0.1, 0.9),
    Weather(1.08, 0.1, 0.1),
    Weather(1.06, 0.2, 0.0),
    Weather(1.02, 0.0, 0.5),
    Weather(1.05, 0.3, 0.0),
    Weather(1.0, 0.2, 0.3),
    Weather(0.95, 0.1, 0.6),
    Weather(0.9, 0.3, 0.2),
    Weather(0.84, -0.2, 0.9),
    Weather(0.78, -0.4, 1.0),
)
"""The light of each date, in the order of DATES."""


@dataclass(frozen=True)
class Hanging:
    """One print's time on the wall: its place (see ageing.PLACES), first and last index into DATES, dates absent."""

    place: str
    first: int = 0
    last: int = len(DATES) - 1
    absent: tuple[int, ...] = ()


@dataclass(frozen=True)
class Part:
    """What is seen of a print: all of it, or its ``left`` or ``right`` piece; ``age`` from 0, new, to 1."""

    subject: str
    place: str
    age: float
    piece: str = ""


@dataclass(frozen=True)
class View:
    """One subject of one date: its identity, and the parts side by side that a photograph of it shows."""

    identity: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Event:
    """Something that truly happened: ``other`` is what it split from, or what it merged into; empty otherwise."""

    kind: str
    date: date
    identity: str
    other: str = ""


HANGINGS: dict[str, Hanging] = {
    "astronaut": Hanging("sun"),
    "cameraman": Hanging("gutter"),
    "cat": Hanging("sun", absent=(7, 8)),
    "coffee": Hanging("gutter", first=2),
    "coins": Hanging("damp"),
    "flower": Hanging("damp", first=3),
    "galaxies": Hanging("sun"),
    "gravel": Hanging("ivy"),
    "handwriting": Hanging("damp"),
    "lake": Hanging("ivy"),
    "moon": Hanging("gutter"),
    "motorcycle": Hanging("sun"),
    "page": Hanging("gutter", last=5),
    "pagoda": Hanging("damp"),
    "retina": Hanging("ivy", last=6),
    "rocket": Hanging("damp"),
    "tissue": Hanging("ivy", first=4),
}

SPLIT_AT, SPLIT, SPLIT_PIECE = 6, "motorcycle", "motorcycle-right"
MERGE_AT, MERGED, MERGED_AWAY = 7, "moon", "rocket"


def views(index: int) -> list[View]:
    """Who is on the wall on DATES[index], in alphabetical order of identity."""
    seen = []
    for subject, hanging in HANGINGS.items():
        if not hanging.first <= index <= hanging.last or index in hanging.absent:
            continue
        part = Part(subject, hanging.place, _age(hanging, index))
        if subject == SPLIT and index >= SPLIT_AT:
            left, right = (Part(subject, part.place, part.age, piece) for piece in ("left", "right"))
            seen += [View(SPLIT, (left,)), View(SPLIT_PIECE, (right,))]
        elif subject == MERGED and index >= MERGE_AT:
            away = Part(MERGED_AWAY, HANGINGS[MERGED_AWAY].place, _age(HANGINGS[MERGED_AWAY], index))
            seen.append(View(MERGED, (part, away)))
        elif not (subject == MERGED_AWAY and index >= MERGE_AT):
            seen.append(View(subject, (part,)))
    return sorted(seen, key=lambda view: view.identity)


def events() -> list[Event]:
    """What truly happened, by date."""
    happened = [
        Event("split", DATES[SPLIT_AT], SPLIT_PIECE, SPLIT),
        Event("merge", DATES[MERGE_AT], MERGED_AWAY, MERGED),
    ]
    for subject, hanging in HANGINGS.items():
        if hanging.first > 0:
            happened.append(Event("birth", DATES[hanging.first], subject))
        if hanging.last < len(DATES) - 1:
            happened.append(Event("end", DATES[hanging.last], subject))
        if hanging.absent:
            happened.append(Event("gap", DATES[max(hanging.absent) + 1], subject))
    return sorted(happened, key=lambda event: (event.date, event.kind, event.identity))


def _age(hanging: Hanging, index: int) -> float:
    """Days on the wall as a share of the whole script, to the power 0.9: the first months do most.

    A print that is taken down lies dry and dark: the days until it hangs again do not count.
    """
    away = {step for absent in hanging.absent for step in (absent - 1, absent)}
    hung = sum((DATES[step + 1] - DATES[step]).days for step in range(hanging.first, index) if step not in away)
    return float((hung / (DATES[-1] - DATES[0]).days) ** 0.9)
