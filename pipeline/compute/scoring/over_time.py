"""Scores that need dates: identity switches and fragmentation, and scores by gap, track length and group size."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.scoring.contingency import Contingency, Floats, Ints, distinct

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Continuity:
    """What happens to the members of one side (subjects, or tracks) from one date they are seen on to the next.

    Attributes:
        gap: (steps,) int64, dates of the collection from the one date to the other; 1 is the next date.
        kept: (steps,) bool, whether the main group of the other side stayed the same.
        num_groups: (members,) int64, groups of the other side that share an image with the member.
    """

    gap: Ints
    kept: Bools
    num_groups: Ints

    @property
    def switches(self) -> int:
        """Steps on which the main group changed: over subjects, identity switches (CLEAR MOT, 2008)."""
        return int((~self.kept).sum())

    @property
    def fragmentation(self) -> float:
        """Mean number of groups a member is spread over; 1 is whole, nan without members."""
        return float(self.num_groups.mean()) if self.num_groups.size else float("nan")


@dataclass(frozen=True)
class Breakdown:
    """A pair of scores for one bin of a quantity, low to high inclusive; a score over nothing is nan.

    ``recall`` is over what is true and lies in the bin, ``precision`` over what was found and lies in it.
    """

    by: str
    low: int
    high: int
    num_true: int
    recall: float
    num_found: int
    precision: float


def continuity(member: Ints, group: Ints, date: Ints) -> Continuity:
    """Follow every member from date to date.

    A member's main group on a date is the one with most of its images; where several are level, the one is taken that
    makes for the fewest changes over all the member's dates, so that nothing depends on the labels.

    Args:
        member: (images,) int64 codes >= 0, e.g. true subjects.
        group: (images,) int64 codes >= 0, e.g. tracks; leave images without one out.
        date: (images,) int64 index of the image's date among the collection's dates, in order.
    """
    if not member.size:
        return Continuity(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, np.int64))
    num_groups, num_dates = int(group.max()) + 1, int(date.max()) + 1
    cells, count = np.unique((member * num_dates + date) * num_groups + group, return_counts=True)
    day, cell_group = np.divmod(cells, num_groups)
    starts = np.flatnonzero(np.diff(day, prepend=-1))
    main = count == np.repeat(np.maximum.reduceat(count, starts), np.diff(np.append(starts, len(day))))
    cell_group, day = cell_group[main], day[main]
    starts = np.flatnonzero(np.diff(day, prepend=-1))
    day_member, day_date = np.divmod(day[starts], num_dates)
    same_member = day_member[1:] == day_member[:-1]
    kept = cell_group[starts][1:] == cell_group[starts][:-1]
    _settle_ties(kept, day_member, starts, cell_group)
    pairs = distinct(member * num_groups + group)
    sizes = np.bincount(pairs // num_groups)
    return Continuity(np.diff(day_date)[same_member], kept[same_member], sizes[sizes > 0].astype(np.int64))


def _settle_ties(kept: Bools, day_member: Ints, starts: Ints, group: Ints) -> None:
    """Rewrite ``kept`` for members that have a date with several level groups.

    The set of groups that can have lasted since the last change is cut down date by date; a change is due only when
    it runs empty, which gives the fewest changes.
    """
    ends = np.append(starts[1:], len(group))
    tied = distinct(day_member[ends - starts > 1])
    for first, last in zip(
        np.searchsorted(day_member, tied, "left"), np.searchsorted(day_member, tied, "right"), strict=True
    ):
        lasting = set(group[starts[first] : ends[first]].tolist())
        for day in range(first + 1, last):
            groups = set(group[starts[day] : ends[day]].tolist())
            kept[day - 1] = not lasting.isdisjoint(groups)
            lasting = lasting & groups or groups


def by_gap(subjects: Continuity, tracks: Continuity) -> list[Breakdown]:
    """Links by gap in dates: recall over the subjects' steps, precision over the tracks' steps."""
    sides = [_binned(side.gap, side.kept.astype(np.float64), np.ones_like(side.gap)) for side in (subjects, tracks)]
    return _join("gap", sides[0], sides[1])


def by_length(table: Contingency, subject_length: Ints, track_length: Ints) -> list[Breakdown]:
    """BCubed recall of the images by their subject's number of dates, precision by their track's.

    Args:
        table: subjects x tracks.
        subject_length: (rows,) int64, dates on which the subject is seen, >= 1.
        track_length: (columns,) int64, dates that the track has images of, >= 1.
    """
    return _bcubed_by("track_length", table, subject_length, track_length)


def by_size(table: Contingency) -> list[Breakdown]:
    """BCubed recall of the images by the size of their true group, precision by that of their found group."""
    return _bcubed_by("cluster_size", table, table.row_size, table.column_size)


def num_dates(codes: Ints, date: Ints) -> Ints:
    """Distinct dates of every code in use, ascending by code; at least 1, so that undated images count as one date.

    Args:
        codes: (images,) int64.
        date: (images,) int64, -1 where there is none.
    """
    used, code = np.unique(codes, return_inverse=True)
    dated = date >= 0
    width = int(date.max(initial=0)) + 1
    pairs = distinct(code[dated] * width + date[dated])
    return np.maximum(1, np.bincount(pairs // width, minlength=len(used))).astype(np.int64)


def _bcubed_by(by: str, table: Contingency, row_value: Ints, column_value: Ints) -> list[Breakdown]:
    squares = table.count**2  # sums of squares stay below 2^53, where doubles are exact in any order
    recall = np.bincount(table.row, squares, len(table.row_size)) / table.row_size
    precision = np.bincount(table.column, squares, len(table.column_size)) / table.column_size
    return _join(by, _binned(row_value, recall, table.row_size), _binned(column_value, precision, table.column_size))


def _binned(value: Ints, score: Floats, weight: Ints) -> tuple[Ints, Floats]:
    """Weights and scores summed over bins 1, 2, 3-4, 5-8, ...: doubling, so that few bins cover every scale."""
    order = np.argsort(score)  # sums to the last bit the same in any order of images
    value, score, weight = value[order], score[order], weight[order]
    index = np.ceil(np.log2(value)).astype(np.int64)  # exact: a double holds the log2 of a power of two exactly
    return np.bincount(index, weight).astype(np.int64), np.bincount(index, score).astype(np.float64)


def _join(by: str, true: tuple[Ints, Floats], found: tuple[Ints, Floats]) -> list[Breakdown]:
    rows = []
    for k in range(max(len(true[0]), len(found[0]))):
        (num_true, recall), (num_found, precision) = (_mean(side, k) for side in (true, found))
        if num_true or num_found:
            rows.append(Breakdown(by, (1 << k >> 1) + 1, 1 << k, num_true, recall, num_found, precision))
    return rows


def _mean(side: tuple[Ints, Floats], k: int) -> tuple[int, float]:
    weights, scores = side
    weight = int(weights[k]) if k < len(weights) else 0
    return weight, float(scores[k]) / weight if weight else float("nan")
