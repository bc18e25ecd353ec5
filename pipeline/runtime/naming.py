"""The naming stage: what linking found -> published ids, and what that changed (DESIGN.md rules 2 and 5).

The registry is history, not a function of the other tables, so it is written with care: a naming is one commit, that
of the registry's one partition, whose manifest says which run made it and from which links.  ``aliases`` and
``changes`` of the run are put before it, and those of a run that did not get as far are taken away by the next.  What
a killed run has named is published (``finish``) before anything that it was named from can change.
"""

import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipeline import schemas
from pipeline.commits import Manifest
from pipeline.digests import digest
from pipeline.parts import Staged
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call
from pipeline.runtime.staleness import parameters, why_stale
from pipeline.runtime.steps import CURRENT, plan_date, run_stage, stage_dates
from pipeline.schemas import Table
from pipeline.stages import naming
from pipeline.stages.catalog import TRACKS
from pipeline.stages.naming import Naming, NamingParams
from pipeline.tablestore import TableStore

VERSION = 1
TABLES = (schemas.ALIASES, schemas.CHANGES, schemas.REGISTRY)
"""What it writes; the last one is the commit."""

_ASSIGNED = ("image_id", "cluster_id")
_DECIDED = ("cluster_id", "track_key")
_PUBLISHED = ("image_id", "track_id")


@dataclass(frozen=True)
class Place:
    """A partition of a table, read on a worker."""

    store: TableStore
    name: str
    manifest: Manifest
    columns: tuple[str, ...]

    def read(self) -> pa.Table:
        """Its rows."""
        return self.store.read(self.name, self.columns, self.manifest)


@dataclass(frozen=True)
class Day:
    """A date: as it was published, and as it is now; None where it was not, or is not."""

    date: str
    before: Place | None
    assigned: Place | None
    decided: Place | None

    def load(self) -> pa.Table:
        """Every image with its track before and now (:func:`pipeline.stages.naming.beside`)."""
        now = pa.table({name: pa.array([], pa.string()) for name in ("image_id", "track_key")})
        if self.assigned is not None and self.decided is not None:
            now = naming.keyed(self.assigned.read(), self.decided.read())
        before = schemas.TRACKS.empty().select(_PUBLISHED) if self.before is None else self.before.read()
        return naming.beside(before, now)


@dataclass(frozen=True)
class Task:
    """All that naming reads; ``changed`` are the dates that are not as they were published, ``rest`` all others."""

    registry: Place | None
    changed: tuple[Day, ...]
    rest: tuple[Day, ...]


@dataclass(frozen=True)
class Named:
    """What comes back to the driver."""

    staged: tuple[Staged | None, Staged | None, Staged]
    renamed: tuple[str, ...]
    churn: Mapping[str, int]


def run_naming(context: Context) -> None:
    """Name what linking found, if that is not what was named last; the churn is added to ``context.churn``."""
    if why_unnamed(context) is None:
        return
    context.workspace.begin()
    stores = tuple(context.store(table) for table in TABLES)
    registry = stores[-1].partitions.get(CURRENT)
    if registry is not None:
        _drop_unfinished(stores[:-1], registry.inputs["run"])
    context.reporter.start("naming", 1, "tables")
    params, part_bytes = context.config.naming, context.config.resources.part_bytes
    call = Call("naming", "the registry", name_tracks, (_task(context), params, stores, context.run, part_bytes))
    for _, named in context.engine().call([call]):
        facts = _facts(context.run, registry, named.renamed)
        for store, staged in zip(stores, named.staged, strict=True):
            if store is stores[-1]:
                store.commit(CURRENT, staged, {**naming_inputs(context), **facts})
            elif staged is not None:
                store.commit(context.run, staged, {"version": str(VERSION)})
        context.churn.update(named.churn)
    context.done["naming"] += 1
    context.reporter.advance(1)
    context.reporter.finish()
    for store in stores:
        store.flush()


def _facts(run: str, old: Manifest | None, renamed: tuple[str, ...]) -> dict[str, str]:
    """What the registry's manifest says beside its inputs: which registry it is, and when dates got other names."""
    history = secrets.token_hex(8) if old is None else old.inputs["history"]
    known = {} if old is None else json.loads(old.inputs["renamed"])
    return {"run": run, "history": history, "renamed": json.dumps({**known, **dict.fromkeys(renamed, run)})}


def _drop_unfinished(stores: tuple[TableStore, ...], last: str) -> None:
    """Take away what a killed run wrote of a naming that it did not commit."""
    for store in stores:
        for run in [run for run in store.partitions if run > last]:
            store.remove(run)


def finish(context: Context) -> None:
    """Publish what a killed run had named, before anything that it was named from changes."""
    committed = context.store(schemas.IMAGES).partitions and context.store(schemas.REGISTRY).partitions
    if committed and why_unnamed(context) is None:
        run_stage(context, TRACKS)


def why_unnamed(context: Context) -> str | None:
    """Why a run would name the tracks, for a person; None where there is nothing to name, or it is named."""
    manifest = context.store(schemas.REGISTRY).partitions.get(CURRENT)
    if manifest is None and not context.store(schemas.LINK_DECISIONS).partitions:
        return None
    if manifest is None:
        return "not computed yet"
    inputs = naming_inputs(context)
    old = Manifest({name: manifest.inputs.get(name, "") for name in inputs}, (), {})
    return why_stale(old, inputs)


def naming_inputs(context: Context) -> dict[str, str]:
    """What a naming depends on but for history: its parameters, and which image is in which track of linking."""
    assigned, decided = context.store(schemas.ASSIGNMENTS).partitions, context.store(schemas.LINK_DECISIONS).partitions
    links = [
        [date, assigned[date].content_of(_ASSIGNED), one.content_of(_DECIDED)]
        for date, one in decided.items()
        if date in assigned
    ]
    return {"version": str(VERSION), **parameters("naming", context.config.naming), "links": digest(links)}


def name_tracks(  # noqa: PLR0913  (what a call hands over, and its resources)
    task: Task,
    params: NamingParams,
    stores: tuple[TableStore, ...],
    run: str,
    part_bytes: int,
    *,
    threads: int,
    gpu: bool,
) -> Named:
    """On a worker: count, match, write; dates are read one at a time, twice."""
    del threads, gpu
    registry = schemas.REGISTRY.empty() if task.registry is None else task.registry.read()
    counts = Counter[tuple[str | None, str | None]]()
    for day in task.changed:
        counts.update(naming.tally(day.load()))
    named = naming.name(registry, counts, params)
    moved, renamed = Counter[str](), list[str]()
    rows = _changes(task, named, moved, renamed) if task.registry is not None else iter(())
    aliases, changes, current = stores
    first = next(rows, None)
    staged = (
        aliases.stage(run, [named.alias_rows()], part_bytes) if named.aliases else None,
        changes.stage(run, _chained(first, rows), part_bytes) if first is not None else None,
        current.stage(CURRENT, [named.registry], part_bytes),
    )
    return Named(staged, tuple(renamed), {**named.churn, **moved})


def _chained(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


def _changes(task: Task, named: Naming, moved: Counter[str], dates: list[str]) -> Iterator[pa.Table]:
    """Rows of ``changes`` by date; counts them by why, and lists the dates that are left with a former name."""
    changed = {day.date for day in task.changed}
    for day in sorted((*task.changed, *(task.rest if named.renamed else ())), key=lambda day: day.date):
        if day.date in changed:
            rows = naming.changes(day.date, day.load(), named)
        elif day.before is not None:
            rows = naming.renamed(day.date, day.before.read(), named)
            dates += [day.date] if rows.num_rows else []
        if rows.num_rows:
            moved.update({f"images_{why}": count for why, count in Counter(rows["why"].to_pylist()).items()})
            yield rows


def _task(context: Context) -> Task:
    """Which dates are not as they were published: their images' clusters or links are others, or they are gone."""
    tracks, registry = context.store(schemas.TRACKS), context.store(schemas.REGISTRY)
    manifest = registry.partitions.get(CURRENT)
    published = set() if manifest is None else _as_published(context)
    changed, rest = list[Day](), list[Day]()
    for date in sorted({*tracks.partitions, *context.store(schemas.LINK_DECISIONS).partitions} - {schemas.UNDATED}):
        before = None if manifest is None else _place(context, schemas.TRACKS, date, _PUBLISHED)
        assigned = _place(context, schemas.ASSIGNMENTS, date, _ASSIGNED)
        day = Day(date, before, assigned, _place(context, schemas.LINK_DECISIONS, date, _DECIDED))
        (rest if date in published else changed).append(day)
    known = _place(context, schemas.REGISTRY, CURRENT, tuple(schemas.REGISTRY.names))
    return Task(known, tuple(changed), tuple(rest))


def _as_published(context: Context) -> set[str]:
    """Dates whose ``tracks`` were made from the clusters and links that they have now."""
    dates, tracks = stage_dates(context, TRACKS), context.store(schemas.TRACKS).partitions
    found = set()
    for index, date in enumerate(dates):
        work = plan_date(context, TRACKS, dates, index)
        old = tracks.get(date)
        same = ("assignments", "decisions")
        if work is not None and old is not None and all(old.inputs.get(name) == work.inputs[name] for name in same):
            found.add(date)
    return found


def _place(context: Context, table: Table, name: str, columns: tuple[str, ...]) -> Place | None:
    store = context.store(table)
    manifest = store.partitions.get(name)
    return None if manifest is None else Place(store, name, manifest, columns)
