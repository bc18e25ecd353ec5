"""The projection stage: a seeded sample of all fingerprints -> one small model (the verb fit).

A fitted model is immutable and named by its content; the head object of ``projection`` says which is current.  It is
fitted again when its parameters or the extractor change, on request, or when the collection has grown
``projection.growth`` times: stages depend on its name, so what was computed under another model is then computed
again, a cost that the growth factor spreads over the images that came in between.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.digests import digest
from pipeline.parts import Staged
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call
from pipeline.runtime.fingerprints import VERSION as FINGERPRINTS_VERSION
from pipeline.schemas import FINGERPRINTS, PROJECTION
from pipeline.stages.fingerprint import extractor_digest
from pipeline.stages.projection import ProjectionParams, fit, needs_refit, select_sample
from pipeline.tablestore import Manifest, TableStore

VERSION = 1


def run_projection(context: Context, refit: bool = False) -> None:
    """Fit a model if there is none that fits; remember it as the current one."""
    store, fingerprints = context.store(PROJECTION), context.store(FINGERPRINTS)
    params = context.config.projection
    made_by = [FINGERPRINTS_VERSION, extractor_digest(context.config.fingerprint)]
    value = digest(["projection", VERSION, made_by, params.model_dump(mode="json")])
    num_images = sum(one.rows - sum(one.failed.values()) for one in fingerprints.partitions.values())
    if not num_images or (not refit and _holds(store, value, params, num_images)):
        return
    context.workspace.begin()
    context.reporter.start("projection", 1, "models")
    partitions = tuple(fingerprints.partitions.items())
    part_bytes = context.config.resources.part_bytes
    call = Call("projection", fit_model, (fingerprints, partitions, store, params, part_bytes))
    for _, (model, staged) in context.engine().call([call]):
        store.commit(model, staged, value)
        store.set_extra(model=model)
    context.done["projection"] += 1
    context.reporter.advance(1)
    context.reporter.finish()
    store.flush()


def fit_model(
    fingerprints: TableStore,
    partitions: tuple[tuple[str, Manifest], ...],
    store: TableStore,
    params: ProjectionParams,
    part_bytes: int,
    *,
    threads: int,
    gpu: bool,
) -> tuple[str, Staged]:
    """On a worker: choose the sample by its ids, read just its vectors, fit, stage."""
    del threads, gpu  # the libraries' own threads do
    ids: list[str] = []
    num_images = 0
    for date, manifest in partitions:
        rows = fingerprints.read(date, ["image_id", "reason"], manifest)
        here = rows["image_id"].filter(rows["reason"].is_null()).to_pylist()
        num_images += len(here)
        ids = select_sample([*ids, *here], params.seed, params.sample_size)
    chosen = pa.array(ids, pa.string())

    def blocks() -> Iterator[pa.Table]:
        for date, manifest in partitions:
            for _, rows in fingerprints.scan(date, manifest, ["image_id", "vector"], 4096):
                yield rows.filter(pc.is_in(rows["image_id"], value_set=chosen))

    model = fit(blocks(), params, num_images)
    name = model["model"][0].as_py()
    return name, store.stage(name, [model], part_bytes)


def _holds(store: TableStore, value: str, params: ProjectionParams, num_images: int) -> bool:
    current = store.extra.get("model")
    manifest = store.partitions.get(current) if current else None
    if current is None or manifest is None or manifest.digest != value:
        return False
    return not needs_refit(store.read(current, None, manifest), params, num_images)
