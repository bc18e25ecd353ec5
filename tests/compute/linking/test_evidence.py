"""Prices of fitted densities, by hand and by integration."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, gamma

from pipeline.compute.linking.evidence import dirichlet_price, log_likelihood, poisson_price
from pipeline.compute.linking.lists import Lists
from pipeline.compute.linking.memory import NUM_BINS


def test_price_of_shares_by_hand() -> None:
    """One draw from two bins, flat prior: it had 1/2, its share is now put at 2/3."""
    assert dirichlet_price(np.array([[1.0, 0.0]]), np.ones((1, 2))) == pytest.approx(np.log(3 / 4))


def test_price_of_shares_by_integration() -> None:
    """5 and 2 draws, prior 1.5 and 0.5; a second group without draws costs nothing."""
    marginal = quad(lambda p: p**5 * (1 - p) ** 2 * beta(1.5, 0.5).pdf(p), 0, 1)[0]
    plugged_in = (6.5 / 9) ** 5 * (2.5 / 9) ** 2
    found = dirichlet_price(np.array([[5.0, 2.0], [0.0, 0.0]]), np.array([[1.5, 0.5], [1.0, 3.0]]))
    assert found == pytest.approx(np.log(marginal / plugged_in), rel=1e-5)


def test_price_of_rates_by_hand() -> None:
    """One met in one list, prior one in one: Gamma(2) / 2^2 = 1/4 against 1 * exp(-1)."""
    one = np.ones(1)
    assert poisson_price(one, one, one, one) == pytest.approx(np.log(1 / 4) + 1)


def test_price_of_rates_by_integration() -> None:
    """Four met in ten lists, prior 0.5 in 3."""
    marginal = quad(lambda r: r**4 * np.exp(-10 * r) * gamma(0.5, scale=1 / 3).pdf(r), 0, 10)[0]
    plugged_in = (4.5 / 13) ** 4 * np.exp(-10 * 4.5 / 13)
    found = poisson_price(*(np.array([x]) for x in (4.0, 10.0, 0.5, 3.0)))
    assert found == pytest.approx(np.log(marginal / plugged_in), rel=1e-5)


def test_nothing_observed_has_no_price() -> None:
    none, some = np.zeros((2, 3)), np.full((2, 3), 0.7)
    assert dirichlet_price(none, some) == pytest.approx(0.0)
    assert poisson_price(none, none, some, some) == pytest.approx(0.0)


def test_likelihood_of_a_date_without_links_by_hand() -> None:
    """One cluster, two tracks, scores 1.0 and 0.0 (bins 10 and 8): the list meets its first stranger, then another.

    Of the tracks' side each list has one entry, a first.  A list counts half in the bin where it meets its first: half
    of it may meet a first, half of it another.
    """
    score = np.array([1.0, 0.0])
    sides = (Lists(np.array([0, 0]), score), Lists(np.array([0, 1]), score))
    rates = np.vstack([np.full(NUM_BINS, 0.2), np.full(NUM_BINS, 0.1)])
    bins = np.zeros(NUM_BINS, dtype=bool)
    bins[8:12] = True
    of_cluster = np.log(0.2) + np.log(0.1) - (1 + 0.5) * 0.2 - (2 + 0.5) * 0.1
    of_tracks = 2 * np.log(0.2) - (3.5 + 1.5) * 0.2 - (0.5 + 2.5) * 0.1
    out = sum(
        0.5 * log_likelihood(met[:, bins], exposed[:, bins], rates[:, bins])
        for met, exposed in (side.count() for side in sides)
    )
    assert out == pytest.approx(0.5 * of_cluster + 0.5 * of_tracks)
