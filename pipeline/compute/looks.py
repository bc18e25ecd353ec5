"""How a track's look changes: the looks that are kept of it, its change points, the looks that stand for it.

A *look* is what a track looks like on one date: a unit vector.  Distances are cosine distances, 1 - cosine: 0 the
same, 1 unrelated, 2 opposite.
"""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEPS = 2.0
"""What a change point costs beside the least change: this many usual steps of the track, times the log of its looks.

It is the penalty of the Bayesian information criterion, with the square of a usual step for the variance.
"""


def distance(one: Doubles, other: Doubles) -> float:
    """Cosine distance of two vectors of any length; 0 where one of them has none.

    It is half the squared distance of the unit vectors, which is exactly 0 for equal ones.
    """
    lengths = np.linalg.norm(one), np.linalg.norm(other)
    if not all(lengths):
        return 0.0
    return float(min(0.5 * np.square(one / lengths[0] - other / lengths[1]).sum(), 2.0))


def kept(places: Ints, most: int) -> Ints:
    """Which looks are kept: the newest half of ``most``, and of the older ones every second, fourth, eighth, ….

    Args:
        places: place of each look in its track (0 for the first), ascending, as an earlier call left them, and the
            newest.
        most: looks to keep, even, at least 2.

    Returns:
        Positions in ``places``.  The first look is always kept, and whatever was dropped by an earlier call would be
        dropped by this one: what is kept depends on the number of looks alone.
    """
    older = places[-1] + 1 - most // 2
    stride = 1
    while -(-older // stride) > most // 2:
        stride *= 2
    return np.flatnonzero((places >= older) | (places % stride == 0))


def change_points(looks: Doubles, least: float) -> Ints:
    """Where a track's look changes: the first look of each stretch of like looks but the first stretch.

    Kernel change-point detection (Arlot, Celisse and Harchaoui, 2019) with the linear kernel on unit vectors: the cost
    of a stretch is the sum of its looks' squared distances to their mean, and a change point has to save more than
    its penalty.  Of a steady track of n looks, a jump by a distance d saves up to n d / 2, or d where one look is all
    there is on one side; the penalty is ``least`` and what the track's own unrest asks for (:data:`STEPS`).

    Args:
        looks: looks x dimensions, unit length, in order of their dates.
        least: what a change point has to save, as a cosine distance, of a track that is otherwise constant.

    Returns:
        Positions in ``looks``, ascending, none of them 0.
    """
    none = np.zeros(0, dtype=np.int64)
    if len(looks) < 3:
        return none
    steps = 0.5 * np.square(np.diff(looks, axis=0)).sum(axis=1)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower median: of two, one may be a jump
    penalty = least + STEPS * np.log(len(looks)) * usual
    if np.square(looks - looks.mean(axis=0)).sum() <= penalty:
        return none  # no cut can save more than there is
    import ruptures

    found = ruptures.KernelCPD(kernel="linear", min_size=1).fit(looks).predict(pen=penalty)
    return np.array(found[:-1], dtype=np.int64)
