"""How many subjects there were on a date: an estimate, and how sure it is, from the probabilities of links.

A subject was there on a date if it was seen on it, or before it and after it with a gap over it that linking bridges.
Each decision adds its chance of being right or wrong to the dates that it says something of:

    a link over a gap, right with probability p:       p of a subject more on each date between
    a birth, wrong with probability 1 - p, and its best rival
        not seen on that date:                         1 - p of a subject more on each date since the rival was seen
        seen on that date too (they may be pieces):    1 - p of a subject less on that date

The decisions are taken as independent, so the number is a sum of independent trials with probabilities of their own
(Poisson's binomial distribution) above the tracks that are certain; the interval is between its quantiles.  Two
subjects in one cluster are one here: no probability says that they are two.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

LINKED = ("cluster_id", "track_id", "previous_cluster_id", "probability", "runner_up_track_id")
"""Columns of ``links`` that are read, beside ``date``."""

COVERED = 0.95
"""Probability with which the number lies in the interval."""

SUBJECTS = pa.schema(
    [
        ("date", pa.string()),
        ("clusters", pa.int64()),
        ("tracks", pa.int64()),
        ("subjects", pa.float64()),
        ("low", pa.int64()),
        ("high", pa.int64()),
    ]
)
"""A row a date, ascending: its clusters, the tracks seen on it, the expected number of subjects, and its interval."""

Doubles = npt.NDArray[np.float64]
_Row = Mapping[str, Any]


@dataclass
class _Date:
    """What is known of a date: tracks seen, and the chances that there was one more, or one less."""

    rows: list[_Row]
    tracks: set[str] = field(default_factory=set)
    more: list[float] = field(default_factory=list)
    less: list[float] = field(default_factory=list)


def subjects(links: pa.Table) -> pa.Table:
    """The number of subjects on each date, as is known now: later dates tell of gaps.

    Args:
        links: ``LINKED`` and ``date`` (``YYYY-MM-DD``) of every date, in any order.

    Returns:
        ``SUBJECTS``.
    """
    listed = sorted(links.to_pylist(), key=itemgetter("date", "cluster_id"))
    dates = {date: _Date(list(rows)) for date, rows in groupby(listed, key=itemgetter("date"))}
    days = list(dates.values())
    seen: dict[str, int] = {}
    for number, day in enumerate(days):
        day.tracks = {row["track_id"] for row in day.rows}
        for since, chance in _bridges(day, seen):
            for between in days[since + 1 : number]:
                between.more.append(chance)
        seen |= dict.fromkeys(day.tracks, number)
    return pa.Table.from_pylist([_counted(date, day) for date, day in dates.items()], schema=SUBJECTS)


def _bridges(day: _Date, seen: Mapping[str, int]) -> Iterator[tuple[int, float]]:
    """Since which date a subject may have been away, and the chance of it; pieces are added to the ``day``."""
    linked: defaultdict[str, list[float]] = defaultdict(list)
    for row in day.rows:
        rival = row["runner_up_track_id"]
        if row["previous_cluster_id"] is not None:
            linked[row["track_id"]].append(row["probability"])
        elif rival in day.tracks:
            day.less.append(1.0 - row["probability"])
        elif rival in seen:
            yield seen[rival], 1.0 - row["probability"]
    for track, chances in linked.items():
        if track in seen:
            yield seen[track], max(chances)


def _counted(date: str, day: _Date) -> dict[str, object]:
    chances = np.clip([*day.more, *(1.0 - one for one in day.less)], 0.0, 1.0)
    certain = len(day.tracks) - len(day.less)
    low, high = _quantiles(chances)
    return {
        "date": date,
        "clusters": len(day.rows),
        "tracks": len(day.tracks),
        "subjects": certain + float(chances.sum()),
        "low": certain + low,
        "high": certain + high,
    }


def _quantiles(chances: Doubles) -> tuple[int, int]:
    """Between which numbers of successes the trials' sum lies with the probability ``COVERED``, or a little more.

    The distribution is built by convolution, a trial after the other; ``scipy.stats.poisson_binom`` takes no more than
    63 trials.
    """
    chance_of = np.ones(1)
    for chance in chances:
        chance_of = np.convolve(chance_of, (1.0 - chance, chance))
    tail = (1.0 - COVERED) / 2.0
    low, high = np.searchsorted(np.cumsum(chance_of), (tail, 1.0 - tail))
    return int(low), min(int(high), len(chances))
