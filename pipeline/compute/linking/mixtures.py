"""Mixtures: a date clusterer that cuts too coarsely puts looks of several subjects into one cluster.

Such a cluster fits the tracks of all of them, as one of two look-alikes does; but each of its looks fits one of the
tracks only, where every look of a look-alike fits them all.  The looks are parted by the tracks that they fit, each
part is linked as if it were a cluster, and the cluster goes the way of the part that explains most of its looks.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.compute.bipartite import connected
from pipeline.compute.linking.cohorts import closeness, strangers
from pipeline.compute.linking.decisions import Decisions
from pipeline.compute.linking.pieces import fitting
from pipeline.compute.linking.scores import Looks, grouped, likeness

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Looks of a date's clusters, part by part; most clusters are one part.

    Attributes:
        cluster: of each part, ascending.
        order: indices of the looks, those of a part together, in the order of ``cluster``.
        starts: where each part's begin in ``order``.
    """

    cluster: Ints
    order: Ints
    starts: Ints

    @classmethod
    def of(cls, best: Floats, looks: Looks, usual_level: float | None) -> "Parts":
        """Part the clusters whose looks fit different tracks.

        Args:
            best: clusters x tracks, cosine of the best pair; lower where a track is out of the question.
            looks: of the clusters and the tracks.
            usual_level: level of strangers on earlier dates (:class:`~pipeline.compute.linking.memory.Memory`).
        """
        label = np.zeros(len(looks.looks), dtype=np.int64)
        sizes = np.diff(looks.starts, append=len(looks.looks))
        close = closeness(best)
        usual = strangers(close, usual_level) if best.size else None
        if usual is not None:
            fits = fitting(usual.scores(close))
            for i in np.flatnonzero((fits.sum(axis=1) >= 2) & (sizes >= 2)).tolist():
                tracks = np.flatnonzero(fits[i])
                level = 0.5 * (usual.row[i] + usual.column[tracks])
                above = closeness(looks.each(i, tracks)) - level.astype(np.float32)
                label[looks.starts[i] : looks.starts[i] + sizes[i]] = _parted(above / np.float32(usual.scale))
        cluster = np.repeat(np.arange(len(sizes)), sizes)
        order = np.lexsort((label, cluster))
        same = (np.diff(cluster[order]) == 0) & (np.diff(label[order]) == 0)
        starts = np.flatnonzero(np.append(True, ~same)) if len(order) else order
        return cls(cluster[order][starts], order, starts)

    def similarity(self, looks: Looks, of_clusters: Floats) -> Floats:
        """Parts x tracks: their likeness; ``of_clusters`` are the clusters' (clusters x tracks)."""
        out = of_clusters[self.cluster]
        several = np.flatnonzero(np.bincount(self.cluster)[self.cluster] > 1)
        if len(several):
            each = np.split(looks.looks[self.order], self.starts[1:])
            out[several] = likeness(*grouped([each[i] for i in several]), looks.bank, looks.bank_starts)
        return out

    def whole(self, found: Decisions) -> tuple[Decisions, Bools]:
        """Of each cluster the decision, from those of its parts; and of each look whether it may enter a bank.

        A cluster goes with the linked part that explains most looks (looks times probability), and begins a track only
        if all its parts do.  Looks of a part that continues another track stay out of the bank.
        """
        num = int(self.cluster.max(initial=-1)) + 1
        sizes = np.diff(self.starts, append=len(self.order))
        linked = found.track >= 0
        explained = np.where(linked, sizes * found.probability, 0.0)
        by = np.lexsort((-explained, self.cluster))
        main = by[np.flatnonzero(np.append(True, np.diff(self.cluster[by]) > 0))] if num else by
        probability = found.probability[main]
        for i in np.flatnonzero(~linked[main] & (np.bincount(self.cluster, minlength=num) > 1)):
            probability[i] = found.probability[self.cluster == i].prod()
        own = ~linked | (found.track == found.track[main][self.cluster])
        looks = np.empty(len(self.order), dtype=bool)
        looks[self.order] = np.repeat(own, sizes)
        columns = ("track", "similarity", "score", "runner_up", "margin")
        given = {name: getattr(found, name)[main] for name in columns}
        return replace(found, probability=probability, **given), looks


def _parted(scores: Floats) -> Ints:
    """A label for each look: looks that fit a common track, directly or through others, have the same one.

    A look that fits nobody goes with those who fit the track to which it is nearest.

    Args:
        scores: looks of a cluster x tracks that the cluster fits, normalised.
    """
    fits = fitting(scores)
    fitted = fits.any(axis=0)
    if not fitted.any() or fits.all(axis=0).any():
        return np.zeros(len(fits), dtype=np.int64)
    one, other = np.nonzero(fits)
    label = connected(sum(fits.shape), one, len(fits) + other)
    nearest = np.where(fitted, scores, -np.inf).argmax(axis=1)
    out: Ints = label[len(fits) + nearest]
    return out
