"""What was tried over several dates, as one table, and the setting that does best on all of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import pyarrow as pa
from rich.console import RenderableType

from pipeline.errors import UserError
from pipeline.reports.text import DASH, setting_text, table

SHOWN = {
    "silhouette": "silh.",
    "calinski_harabasz": "C.-H.",
    "davies_bouldin": "D.-B.",
    "gap": "gap",
    "stability": "stab.",
}
"""Scores, and their heads in the table."""


@dataclass(frozen=True)
class Tried:
    """A setting over all dates.

    Attributes:
        settings: Keys of the section ``cluster`` with values.
        rank: Mean over the dates of its rank, 1 the best; a date that refused it, or did not try it, counts as last.
        refused: Dates that refused it; ``dates`` is how many tried it.
        means: Name -> mean over the dates that have it, NaN if none: ``SHOWN``, num_clusters and noise_fraction.
    """

    settings: Mapping[str, Any]
    rank: float
    refused: int
    dates: int
    means: Mapping[str, float]


def over_dates(trials: pa.Table) -> list[Tried]:
    """Sum up ``schemas.TRIALS`` of several dates (with their ``date``), the best setting first.

    Raises:
        UserError: nothing was tried.
    """
    rows = trials.to_pylist()
    if not rows:
        raise UserError("nothing was tried: no images with a fingerprint on these dates; give other --dates")
    dates = {row["date"] for row in rows}
    names = dict.fromkeys(row["settings"] for row in rows)
    last = float(len(names))
    found = []
    for name in names:
        mine = [row for row in rows if row["settings"] == name]
        ranks = [last if row["refused"] or row["rank"] is None else row["rank"] for row in mine]
        rank = (sum(ranks) + last * (len(dates) - len(mine))) / len(dates)
        means = {key: _mean([row[key] for row in mine]) for key in (*SHOWN, "num_clusters", "noise_fraction")}
        found.append(Tried(json.loads(name), rank, sum(row["refused"] is not None for row in mine), len(mine), means))
    return sorted(found, key=lambda one: (one.rank, -one.means["num_clusters"], json.dumps(one.settings)))


def render_tuning(tried: list[Tried]) -> RenderableType:
    """The table of ``over_dates``; columns that no setting has are left out; ``ref.``: dates that refused it."""
    shown = [name for name in SHOWN if any(one.means[name] == one.means[name] for one in tried)]
    noisy = any(one.means["noise_fraction"] > 0 for one in tried)
    columns = ("settings", "rank", "ref.", "clusters", *["noise"] * noisy, *(SHOWN[name] for name in shown))
    rows = [
        (
            setting_text(one.settings),
            f"{one.rank:.2f}",
            f"{one.refused}/{one.dates}" if one.refused else DASH,
            f"{one.means['num_clusters']:.1f}",
            *[f"{one.means['noise_fraction']:.2f}"] * noisy,
            *(_short(one.means[name]) for name in shown),
        )
        for one in tried
    ]
    result = table(
        "What was tried, means over the dates; the first is taken; ref.: dates that refused it", columns, rows
    )
    result.columns[0].min_width = 20
    return result


def _short(value: float) -> str:
    return DASH if isnan(value) else f"{value:.3g}"


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else nan
