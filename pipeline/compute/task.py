"""What a clusterer is given."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ClusteringTask:
    """One date's vectors with their neighbour graph, and the settings of the clusterers.

    Args:
        vectors: Unit vectors (or zeros) float32 (n, d), n >= 1, in the order of their ids.
        neighbors: Row numbers of each row's nearest others, int64 (n, k), best first; -1 where there are fewer.
        similarities: Their cosines, float32 (n, k); anything where ``neighbors`` is -1.
        num_clusters: Asked of ``kmeans``, and of ``agglomerative`` unless ``similarity`` is.
        similarity: Average similarity below which ``agglomerative`` merges no more.
        dense_below: Images up to which ``agglomerative`` reads all pairs; above, those of the neighbour graph.
        seed: Of every random choice.
        threads: For FAISS.
        gpu: Run FAISS on the first GPU.
    """

    vectors: npt.NDArray[np.float32]
    neighbors: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float32]
    num_clusters: int | None = None
    similarity: float | None = None
    dense_below: int = 16_000
    seed: int = 0
    threads: int = 1
    gpu: bool = False
