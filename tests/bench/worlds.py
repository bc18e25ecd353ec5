"""Simulated worlds: subjects drifting on a sphere, as vectors, with knobs; each world has broken a linker.

A world is seeded and has no images: what it gives is what the date clusterer would give (clusters of unit vectors), and
the truth beside it.  ``WORLDS`` 1 to 14 are those of the issue on linking, by its numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Knobs:
    """What a world is like; lengths are relative to the length of a subject's own vector (1)."""

    subjects: int = 50
    """Alive at the start (births replace ends)."""
    dates: int = 40
    days_apart: int = 1
    dimensions: int = 64
    anisotropy: float = 0.5
    """Coordinate k has standard deviation k ** -anisotropy: real fingerprints have a few strong directions."""
    family: float = 0.3
    """Share of a subject's variance that it has in common with its family (five subjects)."""
    drift: float = 0.2
    """Random walk a date."""
    common_drift: float = 0.0
    """Random walk a date that all subjects share (fruit browns together)."""
    noise: float = 0.35
    """Of a shot."""
    shots: tuple[int, ...] = (3,)
    """A cluster has one of these numbers of images."""
    turnover: float = 0.02
    """Chance a date that a subject ends; as many are born."""
    gap: float = 0.05
    """Chance a date that a subject is not photographed."""
    absent: float = 0.0
    """Chance a date that a subject goes away for 6 to 20 dates, and comes back."""
    twins: float = 0.0
    """Fraction of the subjects that have a twin."""
    twin_distance: float = 0.3
    twin_leaves: str = ""
    """'ends': one of each pair is not seen after a random date; 'comes': it is not seen before."""
    fragments: float = 1.0
    """Mean clusters a subject and date (over-segmentation)."""
    merged: float = 0.0
    """Fraction of a date's clusters that swallow their nearest one (under-segmentation)."""
    redrawn: int = -1
    """From this date on everybody is somebody else."""
    restyled: tuple[int, ...] = ()
    """On these dates everybody looks different: a random walk of length 1 instead of ``drift``."""
    flood: int = -1
    """On this date nine passers-by come for every subject."""
    lighting: float = 0.0
    """A shift that all images of a date share."""
    all_end: int = -1
    """On this date everybody ends but a fifth that comes new."""
    ties: bool = False
    """Subjects come in pairs with the same vectors, and shots have no noise."""
    null: bool = False
    """No subject is ever seen on two dates."""


@dataclass(frozen=True)
class Day:
    """One date: images grouped into clusters; ``subject`` is the truth (of a merged cluster: of most of its images)."""

    day: int
    vectors: Floats
    starts: Ints
    subject: Ints
    image_subject: Ints


class _World:
    """Who is alive, and what they look like."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.knobs = knobs
        self.rng = np.random.default_rng(seed)
        axes = np.arange(1, knobs.dimensions + 1) ** -knobs.anisotropy
        self.axes = axes / np.linalg.norm(axes)
        n = knobs.subjects
        self.pairs = round(knobs.twins * n / 2)
        self.families = self.draw(max(1, n // 5))
        self.looks = self.born(n)
        twins = slice(1, 2 * self.pairs, 2)
        self.looks[twins] = self.looks[0 : 2 * self.pairs : 2] + self.draw(self.pairs, knobs.twin_distance)
        self._tie(self.looks)
        self.switch = self.rng.integers(1, max(2, knobs.dates), size=n)
        self.names = np.arange(n)
        self.next_name = n
        self.back = np.zeros(n, dtype=np.int64)

    def draw(self, n: int, length: float = 1.0) -> Doubles:
        """``n`` random vectors of about this length."""
        return self.rng.normal(size=(n, self.knobs.dimensions)) * self.axes * length

    def born(self, n: int) -> Doubles:
        """Newcomers of random families."""
        pick = self.rng.integers(len(self.families), size=n)
        return np.sqrt(self.knobs.family) * self.families[pick] + np.sqrt(1 - self.knobs.family) * self.draw(n)

    def step(self, t: int) -> None:
        """A date passes: everybody drifts, some end and as many are born."""
        knobs, n = self.knobs, self.knobs.subjects
        length = 1.0 if t in knobs.restyled else knobs.drift
        walk = self.draw(n, length)
        self._tie(walk)
        self.looks = (self.looks + walk) / np.sqrt(1 + length**2) + self.draw(1, knobs.common_drift)
        ends = self.rng.random(n) < (1.0 if knobs.null else knobs.turnover)
        ends[: 2 * self.pairs] = False
        ends |= t in (knobs.redrawn, knobs.all_end)
        self.looks[ends] = self.born(int(ends.sum()))
        self.names[ends] = self.name(int(ends.sum()))

    def name(self, n: int) -> Ints:
        """``n`` names that nobody had."""
        self.next_name += n
        return np.arange(self.next_name - n, self.next_name)

    def present(self, t: int) -> npt.NDArray[np.bool_]:
        """Who is photographed; at least one."""
        knobs, n = self.knobs, self.knobs.subjects
        seen = self.rng.random(n) >= knobs.gap
        if knobs.absent:
            leaves = (self.rng.random(n) < knobs.absent) & (self.back <= t)
            self.back[leaves] = t + self.rng.integers(6, 21, size=int(leaves.sum()))
            seen &= self.back <= t
        if 0 <= knobs.all_end <= t:
            seen &= np.arange(n) % 5 == 0
        twin = (np.arange(n) % 2 == 1) & (np.arange(n) < 2 * self.pairs)
        if knobs.twin_leaves:
            away = t >= self.switch if knobs.twin_leaves == "ends" else t < self.switch
            seen &= ~(twin & away)
        if not seen.any():
            seen[self.rng.integers(n)] = True
        return seen

    def _tie(self, vectors: Doubles) -> None:
        if self.knobs.ties:
            half = len(vectors) // 2
            vectors[1 : 2 * half : 2] = vectors[0 : 2 * half : 2]


def generate(knobs: Knobs, seed: int) -> Iterator[Day]:
    """The dates of a world, in order."""
    world = _World(knobs, seed)
    for t in range(knobs.dates):
        if t:
            world.step(t)
        seen = world.present(t)
        now, who = world.looks[seen], world.names[seen]
        if t == knobs.flood:
            now = np.concatenate([now, world.born(9 * len(now))])
            who = np.concatenate([who, world.name(len(now) - len(who))])
        yield _photograph(world, now + world.draw(1, knobs.lighting), who, t)


def _photograph(world: _World, now: Doubles, who: Ints, t: int) -> Day:
    knobs, rng = world.knobs, world.rng
    shots = np.asarray(knobs.shots)[rng.integers(len(knobs.shots), size=len(who))]
    own = np.repeat(np.arange(len(who)), shots)
    images = now[own] + world.draw(len(own), 0.0 if knobs.ties else knobs.noise)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    group = _clustered(world, now, shots)
    order = np.argsort(group, kind="stable")
    images, own, group = images[order], own[order], group[order]
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    sizes = np.diff(np.append(starts, len(own)))
    subject = np.array([np.bincount(own[a : a + n]).argmax() for a, n in zip(starts, sizes, strict=True)])
    shuffle = rng.permutation(len(starts))
    pick = np.concatenate([np.arange(starts[c], starts[c] + sizes[c]) for c in shuffle])
    sizes = sizes[shuffle]
    return Day(
        t * knobs.days_apart,
        images[pick].astype(np.float32),
        np.cumsum(sizes) - sizes,
        who[subject[shuffle]],
        who[own[pick]],
    )


def _clustered(world: _World, now: Doubles, shots: Ints) -> Ints:
    """The cluster of each image: a subject's shots, in pieces or with its nearest neighbour's if the knobs say so."""
    knobs, rng = world.knobs, world.rng
    pieces = np.minimum(1 + rng.poisson(max(0.0, knobs.fragments - 1), size=len(shots)), shots)
    first = np.cumsum(pieces) - pieces
    group = np.concatenate([first[s] + np.arange(n) % pieces[s] for s, n in enumerate(shots)])
    if knobs.merged and len(now) > 1:
        units = now / np.linalg.norm(now, axis=1, keepdims=True)
        near = units @ units.T
        np.fill_diagonal(near, -2)
        for s in np.flatnonzero(rng.random(len(shots)) < knobs.merged / 2):
            group[group == first[s]] = first[int(near[s].argmax())]
    return group


BASE = Knobs(noise=0.5, drift=0.3, shots=(1, 2, 3))
WORLDS: dict[str, Knobs] = {
    "0 plain": BASE,
    "1 null": replace(BASE, null=True),
    "2 merged 30 %": replace(BASE, merged=0.3),
    "2 merged 20 %": replace(BASE, merged=0.2),
    "2 merged 10 %": replace(BASE, merged=0.1),
    "2 pieces 1.1x": replace(BASE, fragments=1.1, shots=(4,)),
    "2 pieces 1.25x": replace(BASE, fragments=1.25, shots=(4,)),
    "2 pieces 1.5x": replace(BASE, fragments=1.5, shots=(4,)),
    "2 pieces 2x": replace(BASE, fragments=2.0, shots=(6,)),
    "2 pieces 3x": replace(BASE, fragments=3.0, shots=(6,)),
    "3 twins": replace(BASE, twins=0.5),
    "4 a twin ends": replace(BASE, twins=0.5, twin_leaves="ends"),
    "4 a twin comes": replace(BASE, twins=0.5, twin_leaves="comes"),
    "5 all redrawn": replace(BASE, redrawn=20),
    "6 flood": replace(BASE, flood=20),
    "7 lighting": replace(BASE, lighting=0.5),
    "8 single": replace(BASE, subjects=1, turnover=0.0, gap=0.0),
    "9 first dates": replace(BASE, dates=2),
    "10 1 beside 50": replace(BASE, shots=(1, 1, 1, 50)),
    "11 ties": replace(BASE, ties=True),
    "12 slow drift": replace(BASE, drift=0.35, noise=0.2, dates=60),
    "13 far apart": replace(BASE, days_apart=400, drift=0.5),
    "13 long absences": replace(BASE, absent=0.02, dates=60, drift=0.1),
    "14 nobody continues": replace(BASE, subjects=200, dates=12, all_end=6),
    "15 restyled": replace(BASE, drift=0.05, noise=0.1, restyled=(10, 20, 30)),
}
