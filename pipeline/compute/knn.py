"""Nearest neighbours by FAISS: exact for thousands of vectors, inverted lists above.

Inverted lists are gone through list by list, each with all the queries that probe it, as one matrix product: of a whole
neighbour graph that takes a third of the time of FAISS' search, which goes query by query (the idea of
``faiss.contrib.big_batch_search``, which prints as it goes).

The similarity of two vectors is 1 - d^2 / 2, d their Euclidean distance: of unit vectors that is the cosine, and is
searched as the inner product.
"""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]


_PROBES = 1.3
"""Lists to search, over the root of their number: at 112 lists 14 find .95 of 30 neighbours, at 500 lists 27."""
_CHECKSUM_ROWS = 4096
_BLOCK_QUERIES = 65_536
"""Queries of one list at a time: bounds memory, has no influence on the result."""


@dataclass(frozen=True)
class Search:
    """How to search: exactly up to ``exact_below`` vectors, then ``num_probes`` lists of an inverted file.

    ``num_probes`` None: as many as find 95 % of 30 neighbours of simulated dates, see :func:`probes`.

    ``gpu``: on all GPUs that FAISS sees, each holding its share of the vectors; on the CPU where it sees none.

    ``unit``: every vector has length 1 (or 0), so that inner products say all; else by Euclidean distance.
    """

    exact_below: int = 20_000
    num_probes: int | None = None
    seed: int = 0
    threads: int = 1
    gpu: bool = False
    unit: bool = True


def probes(num_lists: int) -> int:
    """Lists to search of ``num_lists`` that find 95 % of 30 neighbours (simulated dates of 50 000 to a million)."""
    return int(np.ceil(_PROBES * np.sqrt(num_lists)))


def _metric(search: Search) -> int:
    return int(faiss.METRIC_INNER_PRODUCT if search.unit else faiss.METRIC_L2)


def _lists_of(vectors: Float32s, search: Search) -> Any:
    """An untrained inverted file of sqrt(n) / 2 lists: few long ones suit matrix products."""
    count, dimensions = vectors.shape
    num_lists = max(round(np.sqrt(count) / 2), 1)
    index: Any = faiss.IndexIVFFlat(
        faiss.IndexFlat(dimensions, _metric(search)), dimensions, num_lists, _metric(search)
    )
    index.cp.seed = search.seed + 1  # FAISS' generator does not take 0 for a seed
    index.cp.spherical = search.unit
    index.cp.min_points_per_centroid = 1  # no warning on standard error: few points a list are meant
    index.nprobe = min(search.num_probes or probes(num_lists), num_lists)
    return index


def _search(queries: Float32s, vectors: Float32s, count: int, search: Search) -> Int64s:
    """Row numbers (q, count) of what is nearest, -1 where the lists hold fewer, in FAISS' order."""
    faiss.omp_set_num_threads(search.threads)
    many = len(vectors) > search.exact_below
    index: Any = faiss.IndexFlat(vectors.shape[1], _metric(search))
    gpus = search.gpu and faiss.get_num_gpus() > 0
    if many:
        # The lists' k-means sends points to every GPU's copy of the centers.  It is not left to an index on the GPUs:
        # FAISS does not copy its settings there, the seed among them.
        nearest_center = _on_all_gpus(index, shard=False) if gpus else None
        index = _lists_of(vectors, search)
        index.clustering_index = nearest_center
        index.train(vectors)
        if not gpus:
            return _list_by_list(queries, vectors, count, index)
    if gpus:
        index = _on_all_gpus(index, shard=True)
    index.add(vectors)
    return np.asarray(index.search(queries, count)[1], dtype=np.int64)


def _on_all_gpus(index: Any, *, shard: bool) -> Any:
    """An empty index on every GPU that this process sees (Ray shows a task its own): a share of the vectors, or all."""
    options = faiss.GpuMultipleClonerOptions()
    options.shard = shard
    return faiss.index_cpu_to_all_gpus(index, options)


def _list_by_list(queries: Float32s, vectors: Float32s, count: int, index: Any) -> Int64s:
    """Search an inverted file whose lists were trained and are still empty."""
    num_lists, metric = index.nlist, index.metric_type
    members, starts = _buckets(index.quantizer.search(vectors, 1)[1], num_lists)
    asked, bounds = _buckets(index.quantizer.search(queries, index.nprobe)[1], num_lists)
    heap = faiss.ResultHeap(len(queries), count, keep_max=metric == faiss.METRIC_INNER_PRODUCT)
    for one in range(num_lists):
        rows = members[starts[one] : starts[one + 1]]
        every = asked[bounds[one] : bounds[one + 1]]
        for start in range(0, len(every) if len(rows) else 0, _BLOCK_QUERIES):
            some = every[start : start + _BLOCK_QUERIES]
            values, places = faiss.knn(queries[some], vectors[rows], min(count, len(rows)), metric=metric)
            heap.add_result_subset(some, values, rows[places])
    heap.finalize()
    return np.asarray(heap.I, dtype=np.int64)


def _buckets(lists: Int64s, num_lists: int) -> tuple[Int64s, Int64s]:
    """Rows of ``lists`` (n, p) by the list that they name, ascending within one, and where each list begins."""
    flat = lists.reshape(-1).astype(np.min_scalar_type(num_lists))  # 16 bits sort by radix
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=num_lists))])
    return np.argsort(flat, kind="stable") // lists.shape[1], starts


def nearest(queries: Float32s, vectors: Float32s, count: int, search: Search) -> tuple[Int64s, Float32s]:
    """Find for each query the ``count`` most similar rows of ``vectors``.

    Returns:
        Row numbers int64 and similarities float32, both (q, min(count, n)), best first, ties by row number.  The
        similarities are recomputed pair by pair: a search's last bits depend on where in a block a vector lies.
        A place that an inverted file could not fill has row number -1 and similarity -inf.
    """
    count = min(count, len(vectors))
    if not count or not len(queries):
        return np.zeros((len(queries), count), np.int64), np.zeros((len(queries), count), np.float32)
    found = _search(queries, vectors, count, search)
    products = similarities(queries, vectors, found, search.unit)
    _sort(found, products)
    return found, products


def _sort(found: Int64s, products: Float32s) -> None:
    """Sort each row by similarity, ties by row number, in place; but for last bits and ties a search did so."""
    above, below = products[:, :-1], products[:, 1:]
    wrong = (below > above) | ((below == above) & (found[:, 1:] < found[:, :-1]))
    rows = np.flatnonzero(wrong.any(axis=1))
    order = np.lexsort((found[rows], -products[rows]), axis=1)
    found[rows] = np.take_along_axis(found[rows], order, axis=1)
    products[rows] = np.take_along_axis(products[rows], order, axis=1)


def similarities(queries: Float32s, vectors: Float32s, chosen: Int64s, unit: bool = True) -> Float32s:
    """Similarities of queries (q, d) with chosen rows of ``vectors``, numbers (q, m) -> (q, m); -inf where -1.

    One pair at a time: the same two vectors give the same number wherever they lie and however many threads there are.
    """
    left, right = np.ascontiguousarray(queries), np.ascontiguousarray(vectors)
    ids = np.ascontiguousarray(chosen, dtype=np.int64)
    found = np.empty(ids.shape, dtype=np.float32)
    compute: Any = getattr(faiss, "fvec_inner_products_by_idx" if unit else "fvec_L2sqr_by_idx")  # not in its stubs
    pointers = (faiss.swig_ptr(one) for one in (found, left, right, ids))
    compute(*pointers, left.shape[1], ids.shape[0], ids.shape[1])
    if not unit:
        found = np.asarray(1.0 - found.astype(np.float64) / 2.0, dtype=np.float32)
    found[ids < 0] = -np.inf
    return found


def neighbor_graph(vectors: Float32s, count: int, search: Search) -> tuple[Int64s, Float32s]:
    """Find for each of ``vectors`` (n, d) its ``count`` nearest others, itself left out.

    Equal vectors are searched once and expanded, so that ties among any number of them go by row number.

    Returns:
        Row numbers and similarities (n, min(count, n - 1)) as :func:`nearest`.
    """
    size = len(vectors)
    count = min(count, max(size - 1, 0))
    if not count:
        return np.zeros((size, 0), np.int64), np.zeros((size, 0), np.float32)
    distinct, group = distinct_rows(vectors)
    found, products = nearest(distinct, distinct, count + 1, search)
    if len(distinct) == size:
        return _without_self(found, products, count)
    return _expand(found, products, group, count)


def distinct_rows(vectors: Float32s) -> tuple[Float32s, Int64s]:
    """Return the distinct rows in the order of their first occurrence, and for each row the number of its like."""
    vectors = np.ascontiguousarray(vectors)
    if len(np.unique(_checksums(vectors))) == len(vectors):  # the usual case, without sorting long rows
        return vectors, np.arange(len(vectors))
    keys = vectors.view(np.dtype((np.void, vectors.shape[1] * vectors.itemsize))).reshape(-1)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return vectors[first[order]], rank[group].astype(np.int64)


def _checksums(vectors: Float32s) -> npt.NDArray[np.uint64]:
    """A number of each row (n,), equal for equal rows: a sum of its bits, each column times an odd factor."""
    factors = np.arange(1, vectors.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) | np.uint64(1)
    found = np.empty(len(vectors), dtype=np.uint64)
    for start in range(0, len(vectors), _CHECKSUM_ROWS):
        rows = vectors[start : start + _CHECKSUM_ROWS]
        np.einsum("ij,j->i", rows.view(np.uint32).astype(np.uint64), factors, out=found[start : start + len(rows)])
    return found


def _without_self(found: Int64s, products: Float32s, count: int) -> tuple[Int64s, Float32s]:
    """Remove each row's own number, or the last place where it is not among the found."""
    if (found[:, 0] == np.arange(len(found))).all():  # the usual case, without a copy
        return found[:, 1:], products[:, 1:]
    own = found == np.arange(len(found))[:, None]
    own[:, -1] |= ~own.any(axis=1)
    keep = ~own
    return found[keep].reshape(-1, count), products[keep].reshape(-1, count)


def _expand(found: Int64s, products: Float32s, group: Int64s, count: int) -> tuple[Int64s, Float32s]:
    """Replace distinct vectors by the rows that have them; ``count`` + 1 distinct ones hold more than enough rows."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 2))
    rows_out = np.full((len(group), count), -1, dtype=np.int64)
    products_out = np.full((len(group), count), -np.inf, dtype=np.float32)
    for number in range(len(found)):
        hits = found[number][found[number] >= 0]
        members = [order[starts[hit] : starts[hit + 1]][: count + 1] for hit in hits]
        rows = np.concatenate(members)
        similarity = np.repeat(products[number][: len(hits)], [len(m) for m in members])
        best = np.lexsort((rows, -similarity))
        own = order[starts[number] : starts[number + 1]]
        for row in own:
            chosen = best[rows[best] != row][:count]
            rows_out[row, : len(chosen)] = rows[chosen]
            products_out[row, : len(chosen)] = similarity[chosen]
    return rows_out, products_out
