"""Linking's tables, and those that are published of them; part of :mod:`pipeline.schemas`."""

from dataclasses import replace

import pyarrow as pa

from pipeline.schema import ID, Column, Table
from pipeline.schema import list_type as _list


def _published(table: Table) -> tuple[Column, ...]:
    """The columns of one of linking's tables with published ids in place of its own."""
    return tuple(replace(one, name=one.name.replace("track_key", "track_id")) for one in table.columns)


LINK_DECISIONS = Table(
    "link_decisions",
    "What linking decided of a cluster: that it continues a track, or begins one.",
    "clustering",
    ("cluster_id",),
    (
        Column("cluster_id", ID, "The cluster."),
        Column("track_key", ID, "The track it belongs to."),
        Column("previous_cluster_id", ID, "The track's cluster before this one; null at a birth.", True),
        Column(
            "gap_dates",
            pa.int32(),
            "Dates of the collection from the previous cluster to this one; 1 is the next date.",
            True,
        ),
        Column("gap_days", pa.int32(), "Days from the previous cluster to this one.", True),
        Column(
            "similarity",
            pa.float32(),
            "Cosine of exemplars to the track's nearest: half the best one's, half the mean.",
            True,
        ),
        Column(
            "score",
            pa.float32(),
            "The similarity after normalisation against the cluster's and the track's own lists.",
            True,
        ),
        Column(
            "probability", pa.float64(), "That this decision is right: the link, or for a birth that nothing continues."
        ),
        Column("runner_up_track_key", ID, "The next best track.", True),
        Column("runner_up_margin", pa.float32(), "Score above the runner-up's.", True),
        Column(
            "reason",
            pa.string(),
            "Why it was decided so: first date, nothing continues, ambiguous, continues, continues after a gap, "
            "continues beside another cluster, continues in a mixed cluster (some of its looks continue another "
            "track), same subject by a verdict.",
        ),
    ),
)

LINK_EVENTS = Table(
    "link_events",
    "Something that happened to a track, as linking saw it.",
    "clustering",
    ("track_key", "kind", "cluster_id"),
    (
        Column("track_key", ID, "The track."),
        Column(
            "kind",
            pa.string(),
            "birth, continuation, gap, split, merge, end, doubtful or ambiguous-resolved.",
        ),
        Column("cluster_id", ID, "The cluster it shows in; for an end, the track's last cluster."),
        Column("other_track_key", ID, "The track it split from, or merged with.", True),
        Column(
            "probability",
            pa.float64(),
            "That the event is real; for an end, that no cluster of this date, its last chance, continues it.",
            True,
        ),
        Column("evidence", pa.string(), "The figures it rests on, as a sentence.", True),
    ),
)

LINK_STATE = Table(
    "link_state",
    "A track that had a cluster on this date, as linking knew it after the date.",
    "clustering",
    ("track_key",),
    (
        Column("track_key", ID, "The track: 10 characters that derive from its first cluster, and from nothing else."),
        Column("first_date", pa.date32(), "Its first date."),
        Column("last_cluster_id", ID, "Its cluster of this date."),
        Column("bank_image_ids", _list(ID), "The exemplars it keeps, oldest first."),
        Column("bank_dates", _list(pa.date32()), "The date of each exemplar."),
        Column(
            "bank_vectors", _list(pa.float32()), "Row-major exemplars x dimensions: the exemplars' projected vectors."
        ),
        Column("subjects", _list(ID), "What it is known to show, by verdicts on its images."),
    ),
)

LINK_ENDED = Table(
    "link_ended",
    "A track that ended on this date, as linking knew it: it may be stitched to a later one.",
    "clustering",
    LINK_STATE.key,
    LINK_STATE.columns,
)

STITCHES = Table(
    "stitches",
    "A track that is the later part of an earlier one, found out on this date; both keep their rows of before.",
    "clustering",
    ("track_key",),
    (
        Column("track_key", ID, "The later track."),
        Column("earlier_track_key", ID, "The track that it is; it may itself be the later part of another."),
        Column(
            "kind",
            pa.string(),
            "gap: the earlier one was open when the later one began; revival: it had ended; verdict: a person said so.",
        ),
        Column("previous_cluster_id", ID, "The earlier one's last cluster."),
        Column("last_date", pa.date32(), "The earlier one's last date."),
        Column("first_date", pa.date32(), "The later one's first date."),
        Column("gap_dates", pa.int32(), "Dates of the collection from the one's last to the other's first."),
        Column("similarity", pa.float32(), "Of their looks, as of a link; null where a person said so.", True),
        Column("probability", pa.float64(), "That they are one."),
    ),
)

KNOWN_SUBJECTS = Table(
    "known_subjects",
    "A subject of which verdicts speak and the track that showed it last, up to this date, however long ago.",
    "clustering",
    ("subject",),
    (
        Column("subject", ID, "The subject: the smallest image_id of those that are said to be the same."),
        Column("track_key", ID, "The track."),
        Column("last_cluster_id", ID, "Its last cluster."),
        Column("last_date", pa.date32(), "Its last date."),
        Column("gap_dates", pa.int32(), "Dates of the collection since then; 0: it is seen on this date."),
    ),
)

CALIBRATION = Table(
    "calibration",
    "A number of the score model that turned this date's scores into probabilities; fitted on earlier dates only.",
    "clustering",
    ("gap_bin", "parameter"),
    (
        Column("gap_bin", pa.int32(), "Gap in dates it holds for; 0: for all."),
        Column("parameter", pa.string(), "Its name."),
        Column("value", pa.float64(), "Its value."),
    ),
)

LINKS = Table(
    "links",
    "A cluster's link to a track: the continuation of an earlier one, or a birth.",
    "clustering",
    LINK_DECISIONS.key,
    _published(LINK_DECISIONS),
)

_KINDS = "birth, continuation, gap, revival, split, merge, end, doubtful or ambiguous-resolved."

EVENTS = Table(
    "events",
    "Something that happened to a track.",
    "clustering",
    ("track_id", "kind", "cluster_id"),
    tuple(replace(one, doc=_KINDS) if one.name == "kind" else one for one in _published(LINK_EVENTS)),
)
