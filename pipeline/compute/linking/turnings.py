"""Splits and merges: a subject that becomes two, two that become one.

Neither is a link, for a link is one-to-one.  Both are judged by rank against the same figure for clusters and tracks
of the same date of which nothing of the kind is thought (a permutation test, so that no threshold depends on the
extractor): the figure must exceed all of theirs.  With n of them that happens by chance once in n + 1 times.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEWEST = 4
"""Below so many others on the date, being ahead of all of them says little (1 in 5)."""

ROUNDS = 8
"""Rounds of median polish; it settles in a few."""


@dataclass(frozen=True)
class Turning:
    """``first`` joins or leaves ``second``: cluster and track of a split, the ended and the going-on track of a merge.

    ``probability`` is one less the share of chance, n / (n + 1); ``figure`` and ``others`` are the evidence.
    """

    first: int
    second: int
    probability: float
    figure: float
    others: float


def splits(scores: Floats, track: Ints, similarity: Floats, within: Floats) -> list[Turning]:
    """Clusters that begin a track although they come nearer to another's track than anybody else does.

    The figure of a cluster is its best score on a track that another cluster continues.  A piece of a cluster that
    was cut too finely scores as high, but is nearer to the other piece than to the track's earlier looks.

    Args:
        scores: clusters x tracks, normalised.
        track: the track that each cluster continues, -1 for none.
        similarity: clusters x tracks, their likeness.
        within: clusters that begin a track, ascending, x clusters of the date: their likeness.
    """
    owner = {int(j): i for i, j in enumerate(track) if j >= 0}
    taken = np.array(sorted(owner), dtype=np.int64)
    usual = [float(np.delete(scores[i, taken], np.searchsorted(taken, track[i])).max()) for i in _linked(track, taken)]
    found = []
    for near, i in zip(within, np.flatnonzero(track < 0), strict=True) if len(usual) >= FEWEST else []:
        j = int(taken[scores[i, taken].argmax()])
        figure = float(scores[i, j])
        if figure > max(usual) and similarity[i, j] > near[owner[j]]:
            found.append(Turning(int(i), j, _by_rank(len(usual)), figure, max(usual)))
    return found


def merges(change: Doubles, own: npt.NDArray[np.bool_], going_on: npt.NDArray[np.bool_]) -> list[Turning]:
    """Tracks that stop while another's look turns towards theirs.

    The figure of a pair of tracks is how much nearer the one came to the other's last looks since its own last ones, as
    a residual after median polish (Tukey 1977, chapter 11): what all changes of a track, or towards a track, have in
    common (darker light, growing moss) is no sign of a merge.

    Args:
        change: continued tracks x tracks, difference of closeness.
        own: where both are one track.
        going_on: of each column, whether that track is continued.

    Returns:
        ``first``: column of the track that stopped, ``second``: row of the one that goes on.
    """
    if going_on.sum() < FEWEST or going_on.all() or len(change) < FEWEST:
        return []
    residual = _polished(np.where(own, np.nan, change))
    figures = np.nanmax(residual, axis=0)
    usual = float(figures[going_on].max())
    spread = float(np.nanmedian(np.abs(residual))) or 1.0
    return [
        Turning(
            int(k),
            int(np.nanargmax(residual[:, k])),
            _by_rank(int(going_on.sum())),
            float(figures[k]) / spread,
            usual / spread,
        )
        for k in np.flatnonzero(~going_on & (figures > usual))
    ]


def _linked(track: Ints, taken: Ints) -> Ints:
    """Clusters that continue a track and have others' tracks to come near to."""
    return np.flatnonzero(track >= 0) if len(taken) > 1 else np.array([], dtype=np.int64)


def _by_rank(others: int) -> float:
    return others / (others + 1)


def _polished(table: Doubles) -> Doubles:
    """Residuals of median polish; nan is no value."""
    rest = table.copy()
    for _ in range(ROUNDS):
        rest -= np.nanmedian(rest, axis=1, keepdims=True)
        rest -= np.nanmedian(rest, axis=0, keepdims=True)
    return rest
