"""The evidence on two images, read from a workspace: narrow columns, one date's vectors at a time."""

import itertools
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.reports.why import OnOneDate, OverDates, Row, Seen, explain
from pipeline.runtime.context import Context
from pipeline.runtime.tables import read_date, read_dates, uris_of
from pipeline.stages.date_tables import graph_of
from pipeline.stages.projection import apply

Float32s = npt.NDArray[np.float32]

MAX_TREE = 5_000
"""Images of a date up to which its tree is made to explain or to draw it: 200 MB of distances."""
_ID = re.compile(r"[0-9a-f]{32}")


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
    vectors = {date: vectors_of(context, date) for date in {first.date, second.date}}
    a, b = (vectors[image.date][1][vectors[image.date][0].index(image.image_id)] for image in (first, second))
    same = _on_one_date(context, first, second, *vectors[first.date]) if first.date == second.date else None
    linked = same is None and first.track_id is not None and second.track_id is not None
    over = _over_dates(context, first, second) if linked else None
    return list(explain(first, second, float(a @ b), same, over))


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


def vectors_of(context: Context, date: str) -> tuple[list[str], Float32s]:
    """Ids and projected vectors of a date."""
    models, rows = context.store(schemas.PROJECTION), context.store(schemas.FINGERPRINTS)
    name = str(models.extra["model"])
    model = models.read(name, None, models.partitions[name])
    return apply(model, rows.read(date, ["image_id", "vector"], rows.partitions[date]))


def _on_one_date(context: Context, first: Seen, second: Seen, ids: list[str], vectors: Float32s) -> OnOneDate:
    from pipeline.compute.paths import widest_path

    found, similarities = graph_of(ids, read_date(context, schemas.NEIGHBORS, first.date))
    a, b = ids.index(first.image_id), ids.index(second.image_id)
    path = widest_path(found, similarities, a, b)
    rows = read_date(context, schemas.ASSIGNMENTS, first.date)
    members = [
        vectors[pc.index_in(members["image_id"], value_set=pa.array(ids, pa.string())).to_numpy()].astype(np.float64)
        for members in (rows.filter(pc.equal(rows["cluster_id"], image.cluster_id)) for image in (first, second))
    ]
    apart = first.cluster_id != second.cluster_id
    uris = uris_of(context, {first.date})
    unit, joined, tops = _in_the_tree(context, first, rows, vectors, a, b)
    return OnOneDate(
        ranks=(_rank(found, a, b), _rank(found, b, a)),
        k=found.shape[1],
        path=[uris[ids[row]] for row in path],
        steps=[float(vectors[left] @ vectors[right]) for left, right in itertools.pairwise(path)],
        within=(_within(members[0]), _within(members[1])),
        between=float(members[0].mean(axis=0) @ members[1].mean(axis=0)) if apart else None,
        method=_method(context, first.date),
        joined=joined,
        tops=tops,
        unit=unit,
    )


def _in_the_tree(
    context: Context, first: Seen, rows: pa.Table, vectors: Float32s, a: int, b: int
) -> tuple[str, float | None, tuple[float | None, float | None]]:
    """What heights of the date's tree are, where it joins two rows and completes their clusters; None without a tree.

    The tree that agglomerative wrote, in its own distance; else the average-linkage tree of auto, in similarities.
    """
    from pipeline.compute.cuts import joining_height, top_height, whole_branches

    inputs = context.store(schemas.ASSIGNMENTS).partitions[first.date].inputs
    method = inputs.get("cluster.method")
    written = method == '"agglomerative"' and first.date in context.store(schemas.LINKAGE).partitions
    weighed = first.date in context.store(schemas.COORDINATES).partitions  # the vectors here are of content alone
    grown = method == '"auto"' and not weighed and len(vectors) <= MAX_TREE
    if len(vectors) < 2 or not (written or grown):
        return "similarity", None, (None, None)
    clustered = rows.filter(rows["cluster_id"].is_valid()).sort_by("image_id")["cluster_id"]
    labels = np.unique(np.array(clustered.to_pylist()), return_inverse=True)[1]
    tree = lines_of(read_date(context, schemas.LINKAGE, first.date)) if written else tree_of(vectors)
    whole = whole_branches(tree, labels)
    heights = [joining_height(tree, a, b), *(top_height(tree, whole, int(labels[row])) for row in (a, b))]
    if not written:
        heights = [None if height is None else 1.0 - height for height in heights]
    unit = f"{inputs.get('cluster.linkage', '').strip(chr(34))}-linkage distance" if written else "similarity"
    return unit, heights[0], (heights[1], heights[2])


def lines_of(rows: pa.Table) -> npt.NDArray[np.float64]:
    """``schemas.LINKAGE`` in SciPy's form."""
    return np.stack([rows[name].to_numpy().astype(np.float64) for name in ("left", "right", "height", "num_images")], 1)


def tree_of(vectors: Float32s) -> npt.NDArray[np.float64]:
    """Average linkage of unit vectors by cosine, in SciPy's form."""
    from scipy.cluster.hierarchy import linkage

    from pipeline.compute.agglomerative import condensed_distances

    return np.asarray(linkage(condensed_distances(vectors), method="average"))


def _rank(found: npt.NDArray[np.int64], row: int, other: int) -> int | None:
    place = np.flatnonzero(found[row] == other)
    return int(place[0]) + 1 if len(place) else None


def _within(members: npt.NDArray[np.float64]) -> float | None:
    """Mean similarity of all pairs, from the sum of the vectors: |Σx|² counts every pair twice and each with itself."""
    count = len(members)
    if count < 2:
        return None
    total = members.sum(axis=0)
    return float((total @ total - (members * members).sum()) / (count * (count - 1)))


def _method(context: Context, date: str) -> str:
    """The method and its keys, from what the date's partition was computed from."""
    inputs = context.store(schemas.ASSIGNMENTS).partitions[date].inputs
    given = {key.removeprefix("cluster."): value for key, value in inputs.items() if key.startswith("cluster.")}
    method = given.pop("method", "?").strip('"')
    shown = [
        f"{key} {given[key]}" for key in ("similarity", "distance", "sim", "num_clusters", "linkage") if key in given
    ]
    trials = read_date(context, schemas.TRIALS, date)
    chosen = trials.filter(trials["chosen"])["settings"].to_pylist()
    if chosen:
        return f"the settings {chosen[0]}, chosen among {trials.num_rows}"
    return f"the method {method}" + "".join(f", {one}" for one in shown if not one.endswith("null"))


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
