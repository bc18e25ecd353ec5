"""The stages that work on a whole date at once: which tables each reads and writes."""

from typing import Any

from pipeline import schemas
from pipeline.stages import runs
from pipeline.stages.map import wants_map
from pipeline.stages.stage import Read, Stage


def _weighs(config: Any) -> bool:
    return bool(config.geometry.weighs)


def _moves(params: Any) -> bool:
    return bool(params.weighs)


def _grows_tree(config: Any) -> bool:
    return bool(config.cluster.has_tree)


def _has_tree(params: Any) -> bool:
    return bool(params.has_tree)


def _mixes_time(config: Any) -> bool:
    return bool(config.cluster.mix == "imagecluster")


_FINGERPRINTS = Read("fingerprints", schemas.FINGERPRINTS, ("image_id", "vector"))
_ASSIGNMENTS = Read("assignments", schemas.ASSIGNMENTS, ("image_id", "cluster_id"))
_NAMES = Read("names", schemas.REGISTRY, ("track_id", "track_key", "later_keys", "retired"), "names")
_MODEL = Read("model", schemas.PROJECTION, tuple(schemas.PROJECTION.names), "model")
_COORDINATES = Read("coordinates", schemas.COORDINATES, ("image_id", "vector"), when=_weighs)
_NEIGHBORS = Read("neighbors", schemas.NEIGHBORS, tuple(schemas.NEIGHBORS.names))
_LINKAGE = Read("linkage", schemas.LINKAGE, tuple(schemas.LINKAGE.names), when=_grows_tree)

GEOMETRY = Stage(
    name="geometry",
    version=1,
    section="geometry",
    reads=(_FINGERPRINTS, _MODEL, Read("images", schemas.IMAGES, ("image_id", "captured_at", "metadata"))),
    writes=(schemas.COORDINATES,),
    run=runs.geometry,
    wanted=_moves,
)

_CONSTRAINTS = Read("constraints", schemas.CONSTRAINTS, tuple(schemas.CONSTRAINTS.names), optional=True)

CONSTRAINTS = Stage(
    name="constraints",
    version=1,
    section=None,
    reads=(
        Read("images", schemas.IMAGES, ("image_id", "uri", "region")),
        Read("verdicts", schemas.VERDICTS, tuple(schemas.VERDICTS.names), "current", optional=True),
    ),
    writes=(schemas.CONSTRAINTS,),
    run=runs.constraints,
)

NEIGHBORS = Stage(
    name="neighbors",
    version=3,
    section="neighbors",
    reads=(_FINGERPRINTS, _MODEL, _COORDINATES),
    writes=(schemas.NEIGHBORS,),
    run=runs.neighbors,
    wants_gpu=True,
)

LINKAGE = Stage(
    name="linkage",
    version=1,
    section="cluster",
    reads=(
        _FINGERPRINTS,
        _MODEL,
        _COORDINATES,
        _NEIGHBORS,
        Read("images", schemas.IMAGES, ("image_id", "captured_at"), when=_mixes_time),
    ),
    writes=(schemas.LINKAGE,),
    run=runs.linkage,
    wants_gpu=True,
    wanted=_has_tree,
)

CLUSTER = Stage(
    name="cluster",
    version=7,
    section="cluster",
    reads=(_FINGERPRINTS, _MODEL, _COORDINATES, _NEIGHBORS, _LINKAGE, _CONSTRAINTS),
    writes=(schemas.ASSIGNMENTS, schemas.CLUSTERS, schemas.TRIALS),
    run=runs.cluster,
    rows_as={"assignments": "fingerprints"},
    wants_gpu=True,
)

MAP = Stage(
    name="map",
    version=1,
    section="map",
    reads=(_FINGERPRINTS, _MODEL),
    writes=(schemas.MAP,),
    run=runs.mapped,
    rows_as={"map": "fingerprints"},
    wanted=wants_map,
)

LINK = Stage(
    name="link",
    version=14,
    section="link",
    reads=(
        Read("clusters", schemas.CLUSTERS, ("cluster_id", "exemplar_image_ids")),
        _FINGERPRINTS,
        _MODEL,
        _ASSIGNMENTS,
        _CONSTRAINTS,
        Read("states", schemas.LINK_STATE, tuple(schemas.LINK_STATE.names), "before"),
        Read("calibration", schemas.CALIBRATION, tuple(schemas.CALIBRATION.names), "previous", optional=True),
        Read("ended", schemas.LINK_ENDED, tuple(schemas.LINK_ENDED.names), "long before"),
        Read("stitches", schemas.STITCHES, ("earlier_track_key",), "long before"),
        Read("known_subjects", schemas.KNOWN_SUBJECTS, tuple(schemas.KNOWN_SUBJECTS.names), "previous", optional=True),
    ),
    writes=(
        schemas.LINK_DECISIONS,
        schemas.LINK_EVENTS,
        schemas.LINK_STATE,
        schemas.CALIBRATION,
        schemas.LINK_ENDED,
        schemas.STITCHES,
        schemas.KNOWN_SUBJECTS,
    ),
    run=runs.link,
    rows_as={"link_decisions": "clusters"},
    undated=False,
)

LOOKS = Stage(
    name="looks",
    version=2,
    section="looks",
    reads=(
        Read("links", schemas.LINKS, ("cluster_id", "track_id")),
        Read("clusters", schemas.CLUSTERS, ("cluster_id", "num_images", "medoid_image_id", "center")),
        Read("states", schemas.LOOK_STATE, tuple(schemas.LOOK_STATE.names), "before"),
        Read("taken_up", schemas.LOOK_STATE, tuple(schemas.LOOK_STATE.names), "taken up", optional=True),
    ),
    writes=(schemas.LOOKS, schemas.LOOK_STATE),
    run=runs.looks,
    undated=False,
)

TRACKS = Stage(
    name="tracks",
    version=2,
    section=None,
    reads=(
        Read("images", schemas.IMAGES, ("image_id", "uri", "captured_at")),
        _ASSIGNMENTS,
        Read("decisions", schemas.LINK_DECISIONS, ("cluster_id", "track_key", "probability"), optional=True),
        _NAMES,
    ),
    writes=(schemas.TRACKS,),
    run=runs.tracks,
    rows_as={"tracks": "images"},
)

PUBLISH = Stage(
    name="publish",
    version=2,
    section=None,
    reads=(
        Read("decisions", schemas.LINK_DECISIONS, tuple(schemas.LINK_DECISIONS.names)),
        Read("happened", schemas.LINK_EVENTS, tuple(schemas.LINK_EVENTS.names)),
        Read("stitches", schemas.STITCHES, tuple(schemas.STITCHES.names), "told later", optional=True),
        _NAMES,
    ),
    writes=(schemas.LINKS, schemas.EVENTS),
    run=runs.publish,
    rows_as={"links": "decisions", "events": "happened"},
    undated=False,
)

TRACK_SUMMARY = Stage(
    name="track_summary",
    version=4,
    section="link",
    reads=(
        Read("link_state", schemas.LINK_STATE, ("track_key",)),
        Read("look_state", schemas.LOOK_STATE, tuple(schemas.LOOK_STATE.names)),
        Read("later_links", schemas.LINK_DECISIONS, ("track_key",), "after"),
        _NAMES,
    ),
    writes=(schemas.TRACK_SUMMARY,),
    run=runs.track_summary,
    undated=False,
)

UNNAMED_STAGES = (GEOMETRY, CONSTRAINTS, NEIGHBORS, LINKAGE, CLUSTER, MAP, LINK)
"""Those before naming, in the order in which a run takes them."""

NAMED_STAGES = (TRACKS, PUBLISH, LOOKS, TRACK_SUMMARY)
"""Those after it."""
