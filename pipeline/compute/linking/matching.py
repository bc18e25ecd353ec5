"""Marginals and evidence of a one-to-one matching with the option to stay alone, by belief propagation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROUNDS = 100

BLOCK = 1 << 15
"""Messages passed at once, of several cases where they have few edges: what fits a core's cache."""


@dataclass(frozen=True)
class Edges:
    """Pairs of a cluster (row) and a track (column) that may belong together, in order of row, then column."""

    row: Ints
    column: Ints
    num_rows: int
    num_columns: int


class Matching:
    """Marginals under exclusivity for one set of edges and any odds."""

    def __init__(self, edges: Edges) -> None:
        self._rows = _Groups(edges.row)
        self._columns = _Groups(edges.column)

    def marginals(self, odds: Doubles, tolerance: float = 1e-4) -> tuple[Doubles, Doubles]:
        """Probability of each edge, and the log of the sum over all matchings of the product of their edges' odds.

        Belief propagation for data association (Williams and Lau, 2014, equations 20-23), which always converges and
        is exact on trees; the sum is Bethe's approximation of it.

        Args:
            odds: cases x edges, weight of each pair against both staying alone, >= 0.
            tolerance: change of a message (0 to 1) at which to stop.

        Returns:
            marginals, cases x edges; log of the sum of each case, 0 where all odds are 0.
        """
        step = max(1, BLOCK // max(1, odds.shape[1]))
        parts = [self._marginals(odds[first : first + step], tolerance) for first in range(0, len(odds), step)]
        probability, log_sum = zip(*parts, strict=True)
        return np.concatenate(probability), np.concatenate(log_sum)

    def _marginals(self, odds: Doubles, tolerance: float) -> tuple[Doubles, Doubles]:
        to_row, to_column = np.ones_like(odds), odds.copy()
        moving = np.arange(len(odds))
        for _ in range(ROUNDS):
            to_column[moving] = odds[moving] / (1.0 + self._rows.others(odds[moving] * to_row[moving]))
            update = 1.0 / (1.0 + self._columns.others(to_column[moving]))
            moved = np.abs(update - to_row[moving]).max(axis=1, initial=0.0)
            to_row[moving] = update
            moving = moving[moved >= tolerance]
            if not len(moving):
                break
        belief = odds * to_row
        row_sum = self._rows.total(belief)
        log_sum = np.log1p(row_sum).sum(axis=1) + np.log1p(self._columns.total(to_column)).sum(axis=1)
        log_sum -= np.log1p(to_column * to_row).sum(axis=1)
        return belief / (1.0 + self._rows.spread(row_sum)), log_sum

    def alone(self, odds: Doubles) -> Doubles:
        """Probability of each edge (cases x edges) if a column may have any number of rows."""
        out: Doubles = odds / (1.0 + self._rows.spread(self._rows.total(odds)))
        return out


class _Groups:
    """Sums within groups of values, cases x values."""

    def __init__(self, group: Ints) -> None:
        self._order = np.argsort(group, kind="stable")
        ordered = group[self._order]
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(group) else ordered
        self._sizes = np.diff(np.append(self._starts, len(group)))
        self._back = np.empty_like(self._order)
        self._back[self._order] = np.arange(len(group))

    def total(self, values: Doubles) -> Doubles:
        """Sum of each group."""
        return np.add.reduceat(values[:, self._order], self._starts, axis=1) if values.shape[1] else values

    def spread(self, per_group: Doubles) -> Doubles:
        """Each group's value at its members."""
        return self._each(per_group)[:, self._back]

    def others(self, values: Doubles) -> Doubles:
        """Sum of the other values of each value's group, without cancellation where one value is nearly all of it."""
        if not values.shape[1]:
            return values
        ordered = values[:, self._order]
        top = self._each(np.maximum.reduceat(ordered, self._starts, axis=1))
        is_top = ordered == top
        small = np.where(is_top, 0.0, ordered)
        rest = self._each(np.add.reduceat(small, self._starts, axis=1))
        tops = self._each(np.add.reduceat(is_top.astype(np.float64), self._starts, axis=1))
        out: Doubles = np.where(is_top, rest + (tops - 1.0) * top, np.maximum(rest - small, 0.0) + tops * top)
        return out[:, self._back]

    def _each(self, per_group: Doubles) -> Doubles:
        """Each group's value at its members, in order of the groups."""
        out: Doubles = np.repeat(per_group, self._sizes, axis=1)
        return out
