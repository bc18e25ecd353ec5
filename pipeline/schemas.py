"""Every table, declared once: its columns, their types, its key and one sentence on each (DESIGN.md rule 1).

The date of a row lies in the partition path (``date=YYYY-MM-DD``) and in no column: pandas and pyarrow refuse it in
both places.  Rows are sorted by the key, and a key is unique within its partition.
"""

import pyarrow as pa

from pipeline.schema import ID, Column, Table, vector_type
from pipeline.schema import IMAGE_ID as _IMAGE_ID
from pipeline.schema import list_type as _list
from pipeline.schemas_of_choosing import COLLECTION_MAP, MAP, TRIALS
from pipeline.schemas_of_history import ALIASES, CHANGES, REGISTRY, VERDICTS
from pipeline.schemas_of_linking import (
    CALIBRATION,
    EVENTS,
    KNOWN_SUBJECTS,
    LINK_DECISIONS,
    LINK_ENDED,
    LINK_EVENTS,
    LINK_STATE,
    LINKS,
    STITCHES,
)

__all__ = [
    "ALIASES",
    "ASSIGNMENTS",
    "CALIBRATION",
    "CHANGES",
    "CLUSTERS",
    "COLLECTION_MAP",
    "CONSTRAINTS",
    "EVENTS",
    "FINGERPRINTS",
    "IMAGES",
    "KNOWN_SUBJECTS",
    "LINKS",
    "LINK_DECISIONS",
    "LINK_ENDED",
    "LINK_EVENTS",
    "LINK_STATE",
    "LOOKS",
    "LOOK_STATE",
    "MAP",
    "MICROSECONDS",
    "NEIGHBORS",
    "PROJECTION",
    "REGION",
    "REGISTRY",
    "STITCHES",
    "TABLES",
    "TRACKS",
    "TRACK_SUMMARY",
    "TRIALS",
    "UNDATED",
    "VERDICTS",
    "Column",
    "Table",
    "vector_type",
]

UNDATED = "1900-01-01"
"""The partition of images without a date (Hive's own null partition breaks pandas)."""


REGION = pa.struct([(side, pa.int32()) for side in ("x", "y", "width", "height")])
MICROSECONDS = pa.timestamp("us")

_REASON = Column(
    "reason", pa.string(), "Why there is no result, from a fixed vocabulary; null when there is one.", True
)

IMAGES = Table(
    "images",
    "An image of the collection, or a region of one; an image that cannot be read keeps its row.",
    "images",
    ("image_id",),
    (
        _IMAGE_ID,
        Column("uri", pa.string(), "Where the image lies."),
        Column(
            "region", REGION, "The part of the photograph, in pixels of the upright image; null for the whole.", True
        ),
        Column("captured_at", MICROSECONDS, "Wall-clock time at the camera, in microseconds; null if unknown.", True),
        Column("utc_offset_minutes", pa.int32(), "The camera's offset from UTC, where it is known.", True),
        Column(
            "captured_at_source",
            pa.string(),
            "Which rung of the dating ladder gave captured_at; implausible: there were times, all set aside.",
            True,
        ),
        Column("width", pa.int32(), "Pixels, of the upright image.", True),
        Column("height", pa.int32(), "Pixels, of the upright image.", True),
        Column("format", pa.string(), "The format found in the bytes, e.g. jpeg.", True),
        Column("num_bytes", pa.int64(), "Size of the object.", True),
        Column("content_hash", pa.string(), "32 hex digits of BLAKE2b over the object's bytes.", True),
        Column("duplicate_of", ID, "The image of the same date with the same bytes and the smallest image_id.", True),
        Column("object_version", pa.string(), "What the listing said of the object: its size and etag or time."),
        Column("vanished", pa.bool_(), "The object was listed once and is no longer."),
        Column(
            "pixels",
            pa.binary(),
            "The upright, shrunken image as JPEG; a small one as PNG or in its own bytes.",
            True,
        ),
        Column(
            "metadata",
            None,
            "The manifest's further columns: carried, never used unless a config names one.",
            True,
            True,
        ),
        _REASON,
        Column(
            "detail",
            pa.string(),
            "What the decoder or the store said of a failure, or a time set aside.",
            True,
        ),
    ),
)

CONSTRAINTS = Table(
    "constraints",
    "An image of which verdicts speak, or that is one of several regions of a photograph.",
    "images",
    ("image_id",),
    (
        _IMAGE_ID,
        Column("photograph", pa.string(), "The photograph that it is one of several regions of.", True),
        Column("subject", ID, "What it shows: the smallest image_id of those that are said to be the same.", True),
        Column("other_subjects", _list(ID), "Subjects that it is said not to show."),
    ),
)

FINGERPRINTS = Table(
    "fingerprints",
    "An image's vector by one extractor.",
    "extractor",
    ("image_id",),
    (
        _IMAGE_ID,
        Column("pixels_key", pa.string(), "Digest of what the vector was computed from; null without pixels.", True),
        Column("vector", None, "The fingerprint as the extractor gave it (not normalised).", True),
        _REASON,
    ),
)

VOCABULARY = Table(
    "vocabulary",
    "The visual words of an extractor that is fitted to the collection (bag of SIFT), named by their content.",
    "extractor",
    ("model",),
    (
        Column("model", ID, "The model's name: 16 hex digits of BLAKE2b over its numbers."),
        Column("num_words", pa.int32(), "Visual words."),
        Column("words", _list(pa.float32()), "Row-major num_words x 128: their centers among RootSIFT descriptors."),
        Column("num_images", pa.int64(), "Images with pixels when it was fitted."),
        Column("sample_size", pa.int64(), "Images it was fitted on."),
    ),
    partition_key="name",
)

PROJECTION = Table(
    "projection",
    "One fitted model, named by its content: fingerprint -> the vector that clustering and linking see.",
    "clustering",
    ("model",),
    (
        Column("model", pa.string(), "The model's name: 16 hex digits of BLAKE2b over its numbers."),
        Column("input_dimensions", pa.int32(), "Length of a fingerprint."),
        Column("dimensions", pa.int32(), "Length of a projected vector."),
        Column("mean", _list(pa.float32()), "Subtracted first (input_dimensions numbers)."),
        Column(
            "components", _list(pa.float32()), "Row-major dimensions x input_dimensions; empty: keep all dimensions."
        ),
        Column("scales", _list(pa.float32()), "Each projected coordinate is multiplied by its scale; empty: by one."),
        Column(
            "explained_variance", _list(pa.float32()), "Variance along each component, in fingerprint units squared."
        ),
        Column("unit", pa.bool_(), "Whether rows are scaled to unit length, first and last."),
        Column("num_images", pa.int64(), "Images with a vector when it was fitted."),
        Column("sample_size", pa.int64(), "Images it was fitted on."),
    ),
    partition_key="name",
)

COORDINATES = Table(
    "coordinates",
    "Where neighbours and clusters see an image; only where the config weighs metadata or time (section geometry).",
    "clustering",
    ("image_id",),
    (_IMAGE_ID, Column("vector", None, "Blocks times the root of their weights: projected vector, time, metadata.")),
)

NEIGHBORS = Table(
    "neighbors",
    "An edge of a date's kNN graph.",
    "clustering",
    ("image_id", "rank"),
    (
        _IMAGE_ID,
        Column("rank", pa.int32(), "1 for the nearest neighbour."),
        Column("neighbor_id", ID, "Another image of the same date."),
        Column("similarity", pa.float32(), "1 - half the squared distance; of unit vectors the cosine, -1 to 1."),
    ),
)

LINKAGE = Table(
    "linkage",
    "A merge of a date's tree in SciPy's form, the lowest first; only of the method agglomerative.",
    "clustering",
    ("step",),
    (
        Column("step", pa.int32(), "0, 1, ..."),
        Column(
            "left",
            pa.int32(),
            "A part: below n the image with that place among the n with a vector, by image_id;"
            " n + step: what that step made.",
        ),
        Column("right", pa.int32(), "The other part, of the larger number."),
        Column("height", pa.float64(), "Distance of the parts by the linkage, in the metric's unit."),
        Column("num_images", pa.int32(), "Images below."),
        Column("largest", pa.float64(), "The largest distance of the date: what sim_scale dendrogram refers to."),
    ),
)

ASSIGNMENTS = Table(
    "assignments",
    "An image in its date's clustering.",
    "clustering",
    ("image_id",),
    (
        _IMAGE_ID,
        Column("cluster_id", ID, "The cluster it is in; null for an image without a vector.", True),
        Column("similarity_to_center", pa.float32(), "Cosine to the cluster's center.", True),
        Column("silhouette", pa.float32(), "-1 to 1, by half squared distances (cosine); null with one cluster.", True),
        Column("noise", pa.bool_(), "The method put it in no cluster: it is one of its own.", True),
    ),
)

CLUSTERS = Table(
    "clusters",
    "A cluster of one date: images that look alike.",
    "clustering",
    ("cluster_id",),
    (
        Column("cluster_id", ID, "32 hex digits of BLAKE2b over the date and the members' image_ids."),
        Column("num_images", pa.int32(), "Members."),
        Column("medoid_image_id", ID, "The member with the least sum of distances to the others."),
        Column("central_image_id", ID, "The member nearest to the center."),
        Column("center", None, "Mean of the members' projected vectors (content alone), unit length."),
        Column("exemplar_image_ids", _list(ID), "Members that stand for its looks, the most typical first."),
        Column("cohesion", pa.float32(), "Mean cosine of the members to the center; 1 for a single image."),
        Column("nearest_cluster_id", ID, "The cluster of this date with the nearest center.", True),
        Column("nearest_similarity", pa.float32(), "Cosine of the two centers.", True),
        Column("noise", pa.bool_(), "An image that the method put in no cluster."),
        Column("reported", pa.bool_(), "It has cluster.min_cluster_size members; reports leave out what has not."),
    ),
)

LOOKS = Table(
    "looks",
    "A track on a date: how far its look has moved, in cosine distance (0 the same, 1 unrelated, 2 opposite).",
    "clustering",
    ("track_id",),
    (
        Column("track_id", ID, "The track."),
        Column("num_images", pa.int64(), "Its images of this date."),
        Column("image_id", ID, "The most typical of them: the medoid of its largest cluster."),
        Column("from_first", pa.float32(), "Distance from its look on its first date."),
        Column(
            "from_previous", pa.float32(), "Distance from its look on the date it was seen last; null at first.", True
        ),
        Column("from_mean", pa.float32(), "Distance from the mean of its looks so far, this one among them."),
        Column("gap_days", pa.int32(), "Days since the date it was seen last; null at first.", True),
        Column("per_day", pa.float32(), "Rate of change: from_previous by gap_days; null at first.", True),
        Column(
            "last_change",
            pa.date32(),
            "The newest change point known on this date: the first date of its present look; null: none yet.",
            True,
        ),
    ),
)

LOOK_STATE = Table(
    "look_state",
    "A track that had a cluster on this date: the looks that are kept of it, from which the next date goes on.",
    "clustering",
    ("track_id",),
    (
        Column("track_id", ID, "The track."),
        Column("mean", _list(pa.float32()), "Mean of all its looks (unit vectors), not of unit length itself."),
        Column("places", _list(pa.int32()), "Of each look kept: its place among the track's dates, 0 the first."),
        Column("dates", _list(pa.date32()), "Of each look kept: its date."),
        Column("image_ids", _list(ID), "Of each look kept: the image that stands for it."),
        Column("num_images", pa.int64(), "Images so far."),
        Column("vectors", _list(pa.float32()), "Row-major looks x dimensions: the looks, of unit length."),
        Column("change_dates", _list(pa.date32()), "Change points known on this date."),
    ),
)

TRACKS = Table(
    "tracks",
    "The result: an image and its subject.",
    "clustering",
    ("image_id",),
    (
        _IMAGE_ID,
        Column("uri", pa.string(), "Where the image lies."),
        Column("captured_at", MICROSECONDS, "Wall-clock time at the camera.", True),
        Column("cluster_id", ID, "Its cluster of the date; null for an image without a vector.", True),
        Column("track_id", ID, "Its track; null for an image without a vector or a date.", True),
        Column("probability", pa.float64(), "That the cluster belongs to the track.", True),
    ),
)

TRACK_SUMMARY = Table(
    "track_summary",
    "A track; its partition is its last date.",
    "clustering",
    ("track_id",),
    (
        Column("track_id", ID, "The track."),
        Column("first_date", pa.date32(), "Its first date."),
        Column("last_date", pa.date32(), "Its last date so far."),
        Column("num_dates", pa.int32(), "Dates on which it was seen."),
        Column("num_images", pa.int64(), "Images."),
        Column("first_image_id", ID, "Representative image of the first date."),
        Column("middle_image_id", ID, "Representative image of the middle one of its dates."),
        Column("last_image_id", ID, "Representative image of the last date."),
        Column("typical_image_id", ID, "Of the images that represent its dates the one nearest to its mean look."),
        Column("unusual_image_id", ID, "The one farthest from its mean look."),
        Column("drift", pa.float32(), "1 - cosine of its first and last look: 0 unchanged, 2 opposite."),
        Column("change_dates", _list(pa.date32()), "The dates on which its look changed: each begins a new look."),
        Column("state", pa.string(), "open or ended: no cluster for more than link.max_gap dates."),
    ),
)

TABLES = (
    IMAGES,
    VERDICTS,
    CONSTRAINTS,
    VOCABULARY,
    FINGERPRINTS,
    PROJECTION,
    COORDINATES,
    NEIGHBORS,
    LINKAGE,
    ASSIGNMENTS,
    CLUSTERS,
    TRIALS,
    MAP,
    COLLECTION_MAP,
    LINK_DECISIONS,
    LINK_EVENTS,
    LINK_STATE,
    LINK_ENDED,
    STITCHES,
    KNOWN_SUBJECTS,
    CALIBRATION,
    REGISTRY,
    ALIASES,
    CHANGES,
    LINKS,
    EVENTS,
    LOOKS,
    LOOK_STATE,
    TRACKS,
    TRACK_SUMMARY,
)
