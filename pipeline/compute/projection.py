"""Principal components by streamed moments, in arithmetic that does not depend on how the rows were split.

Floating-point sums depend on their order; sums of multiples of one power of two do not, as long as they fit the
mantissa.  So unit vectors are rounded to such multiples before they are multiplied: every product and every partial
sum is then exact in float64, whatever the blocks, the order, the BLAS and its threads.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

Float64s = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]

_MANTISSA_BITS = 53
_APPLY_QUANTUM = 2.0**-24
"""|x - mean| and a component have length <= 2 and 1: 2 * 24 + 1 bits and a sign fit the mantissa."""
_BLOCK_ROWS = 4096
"""Rows projected at a time: bounds memory, has no influence on the result."""


def unit_rows(vectors: npt.NDArray[np.floating]) -> Float64s:
    """Scale each row of ``vectors`` (n, d) to length 1, in float64; a zero row stays zero."""
    rows = np.asarray(vectors, dtype=np.float64)
    peak = np.max(np.abs(rows), axis=1, keepdims=True, initial=0.0)
    rows = rows / np.where(peak > 0, peak, 1.0)  # squares of very large or small numbers leave the range
    length = np.sqrt(np.sum(rows * rows, axis=1, keepdims=True))
    return rows / np.where(length > 0, length, 1.0)


@dataclass
class Moments:
    """Exact first and second moments of vectors; two of them over disjoint rows add up.

    Args:
        dimensions: Length d of a vector.
        capacity: The most rows that will ever be added: it fixes the rounding, 2**-18 for 131 072 rows.
        bound: None to scale each row to unit length; else a power of two that no row is longer than.
    """

    dimensions: int
    capacity: int
    bound: float | None = None

    def __post_init__(self) -> None:
        """Start at no rows."""
        count_bits = int(np.ceil(np.log2(max(self.capacity, 1))))
        self.quantum = 2.0 ** -((_MANTISSA_BITS - 1 - count_bits) // 2)
        self.count = 0
        self.first: Float64s = np.zeros(self.dimensions)
        self.second: Float64s = np.zeros((self.dimensions, self.dimensions))

    def add(self, vectors: npt.NDArray[np.floating]) -> None:
        """Add rows (n, d).

        Raises:
            ValueError: more rows than ``capacity``; the sums would no longer be exact.
        """
        if self.count + len(vectors) > self.capacity:
            raise ValueError(f"{self.count + len(vectors)} rows, capacity {self.capacity}")
        for start in range(0, len(vectors), _BLOCK_ROWS):
            block = vectors[start : start + _BLOCK_ROWS]
            scaled = unit_rows(block) if self.bound is None else np.asarray(block, dtype=np.float64) / self.bound
            rows = np.rint(scaled / self.quantum) * self.quantum
            self.count += len(rows)
            self.first += rows.sum(axis=0)
            self.second += rows.T @ rows

    def mean(self) -> Float64s:
        """Mean of the rows (d,); zeros without rows."""
        return self.first / max(self.count, 1) * (self.bound or 1.0)

    def covariance(self) -> Float64s:
        """Unbiased covariance of the rows (d, d); zeros below two rows."""
        mean = self.first / max(self.count, 1)
        covariance = (self.second - self.count * np.outer(mean, mean)) / max(self.count - 1, 1)
        return np.asarray(covariance * (self.bound or 1.0) ** 2)


def principal_components(covariance: Float64s, dimensions: int) -> tuple[Float64s, Float64s]:
    """Return the ``dimensions`` leading eigenvectors (dimensions, d) of a covariance, and their variances, descending.

    The sign is canonical: the entry of largest magnitude (the first of them) is positive.  One thread: LAPACK's last
    bits depend on their number.
    """
    with threadpool_limits(limits=1):
        values, vectors = np.linalg.eigh(covariance)
    leading = vectors[:, ::-1][:, :dimensions].T
    largest = np.argmax(np.abs(leading), axis=1)
    signs = np.where(leading[np.arange(len(leading)), largest] < 0, -1.0, 1.0)
    return leading * signs[:, None], np.maximum(values[::-1][:dimensions], 0.0)


def round_components(components: Float64s) -> Float32s:
    """Round components to the multiples that :func:`project` multiplies exactly (each fits a float32)."""
    return np.asarray(np.rint(components / _APPLY_QUANTUM) * _APPLY_QUANTUM, dtype=np.float32)


def bound_of(vectors: npt.NDArray[np.floating]) -> float:
    """The smallest power of two that no row of ``vectors`` (n, d) is longer than."""
    longest = float(np.linalg.norm(np.asarray(vectors, dtype=np.float64), axis=1).max(initial=2.0**-100))
    return float(2.0 ** np.ceil(np.log2(longest)))


def project(
    vectors: npt.NDArray[np.floating],
    mean: Float32s,
    components: Float32s | None,
    scales: Float32s | None,
    unit: bool = True,
) -> Float32s:
    """Unit length (if ``unit``), minus ``mean``, onto ``components``, times ``scales``, unit length again (if so).

    Args:
        vectors: Fingerprints (n, d).
        mean: Subtracted from the unit vector (d,).
        components: (k, d), from :func:`round_components`; None keeps all d coordinates.
        scales: (k,) or None for ones.
        unit: Whether rows are scaled to unit length, before and after.

    Returns:
        float32 (n, k or d); a row is bit-equal in any company.  A row that ends at zero stays zero.
    """
    out_dimensions = vectors.shape[1] if components is None else len(components)
    projected = np.empty((len(vectors), out_dimensions), dtype=np.float32)
    basis = None if components is None else components.T.astype(np.float64)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS]
        rows = (unit_rows(block) if unit else np.asarray(block, dtype=np.float64)) - mean.astype(np.float64)
        if basis is not None:
            quantum = _APPLY_QUANTUM if unit else _APPLY_QUANTUM * _powers(rows)
            rows = np.rint(rows / quantum) * quantum @ basis
        if scales is not None:
            rows = rows * scales.astype(np.float64)
        projected[start : start + len(rows)] = unit_rows(rows) if unit else rows
    return projected


def _powers(rows: Float64s) -> Float64s:
    """For each row (n, d) the power of two (n, 1) that it is not longer than: the row's own, so its company is none."""
    _, exponent = np.frexp(np.sqrt((rows * rows).sum(axis=1, keepdims=True)))
    return np.asarray(np.ldexp(1.0, exponent), dtype=np.float64)
