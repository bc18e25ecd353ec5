"""What the stages of :mod:`pipeline.stages.catalog` do: from a date's tables, by the names of their reads, to new ones.

Each takes :class:`pipeline.stages.stage.Given`, so that it can be called in a REPL; what it calls is imported when it
is called, since a driver that only plans needs none of it.
"""

import pyarrow as pa

from pipeline import schemas
from pipeline.stages.stage import Given


def constraints(given: Given) -> tuple[pa.Table, ...]:
    """What verdicts ask of the date's images."""
    from pipeline.stages.constraints import constraints

    tables = given.tables
    return (constraints(tables["images"], tables["verdicts"]),)


def neighbors(given: Given) -> tuple[pa.Table, ...]:
    """The neighbour graph."""
    from pipeline.stages.neighbors import neighbors

    tables = given.tables
    read = (tables["fingerprints"], tables["model"], given.params, tables.get("coordinates"))
    return (neighbors(*read, threads=given.threads, gpu=given.gpu),)


def geometry(given: Given) -> tuple[pa.Table, ...]:
    """What metadata and time add to the vectors."""
    from pipeline.stages.geometry import coordinates

    tables = given.tables
    return (coordinates(tables["fingerprints"], tables["model"], tables["images"], given.params),)


def linkage(given: Given) -> tuple[pa.Table, ...]:
    """The tree that agglomerative cuts."""
    from pipeline.stages.date_tables import DateTables, linkage

    return (linkage(DateTables(**given.tables), given.params, threads=given.threads, gpu=given.gpu),)


def cluster(given: Given) -> tuple[pa.Table, ...]:
    """The clusters, and what was tried for them."""
    from pipeline.stages.cluster import cluster
    from pipeline.stages.date_tables import DateTables

    return cluster(given.date, DateTables(**given.tables), given.params, threads=given.threads, gpu=given.gpu)


def mapped(given: Given) -> tuple[pa.Table, ...]:
    """Places in two dimensions."""
    from pipeline.stages.map import map_images

    tables = given.tables
    read = (tables["fingerprints"], tables["model"], given.params)
    return (map_images(*read, threads=given.threads, gpu=given.gpu),)


def link(given: Given) -> tuple[pa.Table, ...]:
    """Which track each cluster goes on with, and what the next dates have to know."""
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


def looks(given: Given) -> tuple[pa.Table, ...]:
    """How tracks change."""
    from pipeline.stages.looks import looks

    tables = given.tables
    return looks(
        given.date, tables["links"], tables["clusters"], [*tables["taken_up"], *tables["states"]], given.params
    )


def tracks(given: Given) -> tuple[pa.Table, ...]:
    """The images with their tracks' names."""
    from pipeline.stages.publish import Names
    from pipeline.stages.tracks import tracks

    tables = given.tables
    names = None if tables["names"] is None else Names(tables["names"])
    return (tracks(given.date, tables["images"], tables["assignments"], tables["decisions"], names),)


def publish(given: Given) -> tuple[pa.Table, ...]:
    """Links and events under the tracks' names."""
    from pipeline.stages.publish import Names, publish
    from pipeline.stages.stitched import told_later

    tables = given.tables
    names = Names(tables["names"])
    found = told_later(given.date, tables["decisions"], tables["happened"], [rows for _, rows in tables["stitches"]])
    return tuple(
        publish(table, rows, names) for table, rows in zip((schemas.LINKS, schemas.EVENTS), found, strict=True)
    )


def track_summary(given: Given) -> tuple[pa.Table, ...]:
    """The tracks that were seen on the date and on no later one."""
    from pipeline.stages.publish import Names
    from pipeline.stages.tracks import track_summary

    tables = given.tables
    later = [links for _, links in tables["later_links"]]
    read = (tables["link_state"], tables["look_state"], later, given.params.max_gap)
    return (track_summary(given.date, *read, Names(tables["names"])),)
