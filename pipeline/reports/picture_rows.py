"""What the picture of the tracks shows: which tracks, which dates, in which order, and what happened in each row."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from pipeline.errors import UserError


@dataclass(frozen=True)
class Cell:
    """A track on a date: how many images it has there, and one of them as the bytes of an image file, if known."""

    num_images: int
    pixels: bytes | None


@dataclass(frozen=True)
class Tie:
    """A split (``other`` came out of ``track``) or a merge (``other`` went into ``track``), at a column."""

    kind: str
    track: str
    other: str
    column: int


@dataclass(frozen=True)
class Row:
    """A track as it is drawn: what there is of it, its cells by column, how it begins and ends in the columns shown."""

    track: str
    num_images: int
    num_dates: int
    since: date
    until: date
    cells: Mapping[int, Cell]
    born: bool
    ended: bool
    earlier: bool
    later: bool
    note: str = ""

    @property
    def first(self) -> int:
        """The first column with a cell."""
        return min(self.cells)

    @property
    def last(self) -> int:
        """The last column with a cell."""
        return max(self.cells)


@dataclass(frozen=True)
class Plan:
    """Everything that is drawn, in order, and how much there is in all; pages count from 1."""

    rows: tuple[Row, ...]
    dates: tuple[date, ...]
    ties: tuple[Tie, ...]
    num_tracks: int
    num_dates: int
    num_images: int
    page: int = 1
    num_pages: int = 1


@dataclass(frozen=True)
class _Track:
    track: str
    first: date
    last: date
    num_dates: int
    num_images: int
    note: str


def plan(
    cells: pa.Table, events: pa.Table, dates: Sequence[date], max_tracks: int, max_dates: int, page: int = 1
) -> Plan:
    """Choose and order what the picture shows.

    Rows come by first date, then by size, then by id, except that tracks which split or merged follow each other.  Of
    too many tracks the first page has those seen on most dates, with the tracks they split from or merged with, the
    second page the next; of too many dates, evenly spaced ones with the first and the last are shown.

    Args:
        cells: track_id, date, num_images, and pixels and note (may be missing or null); one row a track and date.
        events: track_id, kind, other_track_id, date.
        dates: the collection's dates, ascending.
        max_tracks: rows, at most.
        max_dates: columns, at most.
        page: which ``max_tracks`` of the tracks, from 1.

    Raises:
        UserError: there is no such page.
    """
    tracks = _tracks(cells)
    ties = _ties(events, tracks)
    shown_dates = thinned(dates, max_dates)
    column = {day: index for index, day in enumerate(shown_dates)}
    by_track: dict[str, dict[int, Cell]] = defaultdict(dict)
    for cell in cells.to_pylist():
        if cell["date"] in column:
            by_track[cell["track_id"]][column[cell["date"]]] = Cell(cell["num_images"], cell.get("pixels"))
    families = [[track for track in family if track in by_track] for family in _families(tracks, ties)]
    families = [family for family in families if family]
    num_pages = max(1, -(-sum(map(len, families)) // max_tracks))
    if not 1 <= page <= num_pages:
        raise UserError(f"there is no page {page} of the picture: found {num_pages}, of {max_tracks} tracks each")
    order = _limited(families, tracks, slice((page - 1) * max_tracks, page * max_tracks))
    kinds = _kinds(events)
    rows = tuple(_row(tracks[name], by_track[name], kinds, dates, shown_dates) for name in order)
    kept = tuple(
        Tie(kind, track, other, _column(day, shown_dates))
        for kind, track, other, day in ties
        if track in order and other in order
    )
    total = sum(track.num_images for track in tracks.values())
    return Plan(rows, shown_dates, kept, len(tracks), len(dates), total, page, num_pages)


def _kinds(events: pa.Table) -> set[tuple[str, str]]:
    """(track, kind) of the events; without the end of a track that was revived after it."""
    counts = Counter((event["track_id"], event["kind"]) for event in events.to_pylist())
    return {(track, kind) for (track, kind), n in counts.items() if kind != "end" or n > counts[track, "revival"]}


def thinned(dates: Sequence[date], most: int) -> tuple[date, ...]:
    """At most ``most`` of ``dates``, evenly spaced in their order, the first and the last among them."""
    if len(dates) <= most:
        return tuple(dates)
    if most == 1:
        return (dates[-1],)
    return tuple(dates[round(index * (len(dates) - 1) / (most - 1))] for index in range(most))


def _tracks(cells: pa.Table) -> dict[str, _Track]:
    days: dict[str, list[date]] = defaultdict(list)
    images: dict[str, int] = defaultdict(int)
    notes: dict[str, str] = {}
    for cell in cells.drop_columns([name for name in cells.column_names if name == "pixels"]).to_pylist():
        days[cell["track_id"]].append(cell["date"])
        images[cell["track_id"]] += cell["num_images"]
        notes[cell["track_id"]] = cell.get("note") or ""
    return {
        name: _Track(name, min(found), max(found), len(found), images[name], notes[name])
        for name, found in sorted(days.items())
    }


def _ties(events: pa.Table, tracks: Mapping[str, _Track]) -> list[tuple[str, str, str, date]]:
    """(kind, the track that goes through, the one that begins or ends there, date), each once.

    An event may name the two either way round; which of them begins with a split or ends with a merge, the dates tell.
    """
    found = set()
    for event in events.to_pylist():
        one, two = tracks.get(event["track_id"]), tracks.get(event["other_track_id"] or "")
        if event["kind"] not in ("split", "merge") or one is None or two is None:
            continue
        if event["kind"] == "split":
            track, other = sorted((one, two), key=lambda track: (track.first, track is one))
        else:
            other, track = sorted((one, two), key=lambda track: (track.last, track is two))
        found.add((event["kind"], track.track, other.track, event["date"]))
    return sorted(found)


def _families(tracks: Mapping[str, _Track], ties: Iterable[tuple[str, str, str, date]]) -> list[list[str]]:
    """Tracks that split or merged, together; each family and the list of them by first date, size and id."""
    family = {name: {name} for name in tracks}
    for _, track, other, _ in ties:
        joined = family[track] | family[other]
        for name in joined:
            family[name] = joined
    rank = {name: (track.first, -track.num_images, name) for name, track in tracks.items()}
    done: set[str] = set()
    result = []
    for name in sorted(tracks, key=rank.__getitem__):
        if name not in done:
            result.append(sorted(family[name], key=rank.__getitem__))
            done |= family[name]
    return result


def _limited(families: list[list[str]], tracks: Mapping[str, _Track], wanted: slice) -> list[str]:
    """Of the tracks, those of families with the longest-seen members first, the ``wanted``, in the given order."""

    def size(name: str) -> tuple[int, int, str]:
        return (-tracks[name].num_dates, -tracks[name].num_images, name)

    by_size = sorted(families, key=lambda family: min(map(size, family)))
    kept = set([name for family in by_size for name in sorted(family, key=size)][wanted])
    return [name for family in families for name in family if name in kept]


def _row(
    track: _Track,
    cells: Mapping[int, Cell],
    kinds: set[tuple[str, str]],
    dates: Sequence[date],
    shown: Sequence[date],
) -> Row:
    first, last = shown[min(cells)], shown[max(cells)]
    return Row(
        track.track,
        track.num_images,
        track.num_dates,
        track.first,
        track.last,
        cells,
        born=(track.track, "birth") in kinds and track.first > dates[0] and min(cells) > 0,
        ended=(track.track, "end") in kinds and max(cells) < len(shown) - 1,
        earlier=track.first < first and min(cells) == 0,
        later=last == shown[-1] and (track.last > last or (track.track, "end") not in kinds),
        note=track.note,
    )


def _column(day: date, shown: Sequence[date]) -> int:
    """The column an event of ``day`` shows in: the first date shown that is not before it."""
    return next((index for index, found in enumerate(shown) if found >= day), len(shown) - 1)
