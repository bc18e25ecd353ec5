"""Small sets of vectors, and how near two sets are."""

import numpy as np


def directions(*degrees: float) -> np.ndarray:
    """Unit vectors of the plane (n, 2) float32."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each row with the same row of the other, (n,)."""
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
