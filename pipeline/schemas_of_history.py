"""Tables of what runs did one after the other; part of :mod:`pipeline.schemas`."""

import pyarrow as pa

from pipeline.schema import ID, IMAGE_ID, Column, Table
from pipeline.schema import list_type as _list

VERDICTS = Table(
    "verdicts",
    "What a person said of two images.",
    "images",
    ("image_id", "other_image_id"),
    (
        Column("image_id", ID, "An image."),
        Column("other_image_id", ID, "Another one, whose id is larger."),
        Column("verdict", pa.string(), "same or different: whether they show one subject."),
        Column("who", pa.string(), "Who said so.", True),
        Column("when", pa.string(), "When, in that person's words.", True),
        Column("note", pa.string(), "Why.", True),
    ),
    partition_key="name",
    history=True,
)

REGISTRY = Table(
    "registry",
    "A published id: history that is kept, for it cannot be computed again.",
    "clustering",
    ("track_id",),
    (
        Column("track_id", ID, "The published id; never given to another track."),
        Column("track_key", ID, "The track of linking that has it, or that had it last."),
        Column("later_keys", _list(ID), "Tracks of linking that were found to be later parts of it, in their order."),
        Column("num_images", pa.int64(), "Images of that track; 0 once the id is retired."),
        Column("retired", pa.bool_(), "No track has the id now."),
    ),
    partition_key="name",
    history=True,
)

ALIASES = Table(
    "aliases",
    "What became of a published id in a run that did not leave it as it was.",
    "clustering",
    ("track_id", "kind"),
    (
        Column("track_id", ID, "The id."),
        Column("kind", pa.string(), "merged into, split from, retired or revived."),
        Column(
            "other_track_id",
            ID,
            "The track that has its images now, or that it had them from; null where there is none.",
            True,
        ),
        Column("images", pa.int64(), "Images that went over."),
    ),
    partition_key="run",
    history=True,
)

CHANGES = Table(
    "changes",
    "An image whose track is not what it was before the run.",
    "clustering",
    ("date", "image_id"),
    (
        Column("date", pa.date32(), "Its date."),
        IMAGE_ID,
        Column("old_track_id", ID, "Its track before the run; null if it had none.", True),
        Column("new_track_id", ID, "Its track after the run; null if it has none.", True),
        Column("why", pa.string(), "added, removed, moved, merged, split, revived or renamed."),
    ),
    partition_key="run",
    history=True,
)
