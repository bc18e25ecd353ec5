"""Entropy, mutual information and its expectation under random labels, in nats."""

import numpy as np
from scipy.special import gammaln

from pipeline.compute.scoring.contingency import Contingency, Floats, Ints, total

TAIL = 45.0
"""Terms of a hypergeometric sum with a probability below exp(-TAIL), some 3e-20, are left out: doubles hold 1e-16."""


def entropy(sizes: Ints) -> float:
    """-Σ p log p of a partition into groups of these sizes."""
    if len(sizes) < 2:
        return 0.0
    shares = sizes / sizes.sum()
    return -total(shares * np.log(shares))


def mutual_information(table: Contingency) -> float:
    """Σ (n_ij / N) log(N n_ij / (a_i b_j)), never below 0."""
    if len(table.row_size) < 2 or len(table.column_size) < 2:
        return 0.0
    log, images = np.log, table.num_images
    # a_i b_j as one product, which is the same with truth and found exchanged, and below 2^63.
    sizes = table.row_size[table.row] * table.column_size[table.column]
    return max(0.0, total(table.count / images * (log(table.count) + log(images) - log(sizes))))


def expected_mutual_information(table: Contingency) -> float:
    """Expectation of the mutual information over random labels with the same group sizes.

    Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison" (JMLR 2010), eq. 24a.  A pair
    of groups enters by its sizes alone, so the sum runs over pairs of *distinct* sizes with their multiplicities:
    N images have at most √(2N) distinct sizes.  For one pair, n follows a hypergeometric law with mean ab/N whose
    tails are no heavier than the binomial's (Hoeffding 1963, section 6), hence Bernstein's bound: outside
    mean ± (TAIL/3 + √(TAIL²/9 + 2·TAIL·mean)) every term's probability is below exp(-TAIL).
    """
    images = table.num_images
    if images == 0:
        return 0.0
    size_a, times_a = np.unique(table.row_size, return_counts=True)
    size_b, times_b = np.unique(table.column_size, return_counts=True)
    log_factorial = gammaln(np.arange(images + 1) + 1.0)
    log_of = np.log(np.maximum(np.arange(images + 1), 1))
    expected = 0.0
    for a, times in zip(size_a.tolist(), times_a.tolist(), strict=True):
        terms = _expected_terms(a, size_b, images, log_factorial, log_of)
        expected += times * float((times_b * terms).sum())
    return expected


def _expected_terms(a: int, b: Ints, images: int, log_factorial: Floats, log_of: Floats) -> Floats:
    """Σ_n P(n) (n/N) log(N n / (a b)) for one size a and every size b: (sizes,) float64."""
    mean = a * b / images
    reach = TAIL / 3 + np.sqrt(TAIL**2 / 9 + 2 * TAIL * mean)
    low = np.maximum(np.maximum(1, a + b - images), np.floor(mean - reach).astype(np.int64))
    high = np.minimum(np.minimum(a, b), np.ceil(mean + reach).astype(np.int64))
    length = high - low + 1
    pair = np.repeat(np.arange(len(b)), length)
    n = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + low[pair]
    of_b = b[pair]
    fixed = log_factorial[a] + log_factorial[images - a] - log_factorial[images]
    fixed = fixed + log_factorial[b] + log_factorial[images - b]
    changing = log_factorial[n] + log_factorial[a - n] + log_factorial[of_b - n] + log_factorial[images - a - of_b + n]
    information = n / images * (log_of[n] + log_of[images] - log_of[a] - log_of[of_b])
    return np.asarray(np.bincount(pair, np.exp(fixed[pair] - changing) * information, len(b)), np.float64)


def adjusted_mutual_information(table: Contingency) -> float:
    """(MI - E MI) / (mean entropy - E MI): 0 for random labels, 1 for equal partitions (Vinh et al. 2010)."""
    if len(table.count) == len(table.row_size) == len(table.column_size):
        return 1.0  # equal partitions; without this, two partitions into singletons would be 0 / 0
    if len(table.row_size) == 1 or len(table.column_size) == 1:
        return 0.0
    expected = expected_mutual_information(table)
    mean_entropy = (entropy(table.row_size) + entropy(table.column_size)) / 2
    return (mutual_information(table) - expected) / (mean_entropy - expected)
