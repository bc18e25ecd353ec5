"""Images of one date that look almost the same, from its neighbour graph."""

import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("image_id", pa.string()),
        ("other_image_id", pa.string()),
        ("similarity", pa.float32()),
        ("seconds_apart", pa.float64()),
        ("burst", pa.bool_()),
        ("same_bytes", pa.bool_()),
        ("uri", pa.string()),
        ("other_uri", pa.string()),
    ]
)
"""A pair a row, ``image_id`` below ``other_image_id``; without both capture times ``seconds_apart`` and ``burst`` are
null."""


def near_duplicates(
    date: str, neighbors: pa.Table, images: pa.Table, threshold: float, burst_seconds: float
) -> pa.Table:
    """Pairs of near-duplicates of a date, the most similar first.

    Args:
        date: the partition, ``YYYY-MM-DD``.
        neighbors: ``image_id``, ``neighbor_id`` and ``similarity`` of the date's graph; an edge may be there one way
            or both.
        images: ``image_id``, ``uri``, ``captured_at`` and ``content_hash`` of the date's images.
        threshold: least cosine of the projected vectors, -1 to 1.
        burst_seconds: most seconds between the two capture times of a burst.

    Returns:
        Rows of :data:`SCHEMA`.  Only edges of the graph are seen: of more near-duplicates of an image than it has
        neighbours, the rest hang together through others.
    """
    near = neighbors.filter(pc.greater_equal(neighbors["similarity"], pa.scalar(threshold, pa.float32())))
    swapped = pc.greater(near["image_id"], near["neighbor_id"])
    pairs = pa.table(
        {
            "image_id": pc.if_else(swapped, near["neighbor_id"], near["image_id"]),
            "other_image_id": pc.if_else(swapped, near["image_id"], near["neighbor_id"]),
            "similarity": near["similarity"],
        }
    )
    pairs = pairs.group_by(["image_id", "other_image_id"], use_threads=False).aggregate([("similarity", "max")])
    ids = images["image_id"].combine_chunks()
    one, other = (images.take(pc.index_in(pairs[name], ids)) for name in ("image_id", "other_image_id"))
    apart = pc.abs(pc.subtract(_microseconds(one), _microseconds(other)))
    seconds = pc.divide(pc.cast(apart, pa.float64()), 1e6)
    columns = {
        "date": pa.array([date] * pairs.num_rows, pa.string()).cast(pa.date32()),
        "image_id": pairs["image_id"],
        "other_image_id": pairs["other_image_id"],
        "similarity": pairs["similarity_max"],
        "seconds_apart": seconds,
        "burst": pc.less_equal(seconds, burst_seconds),
        "same_bytes": pc.equal(one["content_hash"], other["content_hash"]),
        "uri": one["uri"],
        "other_uri": other["uri"],
    }
    order = [("similarity", "descending"), ("image_id", "ascending"), ("other_image_id", "ascending")]
    return pa.table(columns, schema=SCHEMA).sort_by(order)


def _microseconds(images: pa.Table) -> pa.ChunkedArray:
    return pc.cast(images["captured_at"], pa.int64())
