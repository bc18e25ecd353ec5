"""Stages over whole dates: what is stale, the work as engine calls, the commits (the verbs group and fold)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline import schemas
from pipeline.commits import Manifest
from pipeline.digests import digest
from pipeline.params import Params
from pipeline.parts import Staged
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call
from pipeline.runtime.staleness import parameters, why_stale
from pipeline.schemas import Table
from pipeline.stages.stage import Given, Read, Stage
from pipeline.tablestore import TableStore

CURRENT = "current"
"""The one partition of a table that is not parted by date."""
_NO_MODEL = ""
"""Names no partition: a stage that reads a model waits until there is one."""

_ROWS_PER_BATCH = 1 << 18
_MANY = ("before", "long before", "after", "told later", "taken up")


Output = tuple[TableStore, Manifest | None]
"""A table that is written, and its partition as it is committed."""


@dataclass(frozen=True)
class Source:
    """Where one read of a stage lies: partitions of a table with the manifests that were current at planning.

    ``stands_for`` is what the stage depends on, where that is less than the contents.
    """

    store: TableStore
    columns: tuple[str, ...]
    partitions: tuple[tuple[str, Manifest], ...]
    many: bool
    stands_for: str | None = None

    def load(self) -> Any:
        """The rows: one table, a list of (partition, table), or None if there is none."""
        found = [(name, self.store.read(name, self.columns, manifest)) for name, manifest in self.partitions]
        if self.many:
            return found
        return found[0][1] if found else None

    def digest(self) -> list[Any]:
        """What the rows depend on; the date counts where it may be another than the stage's."""
        if self.stands_for is not None:
            return [self.stands_for]
        return [[name, manifest.content_of(self.columns)] for name, manifest in self.partitions]


@dataclass(frozen=True)
class Work:
    """One date's work for one stage."""

    stage: Stage
    date: str
    sources: Mapping[str, Source]
    inputs: Mapping[str, str]

    def call(self, params: Params | None, stores: tuple[TableStore, ...], part_bytes: int) -> Call:
        """The work as an engine takes it."""
        outputs = tuple((store, store.partitions.get(self.date)) for store in stores)
        return Call(self.stage.name, self.date, run_date, (self, params, outputs, part_bytes), self.stage.wants_gpu)


def run_date(
    work: Work, params: Params | None, outputs: tuple[Output, ...], part_bytes: int, *, threads: int, gpu: bool
) -> list[Staged]:
    """On a worker: read, compute, check, stage; only descriptors go back."""
    tables = {name: source.load() for name, source in work.sources.items()}
    results = work.stage.run(Given(work.date, tables, params, threads, gpu))
    return [
        store.stage(work.date, _batches(rows), part_bytes, old)
        for (store, old), rows in zip(outputs, results, strict=True)
    ]


def run_stage(context: Context, stage: Stage) -> None:
    """Bring a stage's tables up to date: remove what has lost its input, compute what is stale, commit."""
    stores = tuple(context.store(table) for table in stage.writes)
    _remove_gone(context, stage, stores)
    wanted = stage.wanted(params_of(context, stage))
    if wanted and stage.in_order:
        _run_in_order(context, stage, stores)
    elif wanted:
        stale = [work for work in plan(context, stage) if is_stale(work, stores)]
        _run_all(context, stage, stale, stores)
    for store in stores:
        store.flush()


def plan(context: Context, stage: Stage) -> Iterator[Work]:
    """The stage's work for every date in the window whose inputs are all there, dates ascending."""
    dates = stage_dates(context, stage)
    for index, date in enumerate(dates):
        if context.in_window(date):
            work = plan_date(context, stage, dates, index)
            if work is not None:
                yield work


def plan_date(context: Context, stage: Stage, dates: list[str], index: int) -> Work | None:
    """The work of one date as things stand; None while an input is not there yet."""
    read = [one for one in stage.reads if one.when(context.config)]
    sources = {one.name: _source(context, one, dates, index) for one in read}
    for one in read:
        needed = not one.optional and one.where in ("same", "model", "names")
        if needed and not sources[one.name].partitions and _wanted(context, one, dates, index):
            return None
    inputs = {"version": str(stage.version), **_parameters(context, stage)}
    inputs.update({name: digest(source.digest()) for name, source in sources.items()})
    return Work(stage, dates[index], sources, inputs)


def reads(context: Context, stage: Stage, dates: list[str], index: int) -> Iterator[tuple[Table, str]]:
    """Table and partition of all that one date reads, be it there or not."""
    for read in (one for one in stage.reads if one.when(context.config)):
        for name in _wanted(context, read, dates, index):
            yield read.table, name


def is_stale(work: Work, stores: tuple[TableStore, ...]) -> bool:
    """Whether any of the stage's tables lacks this date or has it from other inputs."""
    return any(why_stale(store.partitions.get(work.date), work.inputs) is not None for store in stores)


def stage_dates(context: Context, stage: Stage) -> list[str]:
    """The dates of the stage's first read, ascending."""
    first = context.store(stage.reads[0].table)
    return [date for date in first.partitions if stage.undated or date != schemas.UNDATED]


def _run_all(context: Context, stage: Stage, stale: list[Work], stores: tuple[TableStore, ...]) -> None:
    if not stale:
        return
    engine = context.engine()
    context.reporter.start(stage.name, len(stale), "dates")
    works = {work.date: work for work in stale}
    params, part_bytes = params_of(context, stage), context.config.resources.part_bytes
    for date, staged in engine.call(work.call(params, stores, part_bytes) for work in stale):
        _commit(context, works[date], stores, staged)
    context.reporter.finish()


def _run_in_order(context: Context, stage: Stage, stores: tuple[TableStore, ...]) -> None:
    """A fold: each date is planned when the dates before it are committed, so it stops where nothing changes."""
    dates = stage_dates(context, stage)
    window = [index for index, date in enumerate(dates) if context.in_window(date)]
    started = False
    for index in window:
        work = plan_date(context, stage, dates, index)
        if work is None or not is_stale(work, stores):
            continue
        engine = context.engine()
        if not started:
            context.reporter.start(stage.name, len(window) - window.index(index), "dates")
            started = True
        call = work.call(params_of(context, stage), stores, context.config.resources.part_bytes)
        for _, staged in engine.call([call]):
            _commit(context, work, stores, staged)
    if started:
        context.reporter.finish()


def _commit(context: Context, work: Work, stores: tuple[TableStore, ...], staged: list[Staged]) -> None:
    for store, one in zip(stores, staged, strict=True):
        like = work.stage.rows_as.get(store.table.name)
        expected = sum(manifest.rows for _, manifest in work.sources[like].partitions) if like else None
        store.commit(work.date, one, work.inputs, expected)
    context.done[work.stage.name] += 1
    context.reporter.advance(1)


def _remove_gone(context: Context, stage: Stage, stores: tuple[TableStore, ...]) -> None:
    """Dates whose images are gone lose what was made of them; ``--dates`` does not hide that."""
    dates = set(stage_dates(context, stage))
    for store in stores:
        for date in [date for date in store.partitions if date not in dates]:
            context.workspace.begin()
            store.remove(date)


def _source(context: Context, read: Read, dates: list[str], index: int) -> Source:
    store = context.store(read.table)
    wanted = _wanted(context, read, dates, index)
    found = tuple((name, store.partitions[name]) for name in wanted if name in store.partitions)
    if read.optional:  # nothing is nothing, whether a partition says so or there is none
        found = tuple((name, manifest) for name, manifest in found if manifest.rows)
    names = names_of(store, dates[index]) if read.where == "names" else None
    return Source(store, read.columns, found, read.where in _MANY, names)


def _wanted(context: Context, read: Read, dates: list[str], index: int) -> list[str]:
    """Names of the partitions that one date's read is for."""
    if read.where == "model":
        return [context.store(read.table).extra.get("model") or _NO_MODEL]
    if read.where == "current":
        return [CURRENT]
    if read.where == "names":
        return [] if dates[index] == schemas.UNDATED else [CURRENT]
    if read.where == "taken up":
        return _taken_up(context, dates[index])
    reach, lag = context.config.link.max_gap + 1, context.config.link.lag
    return {
        "same": dates[index : index + 1],
        "previous": dates[max(0, index - 1) : index],
        "before": dates[max(0, index - reach) : index],
        "long before": dates[max(0, index - max(reach, context.config.link.stitch_gap)) : index],
        "after": dates[index + 1 : index + 1 + reach],
        "told later": [*dates[index : index + 1], *dates[index + lag : index + lag + 1]][: 1 + (lag > 0)],
    }[read.where]


def _taken_up(context: Context, date: str) -> list[str]:
    """The last dates of the tracks that stitches take up on a date, as naming noted them."""
    manifest = context.store(schemas.REGISTRY).partitions.get(CURRENT)
    noted = {} if manifest is None else json.loads(manifest.inputs.get("taken_up", "{}"))
    return list(noted.get(date, []))


def names_of(registry: TableStore, date: str) -> str:
    """What the names on a date depend on, its own links apart.

    That is which registry it is, and the last run that gave a track of the date another name.
    """
    manifest = registry.partitions.get(CURRENT)
    if manifest is None or date == schemas.UNDATED:
        return ""
    renamed = json.loads(manifest.inputs["renamed"])
    return f"{manifest.inputs['history']} {renamed.get(date, '')}"


def params_of(context: Context, stage: Stage) -> Params | None:
    """The stage's section of the config; None if it has none."""
    return None if stage.section is None else getattr(context.config, stage.section)


def _parameters(context: Context, stage: Stage) -> dict[str, str]:
    params = params_of(context, stage)
    unread = frozenset(type(params).model_fields) - params.read_by(stage.name) if params else frozenset()
    return parameters(stage.section, params, unread)


def _batches(rows: pa.Table) -> Iterator[pa.Table]:
    yield rows.slice(0, _ROWS_PER_BATCH)
    for start in range(_ROWS_PER_BATCH, rows.num_rows, _ROWS_PER_BATCH):
        yield rows.slice(start, _ROWS_PER_BATCH)
