"""Why two images are together or apart: the evidence as sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """An image: its id, where it lies, its date, cluster and track (None where it has none)."""

    image_id: str
    uri: str
    date: str
    cluster_id: str | None
    track_id: str | None


@dataclass(frozen=True)
class OnOneDate:
    """Two images of one date.

    Attributes:
        ranks: Place of the second among the first's neighbours, and the other way round; None: not among the ``k``.
        k: Neighbours an image.
        path: Images from the first to the second, by uri, along the widest path of the graph; empty: not connected.
        steps: Similarity of each step of it.
        within: Mean similarity of all pairs inside the first's and the second's cluster; None of a single image.
        between: Mean similarity of pairs across the two clusters; None if it is one.
        joined: Height at which the date's tree joins the two images; None where the method has no tree.
        tops: Height at which each one's cluster is complete in that tree; None as there, or of a single image.
        method: The clustering's method and keys, as the date was clustered.
        unit: What heights of the tree are: similarity, or the distance of a linkage.
        criterion: Sentences on what the method went by, where that is no tree.
        obeyed: Verdicts, or regions of one photograph, speak of one of the two clusters.
    """

    ranks: tuple[int | None, int | None]
    k: int
    path: Sequence[str]
    steps: Sequence[float]
    within: tuple[float | None, float | None]
    between: float | None
    method: str
    joined: float | None = None
    tops: tuple[float | None, float | None] = (None, None)
    unit: str = "similarity"
    criterion: Sequence[str] = ()
    obeyed: bool = False


@dataclass(frozen=True)
class OverDates:
    """Two images of two dates, the first's the earlier.

    Attributes:
        chain: Decisions (rows of ``links`` with their date) from the second's cluster backwards, the latest first, to
            the first's cluster, the track's birth, or the first's date.
        onward: The decisions that carry the first's track on from its date, until the second's.
        events: Splits and merges between the two tracks.
    """

    chain: Sequence[Row]
    onward: Sequence[Row] = ()
    events: Sequence[Row] = field(default_factory=tuple)


def explain(
    first: Seen, second: Seen, similarity: float | None, same: OnOneDate | None, over: OverDates | None
) -> Iterator[str]:
    """Sentences, a line each, the verdict first.

    Args:
        first: An image.
        second: Another; of a later date than the first if not of the same.
        similarity: Cosine of their projected vectors; None if one has none.
        same: What there is to say if they are of one date.
        over: What there is to say if they are not.
    """
    for name, image in (("A", first), ("B", second)):
        yield f"{name}  {image.uri}"
        place = f"cluster {_short(image.cluster_id)}, track {_short(image.track_id)}"
        yield f"   image {image.image_id}, {image.date}, {place}"
    yield ""
    if similarity is None:
        missing = "A" if first.cluster_id is None else "B"
        yield f"{missing} has no vector, so it is in no cluster: the table images has the reason."
        return
    yield _verdict(first, second)
    yield f"Their similarity is {similarity:.3f} (cosine of the projected vectors)."
    yield from _on_one_date(first, second, same) if same is not None else ()
    yield from _over_dates(first, second, over) if over is not None else ()


def _verdict(first: Seen, second: Seen) -> str:
    if first.date == second.date:
        return "They are in one cluster." if first.cluster_id == second.cluster_id else "They are in two clusters."
    if first.track_id is None or second.track_id is None:
        return "At least one of them is in no track: undated images are clustered and never linked."
    return "They are in one track." if first.track_id == second.track_id else "They are in two tracks."


def _on_one_date(first: Seen, second: Seen, same: OnOneDate) -> Iterator[str]:
    for (one, other), rank in zip((("A", "B"), ("B", "A")), same.ranks, strict=True):
        of = f"among {same.k}" if rank is not None else f"not among {same.k}"
        yield f"{other} is {'neighbour ' + str(rank) + ' of' if rank is not None else 'no neighbour of'} {one} ({of})."
    if len(same.path) > 1:
        weakest = min(range(len(same.steps)), key=same.steps.__getitem__)
        count = len(same.steps)
        yield f"The best path between them in the neighbour graph has {count} step{'s' * (count > 1)}:"
        yield f"    {same.path[0]}"
        for step, (uri, value) in enumerate(zip(same.path[1:], same.steps, strict=True)):
            yield f"    {value:.3f} {uri}{'   <- the weakest step' if step == weakest and len(same.steps) > 1 else ''}"
    else:
        yield "No path in the neighbour graph connects them."
    yield f"The date was clustered by {same.method}."
    if first.cluster_id == second.cluster_id:
        yield f"Pairs inside their cluster have a mean similarity of {_number(same.within[0])}."
    else:
        inside = " and ".join(_number(value) for value in same.within)
        yield f"Mean similarity of pairs: {_number(same.between)} across the two clusters, {inside} inside them."
    if same.joined is not None:
        yield _cut(first, second, same)
    yield from same.criterion
    if same.obeyed:
        yield "Verdicts, or regions of one photograph, speak of these clusters: they are obeyed after the method."


_ALONG = "; their cluster is no branch of it: branches that lie along one isolated branch of single linkage were joined"


def _cut(first: Seen, second: Seen, same: OnOneDate) -> str:
    tops = [value for value in same.tops if value is not None]
    if first.cluster_id == second.cluster_id:
        end = f"; their cluster is complete at {tops[0]:.3f}, so the cut lies beyond" if tops else _ALONG
        return f"The date's tree joins them at a {same.unit} of {same.joined:.3f}{end}."
    end = f": their clusters are complete at {' and '.join(f'{one:.3f}' for one in tops)}" if tops else ""
    return f"The date's tree would join them at a {same.unit} of {same.joined:.3f}, beyond the cut{end}."


def _over_dates(first: Seen, second: Seen, over: OverDates) -> Iterator[str]:
    tied = first.track_id == second.track_id
    yield f"From B back to {'A' if tied else 'where its track begins, or the date of A'}:"
    for row in over.chain:
        yield f"    {_decision(row, first.track_id if not tied else None)}"
    if tied and over.chain and over.chain[-1]["previous_cluster_id"] not in (first.cluster_id, None):
        yield "    A's cluster is another piece of the track on its date."
    if not tied:
        if over.onward:
            yield "From A on, its track went:"
            yield from (f"    {_decision(row, second.track_id)}" for row in over.onward)
        else:
            yield "From A on, no cluster was linked to its track up to the date of B."
    for row in over.events:
        yield f"{row['date']}: {row['kind']} of {_short(row['track_id'])} and {_short(row['other_track_id'])}. " + (
            row["evidence"] or ""
        )


def _decision(row: Row, of_interest: str | None) -> str:
    """A row of ``links``; ``of_interest``: a track that is pointed out where it came second."""
    cluster = f"{row['date']}: cluster {_short(row['cluster_id'])}"
    second = ""
    if row["runner_up_track_id"] is not None:
        whose = "the other's track" if row["runner_up_track_id"] == of_interest else _short(row["runner_up_track_id"])
        margin = "" if row["runner_up_margin"] is None else f", {row['runner_up_margin']:.2f} behind in score"
        second = f"; second best {whose}{margin}"
    probability = f"probability {row['probability']:.3f}"
    if row["previous_cluster_id"] is None:
        return f"{cluster} begins track {_short(row['track_id'])} ({row['reason']}, {probability}{second})"
    similarity = "" if row["similarity"] is None else f"similarity {row['similarity']:.3f}, "
    return (
        f"{cluster} continues {_short(row['previous_cluster_id'])} of {row['gap_days']} days before "
        f"({similarity}{probability}, {row['reason']}{second})"
    )


def _number(value: float | None) -> str:
    return "1 image" if value is None else f"{value:.3f}"


def _short(name: str | None) -> str:
    return "none" if name is None else name if len(name) < 20 else name[:8]  # a track's published id is short
