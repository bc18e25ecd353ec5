"""The doubtful pairs that are worth a person's look: which answer would move most images to another track."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa

from pipeline.stages.constraints import Known, subjects_of

LINKED = ("cluster_id", "track_id", "previous_cluster_id", "probability", "runner_up_track_id", "reason")
"""Columns of ``links`` that are read, beside ``date``."""

SHOWN = ("cluster_id", "num_images", "medoid_image_id")
"""Columns of ``clusters`` that are read."""

QUESTIONS = pa.schema(
    [
        ("question", pa.int32()),
        ("verdict", pa.string()),
        ("image_id", pa.string()),
        ("other_image_id", pa.string()),
        ("date", pa.string()),
        ("other_date", pa.string()),
        ("now", pa.string()),
        ("probability_same", pa.float64()),
        ("images", pa.int64()),
        ("expected_gain", pa.float64()),
        ("who", pa.string()),
        ("when", pa.string()),
        ("note", pa.string()),
    ]
)
"""A row a pair, in the form of a verdict that is to be filled in; ``image_id`` is of the earlier date."""

Row = Mapping[str, Any]


def questions(links: pa.Table, clusters: pa.Table, known: Known) -> pa.Table:
    """Every decision of linking that an answer could overturn, the most informative first.

    A decision is asked about by two images: the medoid of its cluster, and that of the cluster which the track in
    question had last.  For a link that is its own track and the tables say *same*; for a birth it is the runner-up and
    they say *different*.  With p the probability that the tables are wrong, B the images that the track had before
    the decision's date and A those that its cluster begins (from that date on), the expected gain is

        gain = p * min(A, B)

    for an answer that overturns a link cuts its track into A and B, one that overturns a birth joins them, and either
    way the smaller part is what goes over to another id.  p is 1 - ``probability`` for both: of a birth the probability
    that something continues, nearly all of which is the runner-up's.  A cluster that continues beside another carries
    its own images alone.

    Args:
        links: ``LINKED`` and ``date`` (``YYYY-MM-DD``) of every date.
        clusters: ``SHOWN`` of the same dates.
        known: cluster -> the ``constraints`` of its images (:func:`pipeline.stages.constraints.of_clusters`): what
            verdicts have said already is not asked again.

    Returns:
        ``QUESTIONS``, by falling gain, without those that gain nothing.
    """
    rows = sorted(links.to_pylist(), key=itemgetter("date", "cluster_id"))
    about = {row["cluster_id"]: row for row in clusters.to_pylist()}
    found = [one for one in _asked(rows, about, known) if one["expected_gain"] > 0]
    found.sort(key=lambda one: (-one["expected_gain"], one["date"], one["image_id"], one["other_image_id"]))
    numbered = [{**one, "question": place} for place, one in enumerate(found, start=1)]
    return pa.Table.from_pylist(numbered, schema=QUESTIONS)


def _asked(rows: Sequence[Row], about: Mapping[str, Row], known: Known) -> Iterator[dict[str, Any]]:
    """One question a decision about which one can be asked; ``rows`` in order of their dates."""
    sizes = Counter[str]()
    for row in rows:
        sizes[row["track_id"]] += about[row["cluster_id"]]["num_images"]
    before, last, shown = Counter[str](), dict[str, Row](), defaultdict[str, set[str]](set)
    for date, group in groupby(rows, key=itemgetter("date")):
        of_date = list(group)
        for row in of_date:
            linked = row["previous_cluster_id"] is not None
            track = row["track_id"] if linked else row["runner_up_track_id"]
            if track not in last or _decided(known.get(row["cluster_id"], ()), shown[track]):
                continue
            own = about[row["cluster_id"]]
            beside = row["reason"] == "continues beside another cluster"
            after = own["num_images"] if beside else sizes[row["track_id"]] - before[row["track_id"]]
            wrong, images = 1.0 - row["probability"], min(after, before[track])
            yield {
                "image_id": about[last[track]["cluster_id"]]["medoid_image_id"],
                "other_image_id": own["medoid_image_id"],
                "date": last[track]["date"],
                "other_date": date,
                "now": "same" if linked else "different",
                "probability_same": 1.0 - wrong if linked else wrong,
                "images": images,
                "expected_gain": wrong * images,
            }
        for row in of_date:
            before[row["track_id"]] += about[row["cluster_id"]]["num_images"]
            shown[row["track_id"]] |= subjects_of(known.get(row["cluster_id"], ()))[0]
        for row in sorted(of_date, key=lambda row: (about[row["cluster_id"]]["num_images"], row["cluster_id"])):
            last[row["track_id"]] = row


def _decided(constraints: Sequence[Mapping[str, object]], shown: set[str]) -> bool:
    """Whether verdicts say of a cluster's images that they show what a track shows, or that they do not."""
    own, others = subjects_of(constraints)
    return bool((own | others) & shown)
