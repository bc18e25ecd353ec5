"""The tables of choosing and seeing a date's clusters; ``schemas`` lists them among the others."""

import pyarrow as pa

from pipeline.schema import IMAGE_ID, Column, Table

TRIALS = Table(
    "trials",
    "A setting that was tried on a date, where `cluster.choose` says how one is chosen; no rows where it does not.",
    "clustering",
    ("settings",),
    (
        Column("settings", pa.string(), "The keys of the section `cluster` that it sets, as JSON with sorted keys."),
        Column("num_clusters", pa.int32(), "Clusters found, noise not among them."),
        Column("noise_fraction", pa.float64(), "Share of the images in no cluster."),
        Column("largest_fraction", pa.float64(), "Share of the images in the largest cluster."),
        Column("inertia", pa.float64(), "Sum of squared distances to the own center.", True),
        Column("silhouette", pa.float64(), "Mean silhouette, -1 to 1; null with one cluster.", True),
        Column("calinski_harabasz", pa.float64(), "Between over within variance; null with one cluster.", True),
        Column("davies_bouldin", pa.float64(), "Extent over distance of the worst neighbours; small is better.", True),
        Column("gap", pa.float64(), "Gap statistic; null unless `by` names it.", True),
        Column("gap_error", pa.float64(), "Its standard error.", True),
        Column("stability", pa.float64(), "Adjusted Rand index of resamples; null unless `by` names it.", True),
        Column("rank", pa.float64(), "Weighted mean of its ranks by the rules, 1 the best; null where refused.", True),
        Column("refused", pa.string(), "What limit it breaks.", True),
        Column("chosen", pa.bool_(), "Whether the date was clustered with it."),
    ),
)

MAP = Table(
    "map",
    "An image's place in a two-dimensional map of its date.",
    "clustering",
    ("image_id",),
    (
        IMAGE_ID,
        Column("x", pa.float32(), "Place from left to right, in the map's own unit.", True),
        Column("y", pa.float32(), "Place from bottom to top; null, as x, for an image without a vector.", True),
    ),
)

COLLECTION_MAP = Table(
    "collection_map",
    "An image's place in a two-dimensional map of the whole collection.",
    "clustering",
    ("image_id",),
    MAP.columns,
)
