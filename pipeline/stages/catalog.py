"""The stages that work on a whole date at once: which tables each reads and writes, and the function in between.

A stage is a frozen value; the runtime decides where and when it runs and what is stale.  ``tables`` holds what the
stage reads by the names given in ``reads``; every function here can be called in a REPL with Arrow tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from pipeline import schemas
from pipeline.schemas import Table
from pipeline.stages.map import wants_map

Tables = Mapping[str, Any]
"""Name -> Arrow table; for ``before`` and ``after`` a list of (date, table), dates ascending; None where optional."""

When = Callable[[Any], bool]
"""Of the whole config, or a section of it."""


def always(_: Any) -> bool:
    """Under any config."""
    return True


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


@dataclass(frozen=True)
class Given:
    """What a stage's function works with: a date's tables, its parameters, and the threads and GPUs that it may use."""

    date: str
    tables: Tables
    params: Any
    threads: int = 1
    gpu: bool = False


Run = Callable[[Given], tuple[pa.Table, ...]]


@dataclass(frozen=True)
class Read:
    """A table a stage reads, and only these columns of it: a change elsewhere does not make the stage stale.

    ``where``: the ``same`` date; the current ``model``; the ``previous`` date; up to ``link.max_gap + 1`` dates
    ``before`` or ``after`` it; up to ``link.stitch_gap`` dates ``long before``; the one partition of a table without
    dates (``current``); the ``names`` that its tracks have (the whole registry is read, but only another name of a
    track of this date makes the stage stale); ``told later``: this date and the one ``link.lag`` dates after it, on
    which it is told what began on this one; ``taken up``: the last dates of the tracks that are taken up on this one.
    ``optional``: the stage does without; no rows are then the same as no partition.  ``when``: whether it is read under
    a config; what is not read is in no digest.
    """

    name: str
    table: Table
    columns: tuple[str, ...]
    where: Literal[
        "same", "model", "previous", "before", "long before", "after", "names", "current", "told later", "taken up"
    ] = "same"
    optional: bool = False
    when: When = always


@dataclass(frozen=True)
class Stage:
    """A date's work.  The first read's dates are the stage's; ``undated`` says whether the undated partition is one.

    ``section`` names its parameters in the config, None if it has none.  ``version`` is raised when the function's
    results change: everything it wrote is then stale.  ``rows_as``: a written table that has a row for each row of
    one that is read, checked at every commit.  ``wanted`` says of the parameters whether runs do the stage at all.
    """

    name: str
    version: int
    section: str | None
    reads: tuple[Read, ...]
    writes: tuple[Table, ...]
    run: Run
    rows_as: Mapping[str, str] = field(default_factory=dict)
    undated: bool = True
    wants_gpu: bool = False
    wanted: When = always

    @property
    def in_order(self) -> bool:
        """A fold: a date needs what this stage wrote for the dates before it."""
        return any(read.where in ("before", "previous") and read.table in self.writes for read in self.reads)


# Functions of the form Run.


def _constraints(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.constraints import constraints

    tables = given.tables
    return (constraints(tables["images"], tables["verdicts"]),)


def _neighbors(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.neighbors import neighbors

    tables = given.tables
    read = (tables["fingerprints"], tables["model"], given.params, tables.get("coordinates"))
    return (neighbors(*read, threads=given.threads, gpu=given.gpu),)


def _geometry(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.geometry import coordinates

    tables = given.tables
    return (coordinates(tables["fingerprints"], tables["model"], tables["images"], given.params),)


def _linkage(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.date_tables import DateTables, linkage

    return (linkage(DateTables(**given.tables), given.params, threads=given.threads, gpu=given.gpu),)


def _cluster(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.cluster import cluster
    from pipeline.stages.date_tables import DateTables

    return cluster(given.date, DateTables(**given.tables), given.params, threads=given.threads, gpu=given.gpu)


def _map(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.map import map_images

    tables = given.tables
    read = (tables["fingerprints"], tables["model"], given.params)
    return (map_images(*read, threads=given.threads, gpu=given.gpu),)


def _link(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.constraints import of_clusters
    from pipeline.stages.exemplars import exemplars
    from pipeline.stages.link import Before, link_date

    tables = given.tables
    shown = exemplars(tables["clusters"], tables["fingerprints"], tables["model"])
    known = None
    if tables["constraints"] is not None:
        known = of_clusters(tables["constraints"], tables["assignments"])
    before = Before(*(tables[name] for name in ("states", "calibration", "ended", "stitches", "known_subjects")))
    result = link_date(given.date, tables["clusters"], shown, before, given.params, known=known)
    return tuple(getattr(result, name) for name in _LINKED)


_LINKED = ("links", "events", "link_state", "calibration", "ended", "stitches", "known_subjects")


def _looks(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.looks import looks

    tables = given.tables
    return looks(
        given.date, tables["links"], tables["clusters"], [*tables["taken_up"], *tables["states"]], given.params
    )


def _tracks(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.publish import Names
    from pipeline.stages.tracks import tracks

    tables = given.tables
    names = None if tables["names"] is None else Names(tables["names"])
    return (tracks(given.date, tables["images"], tables["assignments"], tables["decisions"], names),)


def _publish(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.publish import Names, publish
    from pipeline.stages.stitched import told_later

    tables = given.tables
    names = Names(tables["names"])
    found = told_later(given.date, tables["decisions"], tables["happened"], [rows for _, rows in tables["stitches"]])
    return tuple(
        publish(table, rows, names) for table, rows in zip((schemas.LINKS, schemas.EVENTS), found, strict=True)
    )


def _track_summary(given: Given) -> tuple[pa.Table, ...]:
    from pipeline.stages.publish import Names
    from pipeline.stages.tracks import track_summary

    tables = given.tables
    later = [links for _, links in tables["later_links"]]
    read = (tables["link_state"], tables["look_state"], later, given.params.max_gap)
    return (track_summary(given.date, *read, Names(tables["names"])),)


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
    run=_geometry,
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
    run=_constraints,
)

NEIGHBORS = Stage(
    name="neighbors",
    version=3,
    section="neighbors",
    reads=(_FINGERPRINTS, _MODEL, _COORDINATES),
    writes=(schemas.NEIGHBORS,),
    run=_neighbors,
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
    run=_linkage,
    wants_gpu=True,
    wanted=_has_tree,
)

CLUSTER = Stage(
    name="cluster",
    version=6,
    section="cluster",
    reads=(_FINGERPRINTS, _MODEL, _COORDINATES, _NEIGHBORS, _LINKAGE, _CONSTRAINTS),
    writes=(schemas.ASSIGNMENTS, schemas.CLUSTERS, schemas.TRIALS),
    run=_cluster,
    rows_as={"assignments": "fingerprints"},
    wants_gpu=True,
)

MAP = Stage(
    name="map",
    version=1,
    section="map",
    reads=(_FINGERPRINTS, _MODEL),
    writes=(schemas.MAP,),
    run=_map,
    rows_as={"map": "fingerprints"},
    wanted=wants_map,
)

LINK = Stage(
    name="link",
    version=11,
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
    run=_link,
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
    run=_looks,
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
    run=_tracks,
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
    run=_publish,
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
    run=_track_summary,
    undated=False,
)

UNNAMED_STAGES = (GEOMETRY, CONSTRAINTS, NEIGHBORS, LINKAGE, CLUSTER, MAP, LINK)
"""Those before naming, in the order in which a run takes them."""

NAMED_STAGES = (TRACKS, PUBLISH, LOOKS, TRACK_SUMMARY)
"""Those after it."""
