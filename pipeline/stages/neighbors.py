"""The neighbour graph of a date: each image's nearest others by cosine, or in the geometry that the config asks for."""

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.params import Params
from pipeline.schemas import NEIGHBORS
from pipeline.stages.geometry import seen


class NeighborsParams(Params):
    """Parameters of the neighbour graph."""

    k: int = Field(30, ge=1, le=1000, description="Neighbours an image, at most.")
    exact_below: int = Field(50_000, ge=0, description="Dates up to this many images are searched exactly.")
    num_probes: int | None = Field(
        None,
        ge=1,
        description="Lists searched per image on larger dates (FAISS nprobe), of half the root of the images; null: as "
        "many as find 0.95 of 30 neighbours of simulated dates (17 of 158 at 100 000 images, 30 of 500 at a million).",
    )
    seed: int = Field(0, ge=0, description="Seed of the lists' k-means on larger dates.")


def neighbors(
    fingerprints: pa.Table,
    model: pa.Table,
    params: NeighborsParams,
    placed: pa.Table | None = None,
    *,
    threads: int = 1,
    gpu: bool = False,
) -> pa.Table:
    """Build a date's graph.

    Args:
        fingerprints: The date's ``schemas.FINGERPRINTS`` (image_id and vector are read), in any order.
        model: One row of ``schemas.PROJECTION``.
        params: The stage's parameters.
        placed: The date's ``schemas.COORDINATES``, where there are any.
        threads: For FAISS.
        gpu: Search on the GPUs.

    Returns:
        ``schemas.NEIGHBORS``: min(k, n - 1) edges an image with a vector; ties go to the smaller id.
    """
    from pipeline.compute.knn import Search, neighbor_graph

    image_ids, vectors, unit = seen(model, fingerprints, placed)
    search = Search(params.exact_below, params.num_probes, params.seed, threads, gpu, unit)
    found, similarities = neighbor_graph(vectors, params.k, search)
    if unit:
        similarities = np.clip(similarities, -1.0, 1.0)
    filled = found >= 0
    ids = pa.array(image_ids, type=pa.string())
    rows, ranks = np.nonzero(filled)
    edges = {
        "image_id": ids.take(pa.array(rows)),
        "rank": pa.array((ranks + 1).astype(np.int32)),
        "neighbor_id": ids.take(pa.array(found[filled])),
        "similarity": pa.array(similarities[filled]),
    }
    return NEIGHBORS.check(pa.table(edges))
