"""Simulated worlds: subjects drifting on a sphere, as vectors, with knobs; each world has broken a linker.

A world is seeded and has no images: what it gives is what the date clusterer would give (clusters of unit vectors), and
the truth beside it.  ``WORLDS`` are the worlds of the issue on linking; the numbers are its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

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


@dataclass
class _State:
    look: Doubles
    names: list[int] = field(default_factory=list)


def generate(knobs: Knobs, seed: int) -> Iterator[Day]:
    """The dates of a world, in order."""
    rng = np.random.default_rng(seed)
    axes = np.arange(1, knobs.dimensions + 1) ** -knobs.anisotropy
    axes /= np.linalg.norm(axes)

    def draw(n: int, length: float = 1.0) -> Doubles:
        return rng.normal(size=(n, knobs.dimensions)) * axes * length

    families = draw(max(1, knobs.subjects // 5))

    def born(n: int) -> Doubles:
        pick = rng.integers(len(families), size=n)
        return np.sqrt(knobs.family) * families[pick] + np.sqrt(1 - knobs.family) * draw(n)

    n = knobs.subjects
    looks = born(n)
    num_pairs = int(round(knobs.twins * n / 2))
    for pair in range(num_pairs):
        looks[2 * pair + 1] = looks[2 * pair] + draw(1, knobs.twin_distance)[0]
    if knobs.ties:
        looks[1::2] = looks[0 : 2 * (n // 2) : 2][: len(looks[1::2])]
    switch = rng.integers(1, max(2, knobs.dates), size=n)
    names = np.arange(n)
    next_name = n
    for t in range(knobs.dates):
        if t:
            walk = draw(n, knobs.drift)
            if knobs.ties:
                walk[1::2] = walk[0 : 2 * (n // 2) : 2][: len(walk[1::2])]
            looks = looks + walk
            looks /= np.sqrt(1 + knobs.drift**2)
            families = families + draw(1, knobs.common_drift)
            looks += draw(1, knobs.common_drift) if knobs.common_drift else 0
            ends = rng.random(n) < (1.0 if knobs.null else knobs.turnover)
            if knobs.twins:
                ends[: 2 * num_pairs] = False
            if t in (knobs.redrawn, knobs.all_end):
                ends[:] = True
            looks[ends] = born(int(ends.sum()))
            names[ends] = next_name + np.arange(ends.sum())
            next_name += int(ends.sum())
        seen = rng.random(n) >= knobs.gap
        if knobs.all_end >= 0 and t >= knobs.all_end:
            seen &= np.arange(n) % 5 == 0
        twin = np.zeros(n, dtype=bool)
        twin[1 : 2 * num_pairs : 2] = True
        if knobs.twin_leaves == "ends":
            seen &= ~(twin & (t >= switch))
        if knobs.twin_leaves == "comes":
            seen &= ~(twin & (t < switch))
        if not seen.any():
            seen[rng.integers(n)] = True
        now, who = looks[seen], names[seen]
        if t == knobs.flood:
            now = np.concatenate([now, born(9 * len(now))])
            who = np.concatenate([who, next_name + np.arange(len(now) - len(who))])
            next_name += len(now)
        shift = draw(1, knobs.lighting)[0] if knobs.lighting else 0.0
        yield _photograph(knobs, rng, axes, now + shift, who, t)


def _photograph(knobs: Knobs, rng: np.random.Generator, axes: Doubles, now: Doubles, who: Ints, t: int) -> Day:
    shots = np.asarray(knobs.shots)[rng.integers(len(knobs.shots), size=len(who))]
    pieces = np.minimum(1 + rng.poisson(max(0.0, knobs.fragments - 1), size=len(who)), shots)
    owner, cluster = [], []
    count = 0
    for s in range(len(who)):
        owner += [s] * int(shots[s])
        cluster += sorted(count + k % int(pieces[s]) for k in range(int(shots[s])))
        count += int(pieces[s])
    own, group = np.asarray(owner), np.asarray(cluster)
    scale = 0.0 if knobs.ties else knobs.noise
    images = now[own] + rng.normal(size=(len(own), knobs.dimensions)) * axes * scale
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    if knobs.merged:
        units = now / np.linalg.norm(now, axis=1, keepdims=True)
        near = units @ units.T
        np.fill_diagonal(near, -2)
        first = group[np.searchsorted(own, np.arange(len(who)))]
        for s in np.flatnonzero(rng.random(len(who)) < knobs.merged / 2):
            group[group == group[np.searchsorted(own, s)]] = first[int(near[s].argmax())]
    order = np.argsort(group, kind="stable")
    images, own, group = images[order], own[order], group[order]
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    ends = np.append(starts[1:], len(own))
    subject = np.array([np.bincount(own[a:b]).argmax() for a, b in zip(starts, ends, strict=True)])
    shuffle = rng.permutation(len(starts))
    pick = np.concatenate([np.arange(starts[c], ends[c]) for c in shuffle])
    sizes = (ends - starts)[shuffle]
    return Day(
        t * knobs.days_apart,
        images[pick].astype(np.float32),
        np.cumsum(sizes) - sizes,
        who[subject[shuffle]],
        who[own[pick]],
    )


BASE = Knobs()
WORLDS: dict[str, Knobs] = {
    "0 plain": BASE,
    "1 null": replace(BASE, null=True),
    "2 under 30%": replace(BASE, merged=0.3),
    "2 over 1.5x": replace(BASE, fragments=1.5),
    "2 over 2x": replace(BASE, fragments=2.0, shots=(4,)),
    "2 over 3x": replace(BASE, fragments=3.0, shots=(6,)),
    "3 twins": replace(BASE, twins=0.5),
    "4 twin ends": replace(BASE, twins=0.5, twin_leaves="ends"),
    "4 twin comes": replace(BASE, twins=0.5, twin_leaves="comes"),
    "5 redrawn": replace(BASE, redrawn=20),
    "6 flood": replace(BASE, flood=20),
    "7 lighting": replace(BASE, lighting=0.5),
    "8 single": replace(BASE, subjects=1, turnover=0.0, gap=0.0),
    "9 first dates": replace(BASE, dates=2),
    "10 sizes": replace(BASE, shots=(1, 1, 1, 50)),
    "11 ties": replace(BASE, ties=True),
    "12 slow drift": replace(BASE, drift=0.3, noise=0.2, dates=60),
    "13 far apart": replace(BASE, days_apart=400, drift=0.4),
    "14 nobody continues": replace(BASE, subjects=200, dates=12, all_end=6),
}
VARIANTS: dict[str, Callable[[Knobs], Knobs]] = {}
