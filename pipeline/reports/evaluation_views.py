"""An evaluation as a table for people, as JSON and as Arrow."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import isnan
from typing import Any

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.compute.scoring import SCORES, EventScore, Reliability
from pipeline.reports.evaluate import Evaluation
from pipeline.reports.text import DASH, count, score, table

SCHEMA = pa.schema(
    [
        ("about", pa.string()),
        ("date", pa.string()),
        ("by", pa.string()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("score", pa.string()),
        ("value", pa.float64()),
        ("num", pa.int64()),
    ]
)
"""One number a row: ``about`` tracks, clusters, clusters_mean, events, links or counts; ``by`` and ``low`` to
``high`` say which part it is of, ``num`` of how many things it is taken (null where it is of all)."""


def render(evaluation: Evaluation, full: bool = False) -> RenderableType:
    """The few figures that a person asks for first, or (``full``) everything but the scores by date."""
    if not full:
        return Group(_counts(evaluation), _short(evaluation))
    parts = [_counts(evaluation), _scores(evaluation), _breakdowns(evaluation)]
    if evaluation.events:
        rows = [
            (
                one.kind,
                *map(count, (one.num_true, evaluation.num_events.get(one.kind, 0), one.num_found, one.num_matched)),
                score(one.precision),
                score(one.recall),
            )
            for one in evaluation.events
        ]
        columns = ("kind", "true", "in events", "scored", "matched", "precision", "recall")
        parts += [table("Events", columns, rows), Text(_LEFT_OUT)]
    if evaluation.reliability:
        parts.append(_calibration(evaluation.reliability))
    return Group(*parts)


_LEFT_OUT = (
    "* not scored: births on the collection's first date and ends on its last, where the collection starts and stops, "
    "and events of clusters without a labelled image."
)


def _counts(evaluation: Evaluation) -> Text:
    counts = evaluation.counts
    return Text(
        f"{count(counts['labelled_images'])} of {count(counts['images'])} images have a label "
        f"({count(counts['labelled_without_track'])} of them no track): {count(counts['subjects'])} subjects, "
        f"{_of(counts, 'tracks')}, {_of(counts, 'clusters')}, {count(counts['dates'])} dates"
    )


def _of(counts: Mapping[str, int], what: str) -> str:
    """Those with a labelled image, and all of them where they are more."""
    every = counts[f"all_{what}"]
    return f"{count(counts[what])} {what}" + ("" if every == counts[what] else f" (of {count(every)} in all)")


def _short(evaluation: Evaluation) -> RenderableType:
    found = evaluation.tracks
    rows = [
        ("IDF1", score(found["idf1"]), "images in the best match of tracks and subjects"),
        ("precision", score(found["bcubed_precision"]), "share of an image's track that is its subject"),
        ("recall", score(found["bcubed_recall"]), "share of an image's subject that is its track"),
        ("switches", _cell("identity_switches", found), "times that a subject goes on in another track"),
        ("tracks a subject", f"{found['fragmentation']:.2f}", "1 is best; more: subjects in pieces"),
        ("clusters", score(evaluation.clusters["bcubed_f"]), "BCubed F of the clusters within their dates"),
    ]
    if "all" in evaluation.reliability:
        error = evaluation.reliability["all"].error
        rows.append(("calibration", score(error), "error of the links' probabilities"))
    rows += [(f"{one.kind}s", *_event(one, evaluation.num_events)) for one in evaluation.events]
    result = table("How good it is (--full: everything)", ("", "", ""), rows, text_columns=3)
    result.show_header = False
    return Group(result, Text(_LEFT_OUT)) if evaluation.events else result


def _event(one: EventScore, in_table: Mapping[str, int]) -> tuple[str, str]:
    said = f"found; {count(one.num_found - one.num_matched)} too many"
    left_out = in_table.get(one.kind, 0) - one.num_found
    if left_out:
        said += f"; {count(left_out)} not scored*"
    return f"{count(one.num_matched)} of {count(one.num_true)}", said


def _scores(evaluation: Evaluation) -> RenderableType:
    columns = ("score", "tracks", "clusters in\ntheir dates", "mean of\nthe dates")
    sides = (evaluation.tracks, evaluation.clusters, evaluation.clusters_mean)
    names = [*SCORES, *(name for name in evaluation.tracks if name not in SCORES)]
    rows = [(name, *(_cell(name, side) for side in sides)) for name in names]
    return table("Scores", columns, rows)


def _cell(name: str, scores: Mapping[str, float]) -> str:
    if name not in scores:
        return DASH
    return count(int(scores[name])) if name == "identity_switches" else score(scores[name])


def _breakdowns(evaluation: Evaluation) -> RenderableType:
    title = "By gap in dates (links), track length in dates (BCubed) and cluster size in images (BCubed)"
    rows = [
        (
            one.by,
            _bin(one.low, one.high),
            count(one.num_true),
            score(one.recall),
            count(one.num_found),
            score(one.precision),
        )
        for one in evaluation.breakdowns
    ]
    return table(title, ("by", "bin", "true", "recall", "found", "precision"), rows)


def _bin(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _calibration(found: Mapping[str, Reliability]) -> RenderableType:
    rows = []
    for name, one in found.items():
        rows.append((name, "all", count(one.num), DASH, DASH, score(one.error), score(one.brier)))
        for k in one.count.nonzero()[0].tolist():
            limits = f"{one.edges[k]:.1f}-{one.edges[k + 1]:.1f}"
            cells = (count(int(one.count[k])), score(float(one.probability[k])), score(float(one.right[k])))
            rows.append((name, limits, *cells, DASH, DASH))
    columns = ("decisions", "probability", "number", "said", "right", "calibration\nerror", "Brier\nscore")
    return table("Are decisions said to be p likely right in a share p of the cases?", columns, rows, text_columns=2)


def to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Nested plain values; a score over nothing is None."""
    events = [asdict(one) | {"precision": one.precision, "recall": one.recall} for one in evaluation.events]
    found: dict[str, Any] = {
        "counts": dict(evaluation.counts),
        "tracks": dict(evaluation.tracks),
        "clusters": dict(evaluation.clusters),
        "clusters_mean": dict(evaluation.clusters_mean),
        "clusters_by_date": {date: dict(scores) for date, scores in evaluation.clusters_by_date.items()},
        "breakdowns": [asdict(one) for one in evaluation.breakdowns],
        "events": events,
        "reliability": {
            name: {key: value.tolist() if hasattr(value, "tolist") else value for key, value in asdict(one).items()}
            for name, one in evaluation.reliability.items()
        },
    }
    return {key: _without_nan(value) for key, value in found.items()}


def to_json(evaluation: Evaluation) -> str:
    """:func:`to_dict` as JSON, indented."""
    return json.dumps(to_dict(evaluation), indent=2, allow_nan=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and isnan(value) else value


def to_table(evaluation: Evaluation) -> pa.Table:
    """Every number of the evaluation as a row of :data:`SCHEMA`; a score over nothing is null."""
    rows = [dict.fromkeys(SCHEMA.names) | row for row in _rows(evaluation)]
    return pa.Table.from_pylist([_without_nan(row) for row in rows], SCHEMA)


def _rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    for name, number in evaluation.counts.items():
        yield {"about": "counts", "score": name, "value": float(number)}
    for about in ("tracks", "clusters", "clusters_mean"):
        yield from (
            {"about": about, "score": name, "value": value} for name, value in getattr(evaluation, about).items()
        )
    for date, scores in evaluation.clusters_by_date.items():
        yield from (
            {"about": "clusters", "date": date, "score": name, "value": value} for name, value in scores.items()
        )
    for one in evaluation.breakdowns:
        part = {
            "about": "clusters" if one.by == "cluster_size" else "tracks",
            "by": one.by,
            "low": float(one.low),
            "high": float(one.high),
        }
        yield part | {"score": "recall", "value": one.recall, "num": one.num_true}
        yield part | {"score": "precision", "value": one.precision, "num": one.num_found}
    for event in evaluation.events:
        yield {"about": "events", "by": event.kind, "score": "recall", "value": event.recall, "num": event.num_true}
        yield {
            "about": "events",
            "by": event.kind,
            "score": "precision",
            "value": event.precision,
            "num": event.num_found,
        }
    for name, found in evaluation.reliability.items():
        yield from _reliability_rows(name, found)


def _reliability_rows(name: str, found: Reliability) -> Iterator[dict[str, Any]]:
    yield {"about": "links", "by": name, "score": "calibration_error", "value": found.error, "num": found.num}
    yield {"about": "links", "by": name, "score": "brier", "value": found.brier, "num": found.num}
    for k in found.count.nonzero()[0].tolist():
        part = {"about": "links", "by": name, "num": int(found.count[k])}
        part |= {"low": float(found.edges[k]), "high": float(found.edges[k + 1])}
        yield part | {"score": "probability", "value": float(found.probability[k])}
        yield part | {"score": "right", "value": float(found.right[k])}
