"""The projection stage: a seeded sample of all fingerprints -> one small model (the verb fit).

A fitted model is immutable and named by its content; the head object of ``projection`` says which is current.  It is
fitted again when its parameters or the extractor change, on request, or when the collection has grown
``projection.growth`` times: stages depend on its name, so what was computed under another model is then computed
again, a cost that the growth factor spreads over the images that came in between.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.commits import Manifest
from pipeline.digests import digest
from pipeline.parts import Staged
from pipeline.runtime import fitted
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call
from pipeline.runtime.fingerprints import makers
from pipeline.runtime.staleness import parameters
from pipeline.schemas import FINGERPRINTS, PROJECTION
from pipeline.stages.projection import ProjectionParams, fit
from pipeline.tablestore import TableStore

VERSION = 2

_ROWS_PER_BLOCK = 4096


def run_projection(context: Context, refit: bool = False) -> None:
    """Fit a model if there is none that fits; remember it as the current one."""
    store, fingerprints = context.store(PROJECTION), context.store(FINGERPRINTS)
    if not num_vectors(context) or (not refit and why_refit(context) is None):
        return
    part_bytes = context.config.resources.part_bytes
    sample = Sample(fingerprints, tuple(fingerprints.partitions.items()), context.config.projection)
    call = Call("projection", "the model", fit_model, (sample, store, part_bytes))
    fitted.run_fit(context, store, call, model_inputs(context))


@dataclass(frozen=True)
class Sample:
    """The fingerprints to fit on: chosen by their ids, so neither dates nor parts matter; sent to a worker."""

    store: TableStore
    partitions: tuple[tuple[str, Manifest], ...]
    params: ProjectionParams

    def choose(self) -> tuple[pa.Array, int]:
        """The sample's ids, and how many images have a vector."""
        ids, num_images = fitted.choose_sample(self.store, self.partitions, self.params.seed, self.params.sample_size)
        return pa.array(ids, pa.string()), num_images

    def blocks(self, ids: pa.Array) -> Iterator[pa.Table]:
        """``image_id`` and ``vector`` of the sample, some thousand rows at a time."""
        for date, manifest in self.partitions:
            for _, rows in self.store.scan(date, manifest, ["image_id", "vector"], _ROWS_PER_BLOCK):
                yield rows.filter(pc.is_in(rows["image_id"], value_set=ids))


def fit_model(sample: Sample, store: TableStore, part_bytes: int, *, threads: int, gpu: bool) -> tuple[str, Staged]:
    """On a worker: fit and stage; returns the model's name too."""
    del threads, gpu  # one small eigenproblem: the libraries' own threads do
    ids, num_images = sample.choose()
    model = fit(sample.blocks(ids), sample.params, num_images)
    name: str = model["model"][0].as_py()
    return name, store.stage(name, [model], part_bytes)


def model_inputs(context: Context) -> dict[str, str]:
    """What makes a model another one; which images there are is no part of it."""
    made_by = digest(makers(context))
    return {"version": str(VERSION), "fingerprints": made_by, **parameters("projection", context.config.projection)}


def why_refit(context: Context) -> str | None:
    """Why a run would fit a model, for a person; None while the current one holds."""
    return fitted.why_refit(
        context.store(PROJECTION), model_inputs(context), context.config.projection, num_vectors(context)
    )


def num_vectors(context: Context) -> int:
    """Images with a vector."""
    return fitted.num_sound(context.store(FINGERPRINTS))
