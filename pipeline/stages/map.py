"""Two-dimensional maps of a date or of the whole collection, to look at."""

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.params import Params
from pipeline.schemas import MAP
from pipeline.stages.projection import apply


class MapParams(Params):
    """Parameters of the maps."""

    method: Literal["none", "tsne", "umap"] = Field(
        "none", description="none: runs make no map of the dates; `imagetracks map` makes one of the collection."
    )
    neighbors: int = Field(
        30, ge=2, le=1000, description="Images that count as near: umap's n_neighbors, three times tsne's perplexity."
    )
    min_dist: float = Field(0.1, ge=0, le=1, description="Least distance between two images in umap's map.")
    iterations: int = Field(500, ge=1, le=100_000, description="Iterations of tsne, epochs of umap.")
    seed: int = Field(0, ge=0, description="Of every random choice.")


def wants_map(params: MapParams) -> bool:
    """Whether runs make maps of the dates."""
    return params.method != "none"


def map_images(
    fingerprints: pa.Table, model: pa.Table, params: MapParams, *, threads: int = 1, gpu: bool = False
) -> pa.Table:
    """Make a map.

    Args:
        fingerprints: ``schemas.FINGERPRINTS`` (image_id and vector are read) of a date or of several, in any order.
        model: One row of ``schemas.PROJECTION``.
        params: The stage's parameters; ``method`` is not none.
        threads: For FAISS.
        gpu: Search on the GPU.

    Returns:
        ``schemas.MAP`` with a row an image; an image without a vector has no place.
    """
    from pipeline.compute.knn import Search
    from pipeline.compute.maps import MapSettings, make_map

    image_ids, vectors = apply(model, fingerprints)
    settings = MapSettings(params.neighbors, params.min_dist, params.iterations, params.seed)
    places = make_map(vectors, params.method, settings, Search(seed=params.seed, threads=threads, gpu=gpu))
    mapped = pa.table({"image_id": pa.array(image_ids, pa.string()), "x": places[:, 0], "y": places[:, 1]})
    without = sorted(set(fingerprints["image_id"].to_pylist()) - set(image_ids))
    nothing = pa.nulls(len(without), pa.float32())
    lost = pa.table({"image_id": pa.array(without, pa.string()), "x": nothing, "y": nothing})
    return MAP.check(pa.concat_tables([mapped, lost]).sort_by("image_id"))


def split(places: pa.Table, ids_by_part: list[list[str]]) -> list[pa.Table]:
    """The rows of ``places`` for each list of image_ids, sorted."""
    at = dict(zip(places["image_id"].to_pylist(), range(places.num_rows), strict=True))
    return [places.take(pa.array(np.sort([at[one] for one in ids]), pa.int64())) for ids in ids_by_part]
