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
import pyarrow.compute as pc

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
from pipeline.stages.stitched import Chains
from pipeline.tablestore import TableStore

VERSION = 2
TABLES = (schemas.ALIASES, schemas.CHANGES, schemas.REGISTRY)
"""What it writes; the last one is the commit."""

_ASSIGNED = ("image_id", "cluster_id")
_DECIDED = ("cluster_id", "track_key")
_PUBLISHED = ("image_id", "track_id")
_STITCHED = ("track_key", "earlier_track_key", "last_date", "first_date")


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
    """A date: as it was published, and as it is now; None where it was not, or is not.

    ``same``: it was published from the clusters and links that it has now.
    """

    date: str
    before: Place | None
    assigned: Place | None
    decided: Place | None
    same: bool

    def load(self, chains: Chains) -> pa.Table:
        """Every image with its track before and now (:func:`pipeline.stages.naming.beside`)."""
        now = pa.table({name: pa.array([], pa.string()) for name in ("image_id", "track_key")})
        if self.assigned is not None and self.decided is not None:
            now = naming.keyed(self.assigned.read(), self.decided.read(), chains)
        before = schemas.TRACKS.empty().select(_PUBLISHED) if self.before is None else self.before.read()
        return naming.beside(before, now)


@dataclass(frozen=True)
class Task:
    """All that naming reads; ``days`` ascending; ``reach``: dates after its last on which a track may be spoken of."""

    registry: Place | None
    stitches: tuple[Place, ...]
    days: tuple[Day, ...]
    reach: int


@dataclass(frozen=True)
class Named:
    """What comes back to the driver."""

    staged: tuple[Staged | None, Staged | None, Staged]
    renamed: tuple[str, ...]
    taken_up: Mapping[str, list[str]]
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
        facts = _facts(context.run, registry, named)
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


def _facts(run: str, old: Manifest | None, named: Named) -> dict[str, str]:
    """What the registry's manifest says beside its inputs.

    Which registry it is, when dates got other names, and on which dates tracks of which last dates are taken up.
    """
    history = secrets.token_hex(8) if old is None else old.inputs["history"]
    known = {} if old is None else json.loads(old.inputs["renamed"])
    renamed = json.dumps({**known, **dict.fromkeys(named.renamed, run)})
    return {"run": run, "history": history, "renamed": renamed, "taken_up": json.dumps(named.taken_up)}


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
    told = {"links": digest(links), "stitches": digest([one.manifest.content_of(_STITCHED) for one in _sewn(context)])}
    return {"version": str(VERSION), **parameters("naming", context.config.naming), **told}


def _sewn(context: Context) -> tuple[Place, ...]:
    """Where stitches are; of most dates there is none to read."""
    store = context.store(schemas.STITCHES)
    return tuple(Place(store, date, one, _STITCHED) for date, one in store.partitions.items() if one.rows)


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
    registry = schemas.REGISTRY.empty() if task.registry is None else _whole(task.registry.read())
    none = schemas.STITCHES.empty().select(_STITCHED)
    chains = Chains.of(pa.concat_tables([none, *(place.read() for place in task.stitches)]))
    sewn = chains.moved(registry)
    counted = _counted(task.days, sewn, chains)
    counts = Counter[tuple[str | None, str | None]]()
    for day in task.days:
        if day.date in counted:
            counts.update(naming.tally(day.load(chains)))
    named = naming.name(registry, counts, params, chains)
    moved, touched = Counter[str](), set[str]()
    rows = _changes(task, counted, chains, named, moved, touched) if task.registry is not None else iter(())
    aliases, changes, current = stores
    first = next(rows, None)
    staged = (
        aliases.stage(run, [named.alias_rows()], part_bytes) if named.aliases else None,
        changes.stage(run, _chained(first, rows), part_bytes) if first is not None else None,
        current.stage(CURRENT, [named.registry], part_bytes),
    )
    renamed = _other_names(task, touched, sewn, chains)
    return Named(staged, renamed, chains.taken_up, {**named.churn, **moved})


def _whole(registry: pa.Table) -> pa.Table:
    """A registry of before tracks were stitched, too: it is history and cannot be computed again."""
    if "later_keys" in registry.column_names:
        return registry
    none = pa.array([[]] * registry.num_rows, schemas.REGISTRY.empty().schema.field("later_keys").type)
    return registry.append_column("later_keys", none).select(schemas.REGISTRY.names)


def _counted(days: tuple[Day, ...], sewn: tuple[set[str], bool], chains: Chains) -> set[str]:
    """Dates whose images are counted: those that changed, and those on which stitches give tracks another name.

    From the first date of what is stitched newly; all of them where a stitch is there no longer, which an appended
    date does not do.  ``sewn``: of :meth:`Chains.moved`.
    """
    fresh, lost = sewn
    since = "" if lost else min((chains.since[key].isoformat() for key in fresh), default=None)
    return {day.date for day in days if not day.same or (since is not None and day.date >= since)}


def _other_names(task: Task, touched: set[str], sewn: tuple[set[str], bool], chains: Chains) -> tuple[str, ...]:
    """The dates that did not change and are to be published again, for a track is called otherwise or goes on.

    ``touched``: dates with images of such tracks.  Links and events of the dates after them speak of these tracks too,
    and of a track that is taken up the summary lies on its last date.
    """
    same = [day.date for day in task.days if day.same]
    fresh, lost = sewn
    if lost:
        return tuple(same)
    dates = [day.date for day in task.days]
    again = {later for k, date in enumerate(dates) if date in touched for later in dates[k : k + task.reach + 1]}
    again |= {chains.ends[key].isoformat() for key in fresh}
    return tuple(date for date in same if date in again)


def _chained(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


def _changes(
    task: Task, counted: set[str], chains: Chains, named: Naming, moved: Counter[str], touched: set[str]
) -> Iterator[pa.Table]:
    """Rows of ``changes`` by date; counts them by why, and notes the dates with a track that has another name."""
    others = pa.array(named.renamed, pa.string())
    for day in task.days:
        if day.date in counted:
            rows = naming.changes(day.date, day.load(chains), named)
        elif named.elsewhere and day.before is not None:
            rows = naming.renamed(day.date, day.before.read(), named)
        else:
            continue
        if rows.num_rows:
            moved.update({f"images_{why}": count for why, count in Counter(rows["why"].to_pylist()).items()})
            if pc.any(pc.is_in(rows["old_track_id"], others)).as_py():
                touched.add(day.date)
            yield rows


def _task(context: Context) -> Task:
    """The dates, those that are not as they were published among them: other clusters or links, or gone."""
    tracks, registry = context.store(schemas.TRACKS), context.store(schemas.REGISTRY)
    manifest = registry.partitions.get(CURRENT)
    published = set() if manifest is None else _as_published(context)
    days = list[Day]()
    for date in sorted({*tracks.partitions, *context.store(schemas.LINK_DECISIONS).partitions} - {schemas.UNDATED}):
        before = None if manifest is None else _place(context, schemas.TRACKS, date, _PUBLISHED)
        assigned = _place(context, schemas.ASSIGNMENTS, date, _ASSIGNED)
        decided = _place(context, schemas.LINK_DECISIONS, date, _DECIDED)
        days.append(Day(date, before, assigned, decided, date in published))
    known = _place(context, schemas.REGISTRY, CURRENT, tuple(schemas.REGISTRY.names))
    return Task(known, _sewn(context), tuple(days), context.config.link.max_gap + 1)


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
