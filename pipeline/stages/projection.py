"""The projection: one fitted model from fingerprints to the vectors that clustering and linking see."""

import hashlib
import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from pipeline.params import Params
from pipeline.schemas import PROJECTION
from pipeline.stages.vectors import to_matrix, with_vector

if TYPE_CHECKING:
    from pipeline.compute.projection import Moments

Float32s = npt.NDArray[np.float32]

_IMAGES_A_DIMENSION = 10
"""Below ten images a kept dimension a covariance is mostly noise (DESIGN.md section 3)."""
_WHITEN_FLOOR = 1e-3
"""Whitening amplifies a direction at most 1 / sqrt(this) times as much as the leading one: below lies rounding."""


class ProjectionParams(Params):
    """Parameters of the projection."""

    dimensions: int = Field(128, ge=1, le=4096, description="Principal components kept, at most.")
    reduction: Literal["none", "pca", "whitened_pca"] = Field(
        "pca", description="none; principal components; the same, each scaled to unit variance."
    )
    unit: bool = Field(
        True, description="Fingerprints are scaled to unit length first and projected vectors last: angles count."
    )
    sample_size: int = Field(
        50_000, ge=2, le=2**20, description="Images the model is fitted on, chosen by hash of their ids."
    )
    growth: float = Field(4.0, gt=1.0, description="Refit when the collection has grown by this factor.")
    seed: int = Field(0, ge=0, description="Chooses another sample.")


def select_sample(image_ids: Iterable[str], seed: int, size: int) -> list[str]:
    """Return the ``size`` ids with the smallest hash of (seed, id), sorted by id.

    Neither order nor splits nor repeats matter: the sample of a union is the sample of the union of its parts' samples.
    """
    key = seed.to_bytes(8, "big")
    hashed = {(hashlib.blake2b(i.encode(), digest_size=8, key=key).digest(), i) for i in image_ids}
    return sorted(image_id for _, image_id in heapq.nsmallest(size, hashed))


def fit(blocks: Iterable[pa.Table], params: ProjectionParams, num_images: int) -> pa.Table:
    """Fit a model.

    Args:
        blocks: Tables (image_id, vector) that together hold the sample, in any order and split, each image once.
        params: The stage's parameters.
        num_images: Images with a vector in the collection: :func:`needs_refit` compares with it.

    Returns:
        One row of ``schemas.PROJECTION``, bit-equal for any split and order of the sample.
    """
    from pipeline.compute.projection import Moments, bound_of

    matrices: Iterable[Float32s] = (to_matrix(with_vector(block)["vector"]) for block in blocks)
    bound = None
    if not params.unit:
        matrices = list(matrices)  # lengths are bounded before sums are exact
        bound = max((bound_of(one) for one in matrices), default=1.0)
    moments: Moments | None = None
    for vectors in matrices:
        moments = moments or Moments(vectors.shape[1], params.sample_size, bound)
        moments.add(vectors)
    moments = moments or Moments(0, 1)
    return _as_row(_model(moments, params), moments, num_images, params.unit)


def apply(model: pa.Table, fingerprints: pa.Table) -> tuple[list[str], Float32s]:
    """Project the fingerprints that have a vector.

    Returns:
        Their image_ids, sorted, and vectors float32 (n, dimensions) in that order, of unit length unless the model says
        otherwise; a fingerprint that projects to nothing (all zeros) is a zero row.  A row is bit-equal in any company.
    """
    from pipeline.compute.projection import project

    rows = with_vector(fingerprints)
    (row,) = model.to_pylist()
    shape = (row["dimensions"], row["input_dimensions"])
    components = np.array(row["components"], dtype=np.float32).reshape(shape) if row["components"] else None
    scales = np.array(row["scales"], dtype=np.float32) if row["scales"] else None
    mean = np.array(row["mean"], dtype=np.float32)
    return rows["image_id"].to_pylist(), project(to_matrix(rows["vector"]), mean, components, scales, row["unit"])


def content_of(model: pa.Table, fingerprints: pa.Table) -> tuple[list[str], Float32s]:
    """Sorted image_ids and projected vectors, always of unit length (or zero): what centers and banks are made of."""
    from pipeline.compute.projection import unit_rows

    ids, vectors = apply(model, fingerprints)
    return ids, vectors if model["unit"][0].as_py() else unit_rows(vectors).astype(np.float32)


def needs_refit(model: pa.Table, params: ProjectionParams, num_images: int) -> bool:
    """Say whether the collection of ``num_images`` has outgrown ``model`` (one row of ``schemas.PROJECTION``)."""
    return num_images >= params.growth * max(cast(int, model["num_images"][0].as_py()), 1)


def _model(moments: "Moments", params: ProjectionParams) -> dict[str, Float32s]:
    """Return the model's numbers: principal components of many images, unit length alone of few."""
    from pipeline.compute.projection import principal_components, round_components

    empty = np.zeros(0, dtype=np.float32)
    kept = min(params.dimensions, moments.dimensions)
    if params.reduction == "none" or kept == 0 or moments.count < _IMAGES_A_DIMENSION * kept:
        mean = np.zeros(moments.dimensions, dtype=np.float32)
        return {"mean": mean, "components": empty, "scales": empty, "explained_variance": empty}
    components, variance = principal_components(moments.covariance(), kept)
    scales = (
        1.0 / np.sqrt(np.maximum(variance, variance[0] * _WHITEN_FLOOR))
        if params.reduction == "whitened_pca"
        else empty
    )
    return {
        "mean": moments.mean().astype(np.float32),
        "components": round_components(components),
        "scales": scales.astype(np.float32),
        "explained_variance": variance.astype(np.float32),
    }


def _as_row(numbers: dict[str, Float32s], moments: "Moments", num_images: int, unit: bool) -> pa.Table:
    """Build the table; the name depends on the numbers alone."""
    digest = hashlib.blake2b(b"" if unit else b"as long as they are;", digest_size=8)
    for name in ("mean", "components", "scales"):
        array = np.ascontiguousarray(numbers[name], dtype="<f4")
        digest.update(f"{name}:{array.shape};".encode() + array.tobytes())
    components = numbers["components"]
    row = {
        "model": digest.hexdigest(),
        "input_dimensions": moments.dimensions,
        "dimensions": len(components) or moments.dimensions,
        **{name: array.reshape(-1) for name, array in numbers.items()},
        "unit": unit,
        "num_images": num_images,
        "sample_size": moments.count,
    }
    columns = {c.name: pa.array([row[c.name]], type=c.type) for c in PROJECTION.columns}
    return PROJECTION.check(pa.table(columns))
