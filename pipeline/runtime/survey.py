"""What a workspace holds, read from its heads and manifests: the facts behind reports."""

from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.commits import Manifest
from pipeline.digests import content_digests
from pipeline.reports.summary import PartitionStatus, RunSummary
from pipeline.runtime.context import Context
from pipeline.runtime.fingerprints import stale_dates
from pipeline.runtime.fit import why_refit
from pipeline.runtime.ingest import image_inputs
from pipeline.runtime.naming import why_unnamed
from pipeline.runtime.staleness import why_stale
from pipeline.runtime.steps import CURRENT, params_of, plan_date, reads, stage_dates
from pipeline.runtime.vocabulary import fitted_extractors
from pipeline.runtime.vocabulary import why_refit as why_words
from pipeline.schemas import Table
from pipeline.stages.catalog import NAMED_STAGES, UNNAMED_STAGES
from pipeline.stages.fingerprint import FingerprintParams, extractor_folder
from pipeline.stages.ingest import UNREADABLE
from pipeline.stages.stage import Stage
from pipeline.tablestore import TableStore


def summarize(context: Context, seconds: float | None = None) -> RunSummary:
    """Counts of what came out; only narrow columns are read."""
    images = context.store(schemas.IMAGES)
    fingerprints = context.store(schemas.FINGERPRINTS)
    summary = context.store(schemas.TRACK_SUMMARY)
    states = Counter(str(state) for state in _column(summary, "state"))
    failed = Counter[str]()
    for one in fingerprints.partitions.values():
        failed.update(one.failed)
    undated = images.partitions.get(schemas.UNDATED)
    return RunSummary(
        images=_rows(images),
        failed=dict(failed),
        dates=len([date for date in images.partitions if date != schemas.UNDATED]),
        undated=undated.rows if undated else 0,
        vanished=sum(_vanished(images, date, one) for date, one in images.partitions.items()),
        duplicates=sum(value is not None for value in _column(images, "duplicate_of")),
        clusters=_rows(context.store(schemas.CLUSTERS)),
        tracks=states.total(),
        open_tracks=states["open"],
        events=dict(Counter(str(kind) for kind in _column(context.store(schemas.EVENTS), "kind"))),
        computed=dict(context.done),
        churn=dict(context.churn),
        seconds=seconds,
    )


def survey(context: Context) -> list[PartitionStatus]:
    """Every table and partition: rows, failures, and why it is stale, as far as it is known without computing.

    What lies behind something stale waits for it; it is computed again unless that comes out as it was.  The
    collection is not listed: images that are new, changed or gone since the last run show in the next one.
    """
    seen = _Seen(context)
    for date, manifest in context.store(schemas.IMAGES).partitions.items():
        seen.add(schemas.IMAGES, date, why_stale(manifest, image_inputs(context.config.ingest)))
    for name in fitted_extractors(context.config.fingerprint):
        seen.rows += [PartitionStatus(schemas.VOCABULARY.name, name, None, why_words(context, name))]
    _fingerprints(seen)
    model = context.store(schemas.PROJECTION).extra.get("model")
    if model is not None:
        seen.add(schemas.PROJECTION, str(model), why_refit(context))
    for stages in (UNNAMED_STAGES, NAMED_STAGES):
        if stages is NAMED_STAGES:
            _naming(seen)
        for stage in stages:
            if stage.wanted(params_of(context, stage)):
                _stage(seen, stage)
    order = [table.name for table in schemas.TABLES]
    return sorted(seen.rows, key=lambda row: order.index(row.table.partition(" ")[0]))


class _Seen:
    """The partitions so far, in the order of the tables, and which of them are stale."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.rows: list[PartitionStatus] = []
        self._stale: set[tuple[str, str]] = set()

    def add(self, table: Table, partition: str, stale: str | None, waits: str | None = None) -> None:
        """A partition, why it is stale, and else what it ``waits`` for."""
        manifest = self.context.store(table).partitions.get(partition)
        if manifest is None:
            stale = stale or "not computed yet"
        if stale is not None or waits is not None:
            self._stale.add((table.name, partition))
        rows, failed = (None, {}) if manifest is None else (manifest.rows, dict(manifest.failed))
        waiting = stale is None and waits is not None
        store, images = self.context.store(table), table is schemas.IMAGES
        vanished = _vanished(store, partition, manifest) if images else 0
        dated, unreadable = _dated_by(store, partition, manifest) if images else ({}, 0)
        self.rows.append(
            PartitionStatus(table.name, partition, rows, stale or waits, failed, waiting, vanished, dated, unreadable)
        )

    def waits(self, reads: Iterable[tuple[Table, str]]) -> str | None:
        """The first that is stale of what is read, for a person."""
        found = next((table.name for table, partition in reads if (table.name, partition) in self._stale), None)
        return f"waits for {found}" if found else None


def _fingerprints(seen: _Seen) -> None:
    context = seen.context
    stale = {work.date: why_stale(work.old, work.inputs) for work in stale_dates(context)}
    images = context.store(schemas.IMAGES).partitions
    for date in sorted({*context.store(schemas.FINGERPRINTS).partitions, *images}):
        gone = None if date in images else "its images are gone"
        seen.add(schemas.FINGERPRINTS, date, gone or stale.get(date), seen.waits([(schemas.IMAGES, date)]))
    for params in context.config.fingerprint.tables()[1:]:
        seen.rows += _also(seen, params)


def _also(seen: _Seen, params: FingerprintParams) -> Iterator[PartitionStatus]:
    """A table of ``fingerprint.also``, under its extractor's name; nothing is made of it."""
    context = seen.context
    stale = {work.date: why_stale(work.old, work.inputs) for work in stale_dates(context, params)}
    for date, manifest in context.workspace.store(
        schemas.FINGERPRINTS, extractor_folder(params.name)
    ).partitions.items():
        waits = seen.waits([(schemas.IMAGES, date)])
        name = f"{schemas.FINGERPRINTS.name} {params.name}"
        why = stale.pop(date, None)
        yield PartitionStatus(
            name, date, manifest.rows, why or waits, dict(manifest.failed), why is None and waits is not None
        )
    yield from (
        PartitionStatus(f"{schemas.FINGERPRINTS.name} {params.name}", date, None, why) for date, why in stale.items()
    )


def _stage(seen: _Seen, stage: Stage) -> None:
    """A stage's tables; date by date, for a fold waits for its own earlier dates too."""
    context, dates = seen.context, stage_dates(seen.context, stage)
    place = {date: index for index, date in enumerate(dates)}
    for date in sorted({*dates, *(date for table in stage.writes for date in context.store(table).partitions)}):
        index = place.get(date)
        work = None if index is None else plan_date(context, stage, dates, index)
        waits = None if index is None else seen.waits(reads(context, stage, dates, index))
        for table in stage.writes:
            stale = None if index is not None else "its images are gone"
            if work is not None:
                stale = why_stale(context.store(table).partitions.get(date), work.inputs)
            seen.add(table, date, stale, waits)


def _naming(seen: _Seen) -> None:
    """The registry; it waits for the links of all dates.  What past runs changed is never stale."""
    context = seen.context
    links = [(schemas.LINK_DECISIONS, date) for date in context.store(schemas.LINK_DECISIONS).partitions]
    if links or context.store(schemas.REGISTRY).partitions:
        seen.add(schemas.REGISTRY, CURRENT, why_unnamed(context), seen.waits(links))
    for table in (schemas.VERDICTS, schemas.ALIASES, schemas.CHANGES):
        for partition in context.store(table).partitions:
            seen.add(table, partition, None)


def _vanished(store: TableStore, partition: str, manifest: Manifest | None) -> int:
    """Images that are listed no longer; read only where the column's digest says that there are some."""
    if manifest is None:
        return 0
    none = pa.table({"vanished": pa.array([False] * manifest.rows, pa.bool_())})
    if manifest.content["vanished"] == content_digests(none)["vanished"]:
        return 0
    return int(pc.sum(store.read(partition, ["vanished"], manifest)["vanished"]).as_py() or 0)


def _dated_by(store: TableStore, partition: str, manifest: Manifest | None) -> tuple[dict[str, int], int]:
    """Rung of the dating ladder -> images that it dated; and the images whose time in the manifest is none.

    Those without a clue were dated by ``nothing``.
    """
    if manifest is None:
        return {}, 0
    rows = store.read(partition, ["captured_at_source", "detail"], manifest)
    counts = rows["captured_at_source"].value_counts().to_pylist()
    unreadable = pc.sum(pc.starts_with(rows["detail"], UNREADABLE)).as_py() or 0
    return {one["values"] or "nothing": one["counts"] for one in counts}, unreadable


def _rows(store: TableStore) -> int:
    return sum(one.rows for one in store.partitions.values())


def _column(store: TableStore, name: str) -> list[str | None]:
    return [
        value
        for date, manifest in store.partitions.items()
        for value in store.read(date, [name], manifest)[name].to_pylist()
    ]
