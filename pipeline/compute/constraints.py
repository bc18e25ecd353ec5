"""What people, and photographs, say of images: these show the same subject, those do not.

One mechanism for every clustering and for linking.  A date's labels, whichever method made them, are mended: clusters
that hold images of one subject are merged, then clusters that hold images of several are parted among them.  Of
linking the pairs of cluster and track that must or cannot belong together are imposed on its scores and its decisions.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compute.bipartite import connected

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Pair = tuple[int, int]


class ContradictionError(ValueError):
    """Images that are said to be different and, one by one, the same; ``chain`` are the pairs that say so."""

    def __init__(self, different: int, chain: list[int]) -> None:
        super().__init__("contradiction")
        self.different, self.chain = different, chain


def subjects(num: int, same: Sequence[Pair], different: Sequence[Pair]) -> Ints:
    """Label ``num`` images so that those which are the same, directly or through others, have one label.

    Raises:
        ContradictionError: two of one label are different; it holds the place of that pair in ``different``, and the
            places in ``same`` of the shortest chain between the two.
    """
    one, other = np.array(same, dtype=np.int64).reshape(-1, 2).T
    label = connected(num, one, other)
    for place, (a, b) in enumerate(different):
        if label[a] == label[b]:
            raise ContradictionError(place, _chain(same, a, b))
    return label


def _chain(same: Sequence[Pair], start: int, end: int) -> list[int]:
    """Places in ``same`` of the fewest pairs that lead from one image to another (breadth first)."""
    beside: dict[int, list[Pair]] = {}
    for place, (a, b) in enumerate(same):
        beside.setdefault(a, []).append((b, place))
        beside.setdefault(b, []).append((a, place))
    found: dict[int, list[int]] = {start: []}
    waiting = deque([start])
    while waiting and end not in found:
        here = waiting.popleft()
        for there, place in beside.get(here, []):
            if there not in found:
                found[there] = [*found[here], place]
                waiting.append(there)
    return found[end]


@dataclass(frozen=True)
class Bonds:
    """Of a date's rows: ``together`` int64 (n,), a number a subject and -1 for unknown; ``apart`` pairs of rows."""

    together: Ints
    apart: Sequence[Pair]


def mend(vectors: Floats, labels: Ints, bonds: Bonds) -> Ints:
    """Make labels obey: merge what must be together, then part what must be apart.

    Args:
        vectors: unit vectors (n, d) in the order of their ids, so that ties do not depend on the order of the input.
        labels: (n,), any non-negative numbers.
        bonds: consistent (no two rows of one subject are apart).

    Returns:
        (n,) labels; rows that nothing is said of stay with their cluster, or go to the nearest of its parts.
    """
    out = _merged(labels, bonds.together)
    inside: dict[int, list[Pair]] = {}
    for a, b in bonds.apart:
        if out[a] == out[b]:
            inside.setdefault(int(out[a]), []).append((a, b))
    fresh = int(out.max(initial=-1)) + 1
    for label in sorted(inside):
        members = np.flatnonzero(out == label)
        parts = _parted(vectors, members, bonds, inside[label])
        out[members] = np.where(parts == 0, label, fresh + parts - 1)
        fresh += int(parts.max())
    return out


def _merged(labels: Ints, together: Ints) -> Ints:
    known = np.flatnonzero(together >= 0)
    size = int(labels.max(initial=-1)) + 1
    nodes = size + (int(together.max(initial=-1)) + 1)
    return connected(nodes, labels[known], size + together[known])[labels]


def _parted(vectors: Floats, members: Ints, bonds: Bonds, apart: Sequence[Pair]) -> Ints:
    """Part of each member, 0 on: subjects that are apart are seeds; a seed joins the nearest part that may have it."""
    subject = {int(i): int(bonds.together[i]) if bonds.together[i] >= 0 else -1 - int(i) for i in members}
    rows: dict[int, list[int]] = {}
    for i in members.tolist():
        rows.setdefault(subject[i], []).append(i)
    against: dict[int, set[int]] = {}
    for a, b in apart:
        against.setdefault(subject[a], set()).add(subject[b])
        against.setdefault(subject[b], set()).add(subject[a])
    parts: list[list[int]] = []
    for seed in sorted(against, key=lambda one: rows[one][0]):
        near = _nearness(vectors, rows[seed], [[i for one in part for i in rows[one]] for part in parts])
        allowed = [k for k, part in enumerate(parts) if not against[seed] & set(part)]
        if allowed:
            parts[max(allowed, key=lambda k: (near[k], -k))].append(seed)
        else:
            parts.append([seed])
    seeds = [[i for one in part for i in rows[one]] for part in parts]
    out = np.zeros(len(members), dtype=np.int64)
    placed = {i: k for k, group in enumerate(seeds) for i in group}
    for at, i in enumerate(members.tolist()):
        out[at] = placed[i] if i in placed else int(np.argmax(_nearness(vectors, rows[subject[i]], seeds)))
    return out


def _nearness(vectors: Floats, rows: Sequence[int], groups: Sequence[Sequence[int]]) -> Doubles:
    """Cosine of the mean of some rows to the mean of each group's."""
    own = vectors[list(rows)].astype(np.float64).mean(axis=0)
    means = [vectors[list(group)].astype(np.float64).mean(axis=0) for group in groups]
    return np.array([own @ one / max(float(np.linalg.norm(one)), 1e-12) for one in means])


@dataclass(frozen=True)
class Demands:
    """Of linking a date: clusters x tracks that ``must`` and ``cannot`` belong together, and clusters ``apart``."""

    must: Bools
    cannot: Bools
    apart: Sequence[Pair]

    @property
    def empty(self) -> bool:
        """Whether nothing is demanded."""
        return not (self.must.any() or self.cannot.any() or self.apart)

    @property
    def _bound(self) -> Bools:
        """Clusters that must continue some track."""
        return np.asarray(np.any(self.must, axis=1), dtype=bool)

    def of(self, clusters: Ints) -> "Demands":
        """Of parts of clusters, what is demanded of pairs: ``clusters`` names each part's."""
        return Demands(self.must[clusters], self.cannot[clusters], ())

    def impose(self, similarity: Floats) -> Floats:
        """Similarities without what is excluded: there is the usual one of the cluster, its median over all tracks.

        Excluded are pairs that cannot be, and all others of a cluster or track that is bound to one.  Nothing else is
        touched and no extreme value put in, for linking learns from these similarities what strangers are like.
        """
        if not similarity.size:
            return similarity
        bound = np.logical_or.outer(self._bound, np.any(self.must, axis=0))
        usual = np.median(similarity, axis=1, keepdims=True)
        return np.where(self.cannot | (bound & ~self.must), usual, similarity).astype(np.float32)

    def enforce(self, track: Ints, probability: Doubles) -> tuple[Ints, Doubles]:
        """Decisions that obey: what must is linked for certain, what cannot begins a track.

        Of clusters that are apart and were given one track the surest keeps it (of equals the first); a track that
        must go on with some cluster goes on with no other.

        Args:
            track: of each cluster, -1 for a birth.
            probability: that the decision is right.
        """
        track, probability = track.copy(), probability.copy()
        bound = self._bound
        if bound.any():  # never on a date without open tracks, where there is nothing to look for the largest of
            track[bound] = self.must[bound].argmax(axis=1)
            probability[bound] = 1.0
        not_its = self.cannot | np.any(self.must, axis=0)
        refused = [i for i, j in enumerate(track.tolist()) if j >= 0 and not bound[i] and not_its[i, j]]
        for a, b in self.apart:
            if track[a] == track[b] >= 0 and a not in refused and b not in refused:
                refused.append(b if (bound[a], probability[a]) >= (bound[b], probability[b]) else a)
        track[refused] = -1
        probability[refused] = 1.0 - probability[refused]
        return track, probability
