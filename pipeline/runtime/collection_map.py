"""The map of the whole collection: every fingerprint at once, in one call (the verb fit)."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipeline import schemas
from pipeline.commits import Manifest
from pipeline.digests import digest
from pipeline.errors import UserError
from pipeline.parts import Staged
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call
from pipeline.runtime.staleness import parameters, why_stale
from pipeline.stages.map import MapParams, map_images, split
from pipeline.tablestore import TableStore

VERSION = 1

_COLUMNS = ("image_id", "vector")


@dataclass(frozen=True)
class _Work:
    """What the map is made of and where it goes; sent to a worker."""

    fingerprints: TableStore
    partitions: tuple[tuple[str, Manifest], ...]
    model: pa.Table
    target: TableStore
    params: MapParams
    part_bytes: int


def map_collection(context: Context) -> bool:
    """Bring ``collection_map`` up to date with all dates' fingerprints; says whether there was something to do.

    Raises:
        UserError: nothing is fingerprinted yet.
    """
    fingerprints, models = context.store(schemas.FINGERPRINTS), context.store(schemas.PROJECTION)
    target, name = context.store(schemas.COLLECTION_MAP), models.extra.get("model")
    if name is None:
        raise UserError("there is nothing to map yet: finish `imagetracks run` first")
    partitions = tuple(fingerprints.partitions.items())
    inputs = _inputs(context, partitions, str(name))
    gone = [date for date in target.partitions if date not in fingerprints.partitions]
    if not gone and all(why_stale(target.partitions.get(date), inputs) is None for date, _ in partitions):
        return False
    context.workspace.begin()
    context.reporter.start("map", 1, "collections")
    model = models.read(str(name), None, models.partitions[str(name)])
    part_bytes = context.config.resources.part_bytes
    work = _Work(fingerprints, partitions, model, target, context.config.map, part_bytes)
    for _, staged in context.engine().call([Call("map", "the collection", _make, (work,), wants_gpu=True)]):
        for date, one in staged:
            target.commit(date, one, inputs)
    for date in gone:
        target.remove(date)
    target.flush()
    context.reporter.advance(1)
    context.reporter.finish()
    return True


def _make(work: _Work, *, threads: int, gpu: bool) -> list[tuple[str, Staged]]:
    """On a worker: the map, staged by date."""
    rows = [work.fingerprints.read(date, list(_COLUMNS), manifest) for date, manifest in work.partitions]
    ids = [one["image_id"].to_pylist() for one in rows]
    places = map_images(pa.concat_tables(rows), work.model, work.params, threads=threads, gpu=gpu)
    parts = zip(work.partitions, split(places, ids), strict=True)
    return [(date, work.target.stage(date, [part], work.part_bytes)) for (date, _), part in parts]


def _inputs(context: Context, partitions: tuple[tuple[str, Manifest], ...], model: str) -> Mapping[str, str]:
    content = [[date, manifest.content_of(_COLUMNS)] for date, manifest in partitions]
    return {
        "version": str(VERSION),
        "model": model,
        "fingerprints": digest(content),
        **parameters("map", context.config.map),
    }
