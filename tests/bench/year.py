"""Many dates from stored fingerprints: what the driver's memory does while they are clustered by Ray."""

import os
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from pipeline.config import load_config
from pipeline.runtime.context import Context
from pipeline.runtime.engines import engine_maker
from pipeline.runtime.fit import run_projection
from pipeline.runtime.steps import run_stage
from pipeline.schemas import FINGERPRINTS
from pipeline.stages.catalog import CLUSTER, NEIGHBORS
from pipeline.stages.vectors import to_column
from pipeline.workspace import open_workspace
from tests.bench.dates import planted


class DriverMemory:
    """A reporter that prints this process' memory after every tenth of a stage."""

    def start(self, stage: str, total: int, unit: str) -> None:
        self.stage, self.total, self.unit = stage, total, unit
        self.done, self.begun = 0, time.perf_counter()
        self._show()

    def advance(self, done: int, failed: int = 0) -> None:
        del failed
        before, self.done = self.done, self.done + done
        if before * 10 // self.total != self.done * 10 // self.total:
            self._show()

    def finish(self) -> None:
        pass

    def _show(self) -> None:
        mib = psutil.Process().memory_info().rss / 2**20
        passed = time.perf_counter() - self.begun
        print(
            f"  {self.stage}: {self.done:4d} of {self.total} {self.unit}, {passed:5.0f} s, driver {mib:.0f} MiB",
            flush=True,
        )


def run_year(folder: Path, dates: int, a_date: int) -> None:
    """Store fingerprints of ``dates`` x ``a_date`` images below ``folder`` and cluster them."""
    config = load_config(None, [])
    context = Context(
        open_workspace(str(folder / "ws"), "simulated"),
        config,
        engine_maker("ray", None, config.resources),
        DriverMemory(),
    )
    try:
        context.workspace.begin()
        _store(context, dates, a_date)
        run_projection(context)
        for stage in (NEIGHBORS, CLUSTER):
            run_stage(context, stage)
    finally:
        context.close()


def _store(context: Context, dates: int, a_date: int) -> None:
    store = context.store(FINGERPRINTS)
    sizes = [4] * (a_date // 4)
    print(f"{dates} dates x {a_date} images, {os.cpu_count()} cores")
    for number in range(dates):
        vectors = planted(sizes, 0.2, number)[0]
        ids = [f"{number * a_date + i:032x}" for i in range(len(vectors))]
        nothing = {"pixels_key": pa.nulls(len(ids), pa.string()), "reason": pa.nulls(len(ids), pa.string())}
        columns = {"image_id": pa.array(ids), "vector": to_column(vectors.astype(np.float32)), **nothing}
        date = str(np.datetime64("2023-01-01") + number)
        rows = pa.table({name: columns[name] for name in FINGERPRINTS.names})
        store.commit(date, store.stage(date, [rows], 2**27), {"made": "up"})
    store.flush()
