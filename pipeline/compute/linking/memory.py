"""What linking remembers of earlier dates: counts, from which the score model is made."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LOWEST, WIDTH, NUM_BINS = -4.0, 0.5, 64
"""Score bins: from -4 to 28 tail units; the first and the last are open."""

GAP_BINS = (1, 2, 3, 5)
"""First gap, in dates, of each gap bin: 1, 2, 3-4, 5 and more."""

CONTINUED = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.995)
"""Grid of the chance that a track seen on the last date is continued; 0 is the world where nothing continues."""

FADING = 0.95
"""Weight that a date keeps when the next one comes: about twenty dates are remembered, so the seasons may change."""


PER_GAP = ("genuine", "continued", "offered")


def _per_bin() -> Doubles:
    return np.zeros((len(GAP_BINS), NUM_BINS))


@dataclass
class Memory:
    """Faded counts over the earlier dates; zeros before the first."""

    genuine: Doubles = field(default_factory=_per_bin)
    """Gap bin x score bin: links, by probability."""
    strangers: Doubles = field(default_factory=lambda: np.zeros((2, NUM_BINS)))
    """Rank x score bin: the best stranger of each list (rank 0), and the others in the tail (rank 1)."""
    exposed: Doubles = field(default_factory=lambda: np.zeros((2, NUM_BINS)))
    """Rank x score bin: lists that had no better stranger yet (rank 0), or had one (rank 1)."""
    continued: Doubles = field(default_factory=lambda: np.zeros(len(GAP_BINS)))
    offered: Doubles = field(default_factory=lambda: np.zeros(len(GAP_BINS)))
    """Gap bin: open tracks, and those of them that were continued."""
    evidence: Doubles = field(default_factory=lambda: np.zeros(len(CONTINUED)))
    """Log evidence of each value of CONTINUED, summed over dates, against the best."""
    births: float = 0.0
    clusters: float = 0.0
    tail_pairs: float = 0.0
    tail_excess: float = 0.0
    """Pairs in the window of the tail, and how far they reach into it, in tail units."""
    level_sum: float = 0.0
    levels: float = 0.0
    """Level of strangers (closeness), and dates that had one."""
    collisions: float = 0.0
    by_chance: float = 0.0
    """Pairs of clusters that fit the same tracks and prefer the same one, and how many would if they did not care."""
    kin: float = 0.0
    kin_among: float = 0.0
    """Clusters that met kin (:mod:`pipeline.compute.linking.kin`), and the clusters that they were among."""
    links: float = 0.0
    expected_false: float = 0.0
    """Links written, and how many of them are false by their own probabilities."""

    @property
    def usual_level(self) -> float | None:
        """Mean level of strangers over the earlier dates; None before the first that had one."""
        return self.level_sum / self.levels if self.levels else None

    def faded(self) -> "Memory":
        """A copy with every count a date older."""
        return Memory(**{name: value * FADING for name, value in vars(self).items()})

    def rows(self) -> list[tuple[int, str, float]]:
        """(gap_bin, parameter, value), without zeros; gap bin 0 holds for all."""
        out: list[tuple[int, str, float]] = []
        for name, value in vars(self).items():
            gaps = GAP_BINS if name in PER_GAP else (0,)
            table = np.asarray(value, dtype=np.float64).reshape(len(gaps), -1)
            wide = table.shape[1] > 1
            out += [
                (gaps[g], f"{name}_{k:03d}" if wide else name, float(table[g, k]))
                for g, k in np.argwhere(table).tolist()
            ]
        return out

    @classmethod
    def read(cls, rows: Iterable[tuple[int, str, float]]) -> "Memory":
        """The inverse of :meth:`rows`."""
        memory = cls()
        for gap, parameter, value in rows:
            name, _, number = parameter.rpartition("_")
            if not number.isdigit():
                name, number = parameter, "0"
            old = getattr(memory, name)
            if isinstance(old, float):
                setattr(memory, name, value)
            else:
                old.reshape(len(GAP_BINS) if gap else 1, -1)[GAP_BINS.index(gap) if gap else 0, int(number)] = value
        return memory


def gap_bin(gaps: Ints) -> Ints:
    """Index of the gap bin of each gap."""
    return np.searchsorted(np.asarray(GAP_BINS), gaps, side="right").astype(np.int64) - 1


def score_bin(scores: Doubles) -> Ints:
    """Index of the score bin of each score."""
    return np.clip(np.floor((scores - LOWEST) / WIDTH), 0, NUM_BINS - 1).astype(np.int64)
