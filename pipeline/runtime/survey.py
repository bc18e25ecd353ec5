"""What a workspace holds, read from its heads and manifests: the facts behind reports."""

from collections import Counter
from collections.abc import Mapping

from pipeline import schemas
from pipeline.reports.summary import PartitionStatus, RunSummary
from pipeline.runtime.context import Context
from pipeline.runtime.fingerprints import makers, stale_dates
from pipeline.runtime.ingest import image_inputs
from pipeline.runtime.staleness import why_stale
from pipeline.runtime.steps import plan
from pipeline.schemas import Table
from pipeline.stages.catalog import DATE_STAGES
from pipeline.tablestore import Manifest, TableStore


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
        duplicates=sum(value is not None for value in _column(images, "duplicate_of")),
        clusters=_rows(context.store(schemas.CLUSTERS)),
        tracks=states.total(),
        open_tracks=states["open"],
        events=dict(Counter(str(kind) for kind in _column(context.store(schemas.EVENTS), "kind"))),
        computed=dict(context.done),
        seconds=seconds,
    )


def survey(context: Context) -> list[PartitionStatus]:
    """Every table and partition: rows, failures, and why it is stale, as far as it is known without computing.

    What follows from a stale partition shows only once that is computed: equal content upstream stops the chain.
    """
    rows = _of_images(context)
    stale: Mapping[str, Mapping[str, str]] = {work.date: work.inputs for work in stale_dates(context, makers(context))}
    rows += _of_table(context, schemas.FINGERPRINTS, stale, context.store(schemas.IMAGES).partitions)
    model = str(context.store(schemas.PROJECTION).extra.get("model"))
    projection = context.store(schemas.PROJECTION).partitions
    rows += [PartitionStatus("projection", model, projection[model].rows)] if model in projection else []
    for stage in DATE_STAGES:
        inputs: Mapping[str, Mapping[str, str]] = {work.date: work.inputs for work in plan(context, stage)}
        for table in stage.writes:
            rows += _of_table(context, table, inputs, inputs)
    return rows


def _of_images(context: Context) -> list[PartitionStatus]:
    store, inputs = context.store(schemas.IMAGES), image_inputs(context.config.ingest)
    return [_status(schemas.IMAGES, date, one, why_stale(one, inputs)) for date, one in store.partitions.items()]


def _of_table(
    context: Context, table: Table, inputs: Mapping[str, Mapping[str, str]], dates: Mapping[str, object]
) -> list[PartitionStatus]:
    partitions = context.store(table).partitions
    return [
        _status(
            table, date, partitions.get(date), why_stale(partitions.get(date), inputs[date]) if date in inputs else None
        )
        for date in sorted({*partitions, *dates})
    ]


def _status(table: Table, partition: str, manifest: Manifest | None, stale: str | None) -> PartitionStatus:
    if manifest is None:
        return PartitionStatus(table.name, partition, None, stale or "not computed yet")
    return PartitionStatus(table.name, partition, manifest.rows, stale, dict(manifest.failed))


def _rows(store: TableStore) -> int:
    return sum(one.rows for one in store.partitions.values())


def _column(store: TableStore, name: str) -> list[str | None]:
    return [
        value
        for date, manifest in store.partitions.items()
        for value in store.read(date, [name], manifest)[name].to_pylist()
    ]
