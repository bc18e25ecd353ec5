"""A track's bank: a bounded number of real looks, the recent ones and the distinct older ones."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def keep(vectors: Floats, ages: Ints, size: int) -> Ints:
    """Choose which looks a bank keeps.

    Half of the places go to the newest looks, because the next look is most like the last one; the other half go, one
    by one, to the older look that is least like all those kept already (farthest-point sampling, Gonzalez 1985),
    because a subject turns and its old side comes back.

    Args:
        vectors: looks x dimensions, unit length, in a canonical order (ties go to the smaller index).
        ages: dates since each look; 0 is the newest.
        size: most looks to keep, at least 1.

    Returns:
        Indices of the looks kept, ascending.
    """
    if len(vectors) <= size:
        return np.arange(len(vectors), dtype=np.int64)
    by_age = np.argsort(ages, kind="stable")
    chosen = list(by_age[: (size + 1) // 2])
    nearest = (vectors @ vectors[chosen].T).max(axis=1)
    nearest[chosen] = np.inf
    while len(chosen) < size:
        farthest = int(np.argmin(nearest))
        chosen.append(farthest)
        nearest = np.maximum(nearest, vectors @ vectors[farthest])
        nearest[farthest] = np.inf
    return np.sort(np.asarray(chosen, dtype=np.int64))
