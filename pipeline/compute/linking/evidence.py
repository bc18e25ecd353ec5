"""How well a date's scores are explained, so that fits under different assumptions can be weighed.

A fit plugs in densities that were fitted to the date itself, the more freely the less is assumed.  What that flatters
it by is taken back: the *price* of a density is the log of its marginal likelihood (the density integrated over its
prior) over the likelihood at its posterior mean.  Evidence with prices is the log of a Bayes factor's numerator (Kass
and Raftery, 1995).
"""

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

Doubles = npt.NDArray[np.float64]


def dirichlet_price(counts: Doubles, prior: Doubles) -> float:
    """Price of the shares of bins: Dirichlet-multinomial.

    Args:
        counts: (expected) counts of the bins, groups x bins; each group has shares of its own.
        prior: what the prior is worth in each bin, > 0, of the same shape.

    Returns:
        At most 0; 0 where nothing was counted.
    """
    both = counts + prior
    marginal = (gammaln(both) - gammaln(prior)).sum(axis=1) + gammaln(prior.sum(axis=1)) - gammaln(both.sum(axis=1))
    plugged_in = (counts * (np.log(both) - np.log(both.sum(axis=1, keepdims=True)))).sum(axis=1)
    return float((marginal - plugged_in).sum())


def poisson_price(counts: Doubles, exposed: Doubles, prior: Doubles, prior_exposed: Doubles) -> float:
    """Price of rates: Gamma-Poisson.

    Args:
        counts: what was met, of any shape.
        exposed: how much could have been met, of the same shape.
        prior: counts before, > 0.
        prior_exposed: exposure before, > 0.

    Returns:
        At most 0; 0 where nothing was exposed.
    """
    shape, length = prior + counts, prior_exposed + exposed
    marginal = gammaln(shape) - gammaln(prior) + prior * np.log(prior_exposed) - shape * np.log(length)
    plugged_in = counts * np.log(shape / length) - exposed * shape / length
    return float((marginal - plugged_in).sum())


def log_likelihood(met: Doubles, exposed: Doubles, rates: Doubles) -> float:
    """Of strangers that come at these rates (Poisson), without what depends on no rate.

    Args:
        met: strangers, of any shape.
        exposed: lists in which they could have been met, of the same shape.
        rates: strangers a list, > 0, of the same shape.
    """
    return float((met * np.log(rates) - exposed * rates).sum())
