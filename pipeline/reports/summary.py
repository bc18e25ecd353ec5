"""What came out of a run, and the state of a workspace, as tables for people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table

from pipeline.reports.text import DASH, count, joined, table
from pipeline.schemas import UNDATED


@dataclass(frozen=True)
class RunSummary:
    """What a workspace's collection and one clustering hold after a run.

    Attributes:
        images: Images of the collection, failed and undated ones among them.
        failed: Reason -> images without a vector for it.
        dates: Dates with an image.
        undated: Images without a date.
        duplicates: Images with the same bytes as another of their date.
        vanished: Images that are listed no longer and keep their row.
        clusters: Clusters of all dates.
        tracks: Tracks; ``open_tracks`` of them have not ended.
        events: Kind -> events.
        computed: Stage -> partitions (images, for a map stage) that this run computed; empty if it had nothing to do.
        seconds: Wall time of the run.
        churn: What naming did to published ids, as :class:`pipeline.stages.naming.Naming` counts it; empty if nothing.
    """

    images: int
    failed: Mapping[str, int]
    dates: int
    undated: int
    duplicates: int
    clusters: int
    tracks: int
    open_tracks: int
    events: Mapping[str, int]
    computed: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    vanished: int = 0
    churn: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PartitionStatus:
    """A partition of a table.

    Attributes:
        table: The table's name.
        partition: The date, or the fitted model's name.
        rows: Committed rows; None where nothing is committed yet.
        stale: Why it is to be computed again, None where it is up to date.
        failed: Reason -> rows without a result.
        waiting: Whether ``stale`` names what it waits for: it is computed again unless that comes out as it was.
        vanished: Rows of images that are listed no longer.
        dated_by: Of ``images``: rung of the dating ladder -> images that it dated.
        unreadable: Of ``images``: those for which the manifest has text in its date column that is no time.
    """

    table: str
    partition: str
    rows: int | None
    stale: str | None = None
    failed: Mapping[str, int] = field(default_factory=dict)
    waiting: bool = False
    vanished: int = 0
    dated_by: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0


NO_DATE = (
    "No image has a date, so nothing is linked: give a --manifest with a column captured_at, or take the files' times "
    "(--set ingest.date_from_modified=true)"
)


def render_summary(summary: RunSummary) -> RenderableType:
    """The run's result as a table of two columns."""
    tracks = f"{count(summary.tracks)} ({count(summary.open_tracks)} open)"
    rows = [
        ("images", count(summary.images)),
        ("  failed", _reasons(summary.failed)),
        ("  without a date", count(summary.undated)),
        ("  duplicates within a date", count(summary.duplicates)),
        ("  vanished", count(summary.vanished)),
        ("dates", count(summary.dates)),
        ("clusters", count(summary.clusters)),
        ("tracks", tracks),
        ("events", _reasons(summary.events)),
    ]
    rows += _churn(summary.churn)
    if summary.seconds is not None:
        rows.append(("computed", joined(summary.computed.items()) if summary.computed else "nothing: all up to date"))
        rows.append(("time", f"{summary.seconds:.1f} s"))
    result = table("What came out", ("", ""), rows, text_columns=2)
    result.show_header = False
    return Group(result, NO_DATE) if summary.undated and not summary.dates else result


def _churn(churn: Mapping[str, int]) -> list[tuple[str, str]]:
    """What became of the ids, and of the images that had a track before."""
    if not churn:
        return []
    ids = ("kept", "new", "merged", "split", "revived", "retired")
    why = {name: images for name, images in churn.items() if name.startswith("images_")}
    kept, added = why.pop("images_kept", 0), why.pop("images_added", 0)
    removed = why.pop("images_removed", 0)
    moved = sum(why.values())
    rows = [("published ids", joined((name, churn[name]) for name in ids if churn.get(name)))]
    if churn.get("stitched"):
        rows.append(("  stitched later", f"{count(churn['stitched'])} (parts that are of an earlier track)"))
    if kept + moved:
        share = f"{100 * kept / (kept + moved):.2f} % keep theirs"
        kinds = [(name.removeprefix("images_"), number) for name, number in sorted(why.items())]
        shown = joined([*kinds, *((name, n) for name, n in (("added", added), ("removed", removed)) if n)])
        rows.append(("  of the images", share if shown == DASH else f"{share}; {shown}"))
    return rows


def render_status(rows: Sequence[PartitionStatus], details: bool = True) -> RenderableType:
    """What is committed, stale and failed: a line a table, then (``details``) a line a partition.

    Args:
        rows: In the order of the tables; the order is kept.
        details: Whether to list the partitions too.
    """
    if not rows:
        return "nothing is committed yet"
    parts: list[RenderableType] = [_totals(rows)]
    dated_by = sum((Counter(one.dated_by) for one in rows), Counter[str]())
    if dated_by:
        unreadable = sum(one.unreadable for one in rows)
        aside = f"; the manifest's time of {count(unreadable)} cannot be read" if unreadable else ""
        parts.append(f"Images dated by {joined(dated_by.most_common())}{aside}\n")
    if dated_by and all(one.partition == UNDATED for one in rows if one.dated_by):
        parts.append(f"{NO_DATE}\n")
    if not details:
        parts += [f"{line}\n" for line in _whys(rows)]
    else:
        lines = [
            (one.table, _partition(one.partition), _rows(one.rows), one.stale or "up to date", _lost([one]))
            for one in rows
        ]
        parts.append(_status_table("By partition", ("table", "partition", "rows", "state", "failed"), lines))
    return Group(*parts)


def _whys(rows: Sequence[PartitionStatus]) -> list[str]:
    """A line a table and cause of what is stale by itself."""
    causes = Counter((one.table, one.stale) for one in rows if one.stale is not None and not one.waiting)
    first = {(one.table, one.stale): _partition(one.partition) for one in reversed(rows)}
    return [
        f"{table} {first[table, why]}" + (f" and {count(number - 1)} more" if number > 1 else "") + f": {why}"
        for (table, why), number in causes.items()
    ]


def _totals(rows: Sequence[PartitionStatus]) -> Table:
    lines = []
    for name in dict.fromkeys(one.table for one in rows):
        mine = [one for one in rows if one.table == name]
        committed = [one.rows for one in mine if one.rows is not None]
        waiting = sum(one.waiting for one in mine)
        states = {"stale": sum(one.stale is not None for one in mine) - waiting, "waiting": waiting}
        shown = ", ".join(f"{count(number)} {word}" for word, number in states.items() if number)
        state = f"{shown}, of {count(len(mine))}" if shown else "up to date"
        lines.append((name, f"{count(len(committed))} partitions", count(sum(committed)), state, _lost(mine)))
    return _status_table("By table", ("table", "committed", "rows", "state", "failed"), lines)


def _status_table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    result = table(title, columns, lines, text_columns=len(columns))
    result.columns[2].justify = "right"
    return result


def _rows(rows: int | None) -> str:
    return DASH if rows is None else count(rows)


def _partition(name: str) -> str:
    return "undated" if name == UNDATED else name


def _lost(rows: Sequence[PartitionStatus]) -> str:
    """Rows without a result by reason, and those of images that are listed no longer."""
    failed = sum((Counter(one.failed) for one in rows), Counter[str]())
    vanished = sum(one.vanished for one in rows)
    return _reasons(failed) + (f"; {count(vanished)} vanished" if vanished else "")


def _reasons(counts: Mapping[str, int]) -> str:
    """``7: corrupt 5, empty 2``: the total, then the most frequent first and level ones by name."""
    total = sum(counts.values())
    if not total:
        return "0"
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{count(total)}: {joined(item for item in order if item[1])}"
