"""What is known of images beside their looks: people's verdicts, and regions of a photograph are different subjects."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline import schemas
from pipeline.compute.constraints import Bonds, ContradictionError, Demands, subjects
from pipeline.errors import UserError
from pipeline.params import Params

Pair = tuple[int, int]
Known = Mapping[str, Sequence[Mapping[str, object]]]
"""Cluster -> the ``constraints`` of its images (:func:`of_clusters`)."""


class VerdictsParams(Params):
    """Where verdicts come from."""

    file: str | None = Field(
        None,
        description="CSV or Parquet with image_id, other_image_id, verdict (same or different) and, if you like, who, "
        "when and note; null: those that the workspace has hold.",
    )


def known_subjects(verdicts: pa.Table) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Image -> its subject (the smallest image_id of those that are the same), and subject -> those it is not.

    Raises:
        UserError: verdicts contradict each other; names them.
    """
    rows = verdicts.to_pylist()
    images = sorted({row[name] for row in rows for name in ("image_id", "other_image_id")})
    place = {image: i for i, image in enumerate(images)}
    kinds: dict[str, list[Mapping[str, str | None]]] = {"same": [], "different": []}
    for row in rows:
        kinds[row["verdict"]].append(row)
    pairs = {kind: [(place[r["image_id"]], place[r["other_image_id"]]) for r in found] for kind, found in kinds.items()}
    try:
        label = subjects(len(images), pairs["same"], pairs["different"])
    except ContradictionError as error:
        raise UserError(_contradiction(kinds, error)) from None
    first: dict[int, str] = {}
    for image, number in zip(images, label.tolist(), strict=True):
        first.setdefault(number, image)
    subject = {image: first[number] for image, number in zip(images, label.tolist(), strict=True)}
    others = defaultdict[str, set[str]](set)
    for a, b in pairs["different"]:
        one, other = subject[images[a]], subject[images[b]]
        others[one].add(other)
        others[other].add(one)
    return subject, others


def _contradiction(kinds: Mapping[str, Sequence[Mapping[str, str | None]]], error: ContradictionError) -> str:
    different = kinds["different"][error.different]
    chain = [kinds["same"][place] for place in error.chain]
    shown = [_named(one) for one in chain[:3]] + ([f"and {len(chain) - 3} more"] if len(chain) > 3 else [])
    return (
        f"verdicts contradict each other: {_named(different)} are said to be different\n"
        f"and the same by {'; '.join(shown) or 'itself'}\n"
        "take one of these verdicts back (in the file of verdicts.file), then run again"
    )


def _named(verdict: Mapping[str, str | None]) -> str:
    who = f" ({verdict['who']})" if verdict["who"] else ""
    return f"{verdict['image_id']} and {verdict['other_image_id']}{who}"


def constraints(images: pa.Table, verdicts: pa.Table | None) -> pa.Table:
    """``schemas.CONSTRAINTS`` of one date.

    Args:
        images: ``image_id``, ``uri`` and ``region`` of the date's images.
        verdicts: all of ``schemas.VERDICTS``.
    """
    subject, others = ({}, {}) if verdicts is None else known_subjects(verdicts)
    ids = images["image_id"].to_pylist()
    regions = pc.filter(images["uri"], pc.is_valid(images["region"]))
    counts = {one["values"]: one["counts"] for one in pc.value_counts(regions).to_pylist()}
    is_region = pc.is_valid(images["region"]).to_pylist()
    uris = images["uri"].to_pylist()
    rows = [
        {
            "image_id": image,
            "photograph": uri if region and counts[uri] > 1 else None,
            "subject": subject.get(image),
            "other_subjects": sorted(others.get(subject.get(image, ""), ())),
        }
        for image, uri, region in zip(ids, uris, is_region, strict=True)
        if image in subject or (region and counts[uri] > 1)
    ]
    return pa.Table.from_pylist(rows, schema=schemas.CONSTRAINTS.empty().schema).sort_by("image_id")


def bonds(rows: pa.Table, image_ids: Sequence[str]) -> Bonds:
    """What a date's clustering has to obey; ``image_ids`` are of its rows, in order."""
    place = {image: i for i, image in enumerate(image_ids)}
    found = [row for row in rows.to_pylist() if row["image_id"] in place]
    numbers = {name: k for k, name in enumerate(sorted({row["subject"] for row in found if row["subject"]}))}
    together = np.full(len(image_ids), -1, dtype=np.int64)
    for row in found:
        if row["subject"] is not None:
            together[place[row["image_id"]]] = numbers[row["subject"]]
    apart = _apart({place[row["image_id"]]: [row] for row in found})
    return Bonds(together, apart)


def _apart(holders: Mapping[int, Sequence[Mapping[str, object]]]) -> list[Pair]:
    """Pairs of what holds images that cannot be one: of one photograph, or of subjects that are different."""
    photographs, of_subject = defaultdict[object, set[int]](set), defaultdict[object, set[int]](set)
    for holder, rows in holders.items():
        for row in rows:
            if row["photograph"] is not None:
                photographs[row["photograph"]].add(holder)
            if row["subject"] is not None:
                of_subject[row["subject"]].add(holder)
    pairs = {pair for group in photographs.values() for pair in combinations(sorted(group), 2)}
    for holder, rows in holders.items():
        for row in rows:
            others = row["other_subjects"]
            assert isinstance(others, list)  # noqa: S101  # for the type checker
            beside = {other for name in others for other in of_subject[name]} - {holder}
            pairs |= {(min(holder, other), max(holder, other)) for other in beside}
    return sorted(pairs)


def of_clusters(rows: pa.Table, assignments: pa.Table) -> dict[str, list[dict[str, object]]]:
    """Cluster -> the constraints of its images."""
    here = assignments.filter(pc.is_in(assignments["image_id"], value_set=rows["image_id"].combine_chunks()))
    cluster = dict(zip(here["image_id"].to_pylist(), here["cluster_id"].to_pylist(), strict=True))
    found = defaultdict[str, list[dict[str, object]]](list)
    for row in rows.sort_by("image_id").to_pylist():
        name = cluster.get(row["image_id"])
        if name is not None:
            found[name].append(row)
    return found


def demands(known: Known, cluster_ids: Sequence[str], tracks: Sequence[set[str]]) -> Demands:
    """What linking a date has to obey.

    Args:
        known: from :func:`of_clusters`.
        cluster_ids: the clusters, in order.
        tracks: of each open track the subjects that it is known to show.
    """
    must, cannot = np.zeros((2, len(cluster_ids), len(tracks)), dtype=bool)
    for i, cluster in enumerate(cluster_ids):
        own, others = subjects_of(known.get(cluster, ()))
        must[i] = [bool(own & shown) for shown in tracks]
        cannot[i] = [bool(others & shown) for shown in tracks]
    holders = {i: known[cluster] for i, cluster in enumerate(cluster_ids) if cluster in known}
    return Demands(must & ~cannot, cannot, _apart(holders))


def subjects_of(rows: Sequence[Mapping[str, object]]) -> tuple[set[str], set[str]]:
    """The subjects that images with these constraints show, and those that they do not."""
    own, others = set[str](), set[str]()
    for row in rows:
        if row["subject"] is not None:
            own.add(str(row["subject"]))
        assert isinstance(row["other_subjects"], list)  # noqa: S101  # for the type checker
        others.update(row["other_subjects"])
    return own, others
