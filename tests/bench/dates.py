"""Simulated dates: subjects and shots with the falling spectrum that real fingerprints have."""

import numpy as np
import numpy.typing as npt

from pipeline.compute.projection import unit_rows

DIMENSIONS = 256
EXPONENT = 1.2
"""Variance along the i-th direction is i**-1.2; EfficientNet's first 50 fall with 0.9 (emoji) to 1.5 (fruit)."""


def planted(
    sizes: list[int], scatter: float, seed: int, spread: float = 1.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Simulate a date.

    Args:
        sizes: Shots of each subject.
        scatter: Variance of a subject's shots over the variance of the subjects.
        seed: Of everything random.
        spread: Subjects' standard deviations differ by up to this factor, log-uniformly around the common one.

    Returns:
        Unit vectors (n, 256), and each one's subject; rows are shuffled.
    """
    rng = np.random.default_rng(seed)
    scale = np.arange(1, DIMENSIONS + 1) ** (-EXPONENT / 2)
    subject = np.repeat(np.arange(len(sizes)), sizes)
    centers = rng.normal(size=(len(sizes), DIMENSIONS)) * scale
    width = np.sqrt(scatter) * spread ** rng.uniform(-0.5, 0.5, size=len(sizes))
    shots = centers[subject] + rng.normal(size=(len(subject), DIMENSIONS)) * scale * width[subject, None]
    order = rng.permutation(len(subject))
    return unit_rows(shots[order]).astype(np.float32), subject[order]
