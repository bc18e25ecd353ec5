"""Marginals and evidence of a one-to-one matching with the option to stay alone, by belief propagation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROUNDS = 200
TOLERANCE = 1e-7


@dataclass(frozen=True)
class Edges:
    """Pairs of a cluster and a track that may belong together."""

    row: Ints
    column: Ints
    num_rows: int
    num_columns: int


def marginals(edges: Edges, odds: Doubles) -> tuple[Doubles, float]:
    """Probability of each edge, and the log of the sum over all matchings of the product of their edges' odds.

    Belief propagation for data association (Williams and Lau, 2014, equations 20-23), which converges always and is
    exact on trees; the sum is Bethe's approximation of it.

    Args:
        edges: the pairs.
        odds: weight of each pair against both staying alone, >= 0.

    Returns:
        marginals, edges; log of the sum, 0 where all odds are 0.
    """
    to_row = np.ones_like(odds)
    to_column = odds
    for _ in range(ROUNDS):
        to_column = odds / (1.0 + _others(odds * to_row, edges.row, edges.num_rows))
        update = 1.0 / (1.0 + _others(to_column, edges.column, edges.num_columns))
        moved = float(np.abs(update - to_row).max(initial=0.0))
        to_row = update
        if moved < TOLERANCE:
            break
    belief = odds * to_row
    row_sum = np.bincount(edges.row, belief, minlength=edges.num_rows)
    column_sum = np.bincount(edges.column, to_column, minlength=edges.num_columns)
    log_sum = np.log1p(row_sum).sum() + np.log1p(column_sum).sum() - np.log1p(to_column * to_row).sum()
    return belief / (1.0 + row_sum[edges.row]), float(log_sum)


def _others(values: Doubles, group: Ints, num_groups: int) -> Doubles:
    """Sum of the other values of each value's group, without cancellation where one value is all of the sum."""
    order = np.lexsort((values, group))
    last = np.append(group[order][1:] != group[order][:-1], True) if len(order) else np.zeros(0, dtype=bool)
    top = order[last]
    without_top = values.copy()
    without_top[top] = 0.0
    rest = np.bincount(group, without_top, minlength=num_groups)
    largest = np.zeros(num_groups)
    largest[group[top]] = values[top]
    out = np.maximum(rest[group] - without_top, 0.0) + largest[group]
    out[top] = rest[group[top]]
    return out
