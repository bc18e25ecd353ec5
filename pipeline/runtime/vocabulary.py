"""The words of extractors that have to be fitted to a collection: one small model each (the verb fit).

As with the projection, a model is immutable, named by its content, and fitted again when what makes it another changes
or when the collection has grown ``projection.growth`` times; all vectors are then computed anew.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.commits import Manifest
from pipeline.compute import extractors
from pipeline.parts import Staged, read_where
from pipeline.runtime import fitted
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call
from pipeline.runtime.staleness import parameters
from pipeline.schemas import IMAGES, VOCABULARY
from pipeline.stages.fingerprint import FingerprintParams, extractor_folder
from pipeline.stages.vocabulary import SAMPLE, fit_vocabulary, words_of
from pipeline.tablestore import TableStore

VERSION = 1


@dataclass(frozen=True)
class Sample:
    """The images to fit on, chosen by their ids; sent to a worker."""

    images: TableStore
    partitions: tuple[tuple[str, Manifest], ...]

    def read(self) -> tuple[pa.Table, int]:
        """``image_id`` and ``pixels`` of the sample, and how many images have pixels."""
        ids, num_images = fitted.choose_sample(self.images, self.partitions, 0, SAMPLE)
        wanted = pc.field("image_id").isin(ids)
        parts = [
            (f"{self.images.folder(date)}/{part.name}", part.bytes)
            for date, manifest in self.partitions
            for part in manifest.parts
        ]
        found = [read_where(self.images.filesystem, *part, wanted, ["image_id", "pixels"]) for part in parts]
        return pa.concat_tables(found), num_images


def run_vocabularies(context: Context, refit: bool = False) -> None:
    """Fit the words of every extractor that needs some and has none that fit."""
    images = context.store(IMAGES)
    for name in fitted_extractors(context.config.fingerprint):
        store = _store(context, name)
        if not images.partitions or (not refit and why_refit(context, name) is None):
            continue
        sample = Sample(images, tuple(images.partitions.items()))
        call = Call("vocabulary", name, fit_words, (sample, name, store, context.config.resources.part_bytes))
        fitted.run_fit(context, store, call, _inputs(context, name))


def fit_words(
    sample: Sample, name: str, store: TableStore, part_bytes: int, *, threads: int, gpu: bool
) -> tuple[str, Staged]:
    """On a worker: fit and stage; returns the model's name too."""
    del threads, gpu
    images, num_images = sample.read()
    model = fit_vocabulary(images, name, num_images)
    found: str = model["model"][0].as_py()
    return found, store.stage(found, [model], part_bytes)


def fitted_extractors(params: FingerprintParams) -> list[str]:
    """Those of the extractors that need words."""
    names = dict.fromkeys([*params.names, *params.also])
    return [name for name in names if extractors.is_fitted(extractors.resolve(name))]


def model_names(context: Context, params: FingerprintParams) -> dict[str, str]:
    """Of the extractors that need words, the current model's name; empty where there is none yet."""
    return {name: str(_store(context, name).extra.get("model") or "") for name in fitted_extractors(params)}


def models(context: Context, params: FingerprintParams) -> dict[str, extractors.Words]:
    """Of the extractors that need words, the words."""
    found = {}
    for name, model in model_names(context, params).items():
        store = _store(context, name)
        found[name] = words_of(store.read(model, None, store.partitions[model]))
    return found


def why_refit(context: Context, name: str) -> str | None:
    """Why a run would fit words, for a person; None while the current ones hold."""
    images = fitted.num_sound(context.store(IMAGES))
    return fitted.why_refit(_store(context, name), _inputs(context, name), context.config.projection, images)


def _inputs(context: Context, name: str) -> dict[str, str]:
    everything = parameters("ingest", context.config.ingest)
    shaping = {key: everything[key] for key in ("ingest.image_px", "ingest.jpeg_quality")}
    return {"version": str(VERSION), "extractor": extractors.resolve(name).digest("", "float32"), **shaping}


def _store(context: Context, name: str) -> TableStore:
    return context.workspace.store(VOCABULARY, extractor_folder(name))
