"""A workspace that is fed with vectors in place of photographs: all stages from the projection's model on, no Ray."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import fsspec
import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.runtime.context import Context
from pipeline.runtime.engine import LocalEngine
from pipeline.runtime.naming import run_naming
from pipeline.runtime.progress import LineReporter
from pipeline.runtime.steps import run_stage
from pipeline.runtime.verdicts import put_verdicts
from pipeline.stages.catalog import NAMED_STAGES, UNNAMED_STAGES
from pipeline.stages.projection import ProjectionParams, fit
from pipeline.stages.vectors import to_column
from pipeline.workspace import open_workspace
from tests.runtime.runs import config_of

DIMENSIONS = 16
Photos = Mapping[str, Mapping[str, np.ndarray]]
"""Date -> image -> its vector."""
EVEN = {str(k): one for k, one in enumerate(np.concatenate([np.eye(DIMENSIONS), -np.eye(DIMENSIONS)]))}
"""What the model is fitted on: their mean is zero, so vectors are compared as they are."""

_NUMBER = itertools.count()


@dataclass
class Fed:
    """A workspace in memory; ``overrides`` of the config."""

    overrides: tuple[str, ...] = ()
    uri: str = field(default_factory=lambda: f"memory://fed{next(_NUMBER)}")

    def forget(self) -> None:
        """Let go of it: the more there is in memory, the longer it takes to list."""
        fsspec.filesystem("memory").rm(self.uri, recursive=True)

    def context(self) -> Context:
        given = ("cluster.method=agglomerative", "cluster.similarity=0.7", *self.overrides)
        engine, reporter = (lambda: LocalEngine(1)), LineReporter(lambda _: None)
        return Context(open_workspace(self.uri, "memory://photos"), config_of(*given), engine, reporter)

    def run(self, photos: Photos, verdicts: pa.Table | None = None, model: pa.Table | None = None) -> Context:
        """What a run does once there are fingerprints: the collection has these photographs now."""
        context = self.context()
        context.workspace.begin()
        model = fit([fingerprints(EVEN)], ProjectionParams(reduction="none"), len(EVEN)) if model is None else model
        _put(context, schemas.PROJECTION, {model["model"][0].as_py(): model})
        context.store(schemas.PROJECTION).set_extra(model=model["model"][0].as_py())
        _put(context, schemas.IMAGES, {date: _images(sorted(here)) for date, here in photos.items()})
        _put(context, schemas.FINGERPRINTS, {date: fingerprints(here) for date, here in photos.items()})
        if verdicts is not None:
            put_verdicts(context, verdicts)
        for stage in UNNAMED_STAGES:
            run_stage(context, stage)
        run_naming(context)
        for stage in NAMED_STAGES:
            run_stage(context, stage)
        context.workspace.put_report(context.run, context.report())
        context.close()
        return context

    def rows(self, table: schemas.Table) -> list[dict[str, object]]:
        """All rows of a table, each with its partition under ``at``."""
        store = self.context().store(table)
        return [{**row, "at": name} for name in store.partitions for row in store.read(name).to_pylist()]

    def tracks(self) -> dict[str, str]:
        """Image -> published id."""
        return {str(row["image_id"]): str(row["track_id"]) for row in self.rows(schemas.TRACKS)}


def _put(context: Context, table: schemas.Table, partitions: Mapping[str, pa.Table]) -> None:
    store = context.store(table)
    for name in [name for name in store.partitions if name not in partitions]:
        store.remove(name)
    for name, rows in partitions.items():
        store.commit(name, store.stage(name, [table.check(rows)], 1 << 20), {})
    store.flush()


def _images(ids: list[str]) -> pa.Table:
    rows = [{"image_id": one, "uri": f"memory://photos/{one}", "object_version": "", "vanished": False} for one in ids]
    return pa.Table.from_pylist(rows, schemas.IMAGES.empty().schema)


def fingerprints(here: Mapping[str, np.ndarray]) -> pa.Table:
    """``schemas.FINGERPRINTS`` of images."""
    ids = sorted(here)
    vectors = np.stack([here[one] for one in ids]).astype(np.float32)
    schema = schemas.FINGERPRINTS.empty([("vector", to_column(vectors).type)]).schema
    columns = {"image_id": pa.array(ids), "vector": to_column(vectors)}
    given = [columns.get(name, pa.nulls(len(ids), schema.field(name).type)) for name in schema.names]
    return pa.table(given, schema=schema)
