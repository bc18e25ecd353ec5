"""Which track a single photograph shows: the score model that linking has learnt, asked about one look alone."""

import numpy as np
import numpy.typing as npt

from pipeline.compute.linking.cohorts import closeness, normalise
from pipeline.compute.linking.memory import Memory, score_bin
from pipeline.compute.linking.model import PRIOR_BIRTHS, genuine_density
from pipeline.compute.linking.tail import fine_histogram, fit_tail

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


def probabilities(similarity: Floats, memory: Memory) -> Doubles:
    """Probability of each track that a look is its subject's; what is missing to 1 is that it is nobody's.

    Bayes' rule over "track 1, track 2, … or none", the tracks alike beforehand and none as likely as a cluster was
    a birth.  A track's likelihood ratio is the density of links' scores, as linking has learnt it from the dates,
    over the strangers expected at that score: the tail of this look's own list of scores, extrapolated (the same score
    model as in linking; there, other clusters compete for the tracks, and time that has passed counts).

    Args:
        similarity: (tracks,), best cosine between the look and a track's bank.
        memory: of the newest date.

    Returns:
        (tracks,); zeros where a look cannot be compared: a single track and nothing remembered.
    """
    scores = normalise(closeness(similarity[None, :]), memory.usual_level) if similarity.size else None
    if scores is None:
        return np.zeros(len(similarity))
    bins = score_bin(scores[0].astype(np.float64))
    strangers = fit_tail(fine_histogram(scores), 1.0, memory).expected
    # A nearer look never speaks less for its track, however few links came so near.
    ratio = np.maximum.accumulate(genuine_density(memory.genuine)[0] / strangers)
    none = (memory.births + PRIOR_BIRTHS[0]) / (memory.clusters + PRIOR_BIRTHS[1])
    odds = (1.0 - none) / none * ratio[bins]
    out: Doubles = odds / (1.0 + odds.sum())
    return out
