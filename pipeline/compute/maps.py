"""Two-dimensional maps of vectors: t-SNE (openTSNE) and UMAP, each over FAISS's neighbours, each seeded.

Equal rows are one point of the map.  Both begin at the first two principal components, so the same rows with the same
seed give the same map, and maps of slightly different rows look alike (Kobak and Linderman, 2021).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.knn import Search, distinct_rows, neighbor_graph
from pipeline.compute.projection import principal_components

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

FEWEST = 5
"""Distinct rows below which a map is the principal components alone: there are no neighbourhoods to keep."""


@dataclass(frozen=True)
class MapSettings:
    """What a map depends on.

    Args:
        neighbors: How many count as near: UMAP's ``n_neighbors``, t-SNE's perplexity is a third of it.
        min_dist: Least distance of points in UMAP's map.
        iterations: Of t-SNE after its early exaggeration; UMAP's epochs.
        seed: Of every random choice.
    """

    neighbors: int = 30
    min_dist: float = 0.1
    iterations: int = 500
    seed: int = 0


def make_map(vectors: Float32s, method: str, settings: MapSettings, search: Search, dimensions: int = 2) -> Float32s:
    """Place each row.

    Args:
        vectors: Unit vectors (n, d), n >= 0.
        method: A name of ``MAPS``.
        settings: What the map depends on.
        search: How the neighbours are searched.
        dimensions: Of the map; t-SNE makes 1 or 2.

    Returns:
        float32 (n, dimensions), centred; equal rows have equal places, and all are at the origin if all are equal.
    """
    points, group = distinct_rows(vectors)
    start = principal_places(points, dimensions)
    if len(points) < FEWEST:
        return np.asarray(start[group], dtype=np.float32)
    count = min(settings.neighbors, len(points) - 1)
    found, similarities = neighbor_graph(points, count, search)
    distances = np.sqrt(np.maximum(2.0 - 2.0 * similarities.astype(np.float64), 0.0))
    places = MAPS[method](points, _Near(*_without_gaps(found, distances)), start, settings)
    return np.asarray((places - places.mean(axis=0))[group], dtype=np.float32)


@dataclass(frozen=True)
class _Near:
    """Row numbers of each row's nearest others (n, k), nearest first, and their Euclidean distances."""

    rows: Int64s
    distances: Float64s


def principal_places(points: Float32s, dimensions: int) -> Float64s:
    """The rows' coordinates (n, dimensions) on their own leading principal components, signs canonical."""
    wide = points.astype(np.float64)
    if not len(wide):
        return np.zeros((0, dimensions))
    wide = wide - wide.mean(axis=0)
    axes, variances = principal_components(wide.T @ wide / max(len(wide) - 1, 1), min(dimensions, wide.shape[1]))
    axes = np.where(variances[:, None] > 1e-12 * max(variances[:1].sum(), 1e-12), axes, 0.0)  # rounding is no direction
    places = np.zeros((len(wide), dimensions))
    places[:, : len(axes)] = wide @ axes.T
    return places


def _tsne(points: Float32s, near: _Near, start: Float64s, settings: MapSettings) -> Float64s:
    """t-SNE (van der Maaten and Hinton, 2008) by openTSNE (Poličar et al., 2024)."""
    from openTSNE import TSNE
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    del points  # its neighbours say all
    affinities = PerplexityBasedNN(
        perplexity=max(near.rows.shape[1] / 3.0, 1.0),
        knn_index=PrecomputedNeighbors(near.rows, near.distances),
        random_state=settings.seed,
        n_jobs=1,
    )
    spread = start[:, 0].std()
    tsne = TSNE(
        n_components=start.shape[1], n_iter=settings.iterations, random_state=settings.seed, n_jobs=1, verbose=False
    )
    return np.asarray(tsne.fit(affinities=affinities, initialization=start / (spread or 1.0) * 1e-4))


def _umap(points: Float32s, near: _Near, start: Float64s, settings: MapSettings) -> Float64s:
    """UMAP (McInnes et al., 2018)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that new points cannot be mapped, and that a seed means one thread
        from umap import UMAP

        own = np.arange(len(points))[:, None]
        rows = np.concatenate([own, near.rows], axis=1)
        distances = np.concatenate([np.zeros_like(own, dtype=np.float64), near.distances], axis=1)
        umap = UMAP(
            n_neighbors=rows.shape[1],
            n_components=start.shape[1],
            n_epochs=settings.iterations,
            min_dist=settings.min_dist,
            init=(start / (np.abs(start).max() or 1.0) * 10.0).astype(np.float32),
            precomputed_knn=(rows, distances.astype(np.float32)),
            force_approximation_algorithm=True,  # below 4096 rows it would search again
            random_state=settings.seed,
            n_jobs=1,
        )
        return np.asarray(umap.fit_transform(points), dtype=np.float64)


MAPS: dict[str, Callable[[Float32s, _Near, Float64s, MapSettings], Float64s]] = {"tsne": _tsne, "umap": _umap}
"""Name -> how the places come from the points, their neighbours and where they begin."""


def _without_gaps(found: Int64s, distances: Float64s) -> tuple[Int64s, Float64s]:
    """An approximate search may leave places empty: filled with the row's nearest, which says nothing new."""
    empty = found < 0
    return np.where(empty, found[:, :1], found), np.where(empty, distances[:, :1], distances)
