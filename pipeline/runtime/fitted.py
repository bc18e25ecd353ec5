"""What the models that are fitted to a collection have in common: their sample, when they are stale, their commit.

A model is immutable and named by its content; the head object of its table says which is current.
"""

from collections.abc import Mapping, Sequence

from pipeline.commits import Manifest
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call
from pipeline.runtime.staleness import why_stale
from pipeline.stages.projection import ProjectionParams, needs_refit, select_sample
from pipeline.tablestore import TableStore


def choose_sample(
    store: TableStore, partitions: Sequence[tuple[str, Manifest]], seed: int, size: int
) -> tuple[list[str], int]:
    """Ids of at most ``size`` of the rows that did not fail, by :func:`select_sample`, and how many did not."""
    ids: list[str] = []
    count = 0
    for date, manifest in partitions:
        rows = store.read(date, ["image_id", "reason"], manifest)
        here = rows["image_id"].filter(rows["reason"].is_null()).to_pylist()
        count += len(here)
        ids = select_sample([*ids, *here], seed, size)
    return ids, count


def num_sound(store: TableStore) -> int:
    """Rows of a table that did not fail."""
    return sum(one.rows - sum(one.failed.values()) for one in store.partitions.values())


def why_refit(store: TableStore, inputs: Mapping[str, str], params: ProjectionParams, num_images: int) -> str | None:
    """Why a run would fit a model of ``num_images`` images, for a person; None while the current one holds."""
    current = store.extra.get("model")
    manifest = store.partitions.get(current) if current else None
    why = why_stale(manifest, inputs)
    if why is not None or current is None:
        return why
    model = store.read(current, ["num_images"], manifest)
    if needs_refit(model, params, num_images):
        return f"the collection has grown from {model['num_images'][0].as_py()} to {num_images} images"
    return None


def run_fit(context: Context, store: TableStore, call: Call, inputs: Mapping[str, str]) -> None:
    """Make the model that ``call`` fits and stages the current one; the call returns its name and what it staged."""
    context.workspace.begin()
    context.reporter.start(call.stage, 1, "models")
    for _, (model, staged) in context.engine().call([call]):
        store.commit(model, staged, inputs)
        store.set_extra(model=model)
    context.done[call.stage] += 1
    context.reporter.advance(1)
    context.reporter.finish()
    store.flush()
