"""The evidence on two images, read from a workspace: narrow columns, one date's vectors at a time."""

import itertools
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.compute.task import ClusteringTask
from pipeline.errors import UserError
from pipeline.reports.criteria import in_words
from pipeline.reports.why import OnOneDate, OverDates, Row, Seen, explain
from pipeline.runtime.clustered import Clustered, clustered, model_of
from pipeline.runtime.context import Context
from pipeline.runtime.tables import read_dates, uris_of
from pipeline.stages.cluster_params import READ
from pipeline.stages.projection import content_of

_ID = re.compile(r"[0-9a-f]{32}")
_TOLD = ("num_clusters", "similarity", "distance", "sim", "linkage", "metric", "min_samples", "resolution")
"""Settings that are named with a method that reads them."""


def why(context: Context, one: str, other: str) -> list[str]:
    """Say why two images, each given by its id or by the end of its path, are together or apart.

    Raises:
        UserError: no such image, several, or twice the same.
    """
    first, second = find(context, one), find(context, other)
    if first.image_id == second.image_id:
        raise UserError(f"{one} and {other} are the same image, {first.image_id}: give two")
    first, second = sorted((first, second), key=lambda image: image.date)
    if first.cluster_id is None or second.cluster_id is None:
        return list(explain(first, second, None, None, None))
    if first.date == second.date:
        similarity, same = _on_one_date(context, first, second)
        return list(explain(first, second, similarity, same, None))
    a, b = (_vector(context, image) for image in (first, second))
    linked = first.track_id is not None and second.track_id is not None
    over = _over_dates(context, first, second) if linked else None
    return list(explain(first, second, float(a @ b), None, over))


def find(context: Context, name: str) -> Seen:
    """The image with this id, or whose uri ends with this path.

    Raises:
        UserError: none, or several.
    """
    rows = read_dates(context, schemas.TRACKS, ("image_id", "uri", "cluster_id", "track_id"))
    if not rows.num_rows:
        raise UserError("there are no tracks yet: finish `imagetracks run` first")
    if _ID.fullmatch(name):
        found = rows.filter(pc.equal(rows["image_id"], name))
    else:
        path = name.replace("\\", "/").removeprefix("./")
        found = rows.filter(pc.or_(pc.equal(rows["uri"], path), pc.ends_with(rows["uri"], "/" + path.lstrip("/"))))
    if found.num_rows != 1:
        many = f"{found.num_rows} images end so, such as {', '.join(found['uri'].to_pylist()[:2])}"
        raise UserError(
            f"{name}: found {many if found.num_rows else 'no such image'}, expected an image_id or the end of one path"
        )
    (row,) = found.to_pylist()
    return Seen(row["image_id"], row["uri"], row["date"], row["cluster_id"], row["track_id"])


def _vector(context: Context, image: Seen) -> npt.NDArray[np.float32]:
    """The projected vector of an image that has one."""
    rows = context.store(schemas.FINGERPRINTS)
    found = rows.read(image.date, ["image_id", "vector"], rows.partitions[image.date])
    _, vectors = content_of(model_of(context), found.filter(pc.equal(found["image_id"], image.image_id)))
    return vectors.reshape(-1)


def _on_one_date(context: Context, first: Seen, second: Seen) -> tuple[float, OnOneDate]:
    """The similarity of two images of one date, and what there is to say of them."""
    from pipeline.compute.criteria import criterion
    from pipeline.compute.paths import widest_path

    date = clustered(context, first.date)
    task, content = date.task, content_of(date.tables.model, date.tables.fingerprints)[1]
    a, b = date.ids.index(first.image_id), date.ids.index(second.image_id)
    path = widest_path(task.neighbors, task.similarities, a, b)
    members = [content[date.labels == date.labels[row]].astype(np.float64) for row in (a, b)]
    apart = bool(date.labels[a] != date.labels[b])
    uris = uris_of(context, {first.date})
    unit, joined, tops = _in_the_tree(date, a, b)
    evidence = criterion(date.params.method, task, date.labels, a, b)
    return float(content[a] @ content[b]), OnOneDate(
        ranks=(_rank(task.neighbors, a, b), _rank(task.neighbors, b, a)),
        k=task.neighbors.shape[1],
        path=[uris[date.ids[row]] for row in path],
        steps=[_similarity(task, left, right) for left, right in itertools.pairwise(path)],
        within=(_within(members[0]), _within(members[1])),
        between=float(members[0].mean(axis=0) @ members[1].mean(axis=0)) if apart else None,
        method=_method(date),
        joined=joined,
        tops=tops,
        unit=unit,
        criterion=list(in_words(date.params.method, evidence, not apart)) if evidence else (),
        obeyed=_obeyed(date, date.labels[a], date.labels[b]),
    )


def _in_the_tree(date: Clustered, a: int, b: int) -> tuple[str, float | None, tuple[float | None, float | None]]:
    """What heights of the date's tree are, where it joins two rows and completes their clusters; None without a tree.

    Those of agglomerative are in its own distance, those of auto's average-linkage tree in similarities.
    """
    from pipeline.compute.cuts import joining_height, top_height, whole_branches

    method = date.params.method
    tree = date.tree if method in ("auto", "agglomerative") else None
    if tree is None:
        return "similarity", None, (None, None)
    whole = whole_branches(tree, date.labels)
    heights = [joining_height(tree, a, b), *(top_height(tree, whole, int(date.labels[row])) for row in (a, b))]
    if method == "auto":
        heights = [None if height is None else 1.0 - height for height in heights]
    unit = f"{date.params.linkage}-linkage distance" if method == "agglomerative" else "similarity"
    return unit, heights[0], (heights[1], heights[2])


def _similarity(task: ClusteringTask, left: int, right: int) -> float:
    """The similarity of an edge of the graph."""
    here = left if (task.neighbors[left] == right).any() else right
    return float(task.similarities[here][task.neighbors[here] == left + right - here][0])


def _obeyed(date: Clustered, *clusters: int) -> bool:
    known = date.tables.constraints
    if known is None:
        return False
    rows = pc.index_in(known["image_id"], value_set=pa.array(date.ids, pa.string())).drop_null().to_numpy()
    return bool(np.isin(date.labels[rows], clusters).any())


def _rank(neighbors: npt.NDArray[np.int64], row: int, other: int) -> int | None:
    places = np.flatnonzero(neighbors[row] == other)
    return int(places[0]) + 1 if len(places) else None


def _within(members: npt.NDArray[np.float64]) -> float | None:
    """Mean similarity of all pairs, from the sum of the vectors: |Σx|² counts every pair twice and each with itself."""
    count = len(members)
    if count < 2:
        return None
    total = members.sum(axis=0)
    return float((total @ total - (members * members).sum()) / (count * (count - 1)))


def _method(date: Clustered) -> str:
    """The method and its keys."""
    if date.chosen:
        return f"the settings {date.chosen[0]}, chosen among {date.chosen[1]}"
    method = date.params.method
    given = [(key, getattr(date.params, key)) for key in _TOLD if key in READ[method]]
    return f"the method {method}" + "".join(f", {key} {value}" for key, value in given if value is not None)


def _over_dates(context: Context, first: Seen, second: Seen) -> OverDates:
    between = {date for date in context.store(schemas.LINKS).partitions if first.date <= date <= second.date}
    links = read_dates(context, schemas.LINKS, schemas.LINKS.names, between.__contains__).to_pylist()
    of_cluster = {row["cluster_id"]: row for row in links}
    tied = first.track_id == second.track_id
    onward = [row for row in links if row["track_id"] == first.track_id and row["date"] > first.date]
    events = read_dates(context, schemas.EVENTS, schemas.EVENTS.names, between.__contains__).to_pylist()
    both = {first.track_id, second.track_id}
    shared = [row for row in events if not tied and {row["track_id"], row["other_track_id"]} == both]
    return OverDates(list(_chain(of_cluster, first, second)), () if tied else onward, shared)


def _chain(of_cluster: dict[str, Row], first: Seen, second: Seen) -> Iterator[Row]:
    """From the second's cluster back along the clusters that were continued."""
    cluster: str | None = second.cluster_id
    while cluster in of_cluster and cluster != first.cluster_id:
        row = of_cluster[cluster]
        yield row
        cluster = row["previous_cluster_id"]
