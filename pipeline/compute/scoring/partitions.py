"""Scores of one partition against another, from their contingency table.

With n_ij images of true group i in found group j, sizes a_i and b_j and N images in all.  Where a ratio has nothing
in its denominator (no pair was claimed, or there is no pair to find) nothing was done wrong and the score is 1,
except where scikit-learn says 0; scores that scikit-learn has are equal to its own.
"""

from math import sqrt

import numpy as np

from pipeline.compute.scoring.contingency import Contingency, total
from pipeline.compute.scoring.information import adjusted_mutual_information, entropy, mutual_information
from pipeline.compute.scoring.matching import max_weight_matching

SCORES: dict[str, str] = {
    "purity": "Σ_j max_i n_ij / N: images that belong to their group's main subject (the studies' precision)",
    "inverse_purity": "Σ_i max_j n_ij / N: images that lie in their subject's main group",
    "nmi_arithmetic": "mutual information over the arithmetic mean of the entropies",
    "nmi_geometric": "mutual information over the geometric mean of the entropies",
    "ami": "mutual information adjusted for chance, over the arithmetic mean (Vinh et al. 2010)",
    "ari": "pairs that agree, adjusted for chance (Hubert and Arabie 1985); may be negative",
    "fowlkes_mallows": "√(pairwise precision · recall); 0 where no pair is right",
    "homogeneity": "1 - H(subject | group) / H(subject) (Rosenberg and Hirschberg 2007)",
    "completeness": "1 - H(group | subject) / H(group)",
    "v_measure": "harmonic mean of homogeneity and completeness",
    "pairwise_precision": "pairs of images of one group that are of one subject",
    "pairwise_recall": "pairs of images of one subject that are in one group",
    "pairwise_f": "harmonic mean of the two",
    "bcubed_precision": "mean over images of the share of its group that is of its subject (Bagga and Baldwin 1998)",
    "bcubed_recall": "mean over images of the share of its subject that is in its group",
    "bcubed_f": "harmonic mean of the two",
    "idf1": "images right under the best one-to-one matching of subjects and groups, / N (Ristani et al. 2016)",
    "assa": "Σ n_ij² / (a_i + b_j - n_ij) / N: HOTA's association accuracy (Luiten et al. 2021)",
    "sqrt_assa": "√AssA: HOTA with perfect detection",
}
"""Every score's name, in the order of the reports, and its definition; all are at most 1."""


def partition_scores(table: Contingency) -> dict[str, float]:
    """All of :data:`SCORES` for a table.

    Raises:
        ValueError: the table is empty: no image has both a truth and a group.
    """
    if not table.count.size:
        raise ValueError("no image to score: the contingency table is empty")
    scores = _purities(table) | _information(table) | _pairs(table) | _bcubed(table) | _association(table)
    return {name: scores[name] for name in SCORES}


def adjusted_rand_index(table: Contingency) -> float:
    """The score ``ari`` alone: it costs what the table's cells cost."""
    return _pairs(table)["ari"]


def _purities(table: Contingency) -> dict[str, float]:
    return {
        "purity": float(table.transposed().row_max().sum()) / table.num_images,
        "inverse_purity": float(table.row_max().sum()) / table.num_images,
    }


def _information(table: Contingency) -> dict[str, float]:
    shared, of_truth, of_found = mutual_information(table), entropy(table.row_size), entropy(table.column_size)
    homogeneity = shared / of_truth if of_truth else 1.0
    completeness = shared / of_found if of_found else 1.0
    trivial = not of_truth and not of_found
    geometric = sqrt(of_truth * of_found)
    return {
        "nmi_arithmetic": 1.0 if trivial else shared / ((of_truth + of_found) / 2),
        "nmi_geometric": 1.0 if trivial else (shared / geometric if geometric else 0.0),
        "ami": adjusted_mutual_information(table),
        "homogeneity": homogeneity,
        "completeness": completeness,
        "v_measure": _harmonic(homogeneity, completeness),
    }


def _pairs(table: Contingency) -> dict[str, float]:
    """Scores over ordered pairs of images; Python's integers hold N⁴, int64 does not."""
    images = table.num_images
    right = int((table.count * (table.count - 1)).sum())
    claimed = int((table.column_size * (table.column_size - 1)).sum())
    true = int((table.row_size * (table.row_size - 1)).sum())
    everything = images * (images - 1)
    wrong, missed = claimed - right, true - right
    rest = everything - right - wrong - missed
    spread = (right + missed) * (missed + rest) + (right + wrong) * (wrong + rest)
    precision = right / claimed if claimed else 1.0
    recall = right / true if true else 1.0
    return {
        "ari": 2 * (right * rest - missed * wrong) / spread if wrong or missed else 1.0,
        "fowlkes_mallows": sqrt(right / claimed) * sqrt(right / true) if right else 0.0,
        "pairwise_precision": precision,
        "pairwise_recall": recall,
        "pairwise_f": _harmonic(precision, recall),
    }


def _bcubed(table: Contingency) -> dict[str, float]:
    squares = table.count.astype(np.float64) ** 2
    precision = total(squares / table.column_size[table.column]) / table.num_images
    recall = total(squares / table.row_size[table.row]) / table.num_images
    return {"bcubed_precision": precision, "bcubed_recall": recall, "bcubed_f": _harmonic(precision, recall)}


def _association(table: Contingency) -> dict[str, float]:
    union = table.row_size[table.row] + table.column_size[table.column] - table.count
    assa = total(table.count.astype(np.float64) ** 2 / union) / table.num_images
    matched = table.count[max_weight_matching(table)].sum()
    return {"idf1": float(matched) / table.num_images, "assa": assa, "sqrt_assa": sqrt(assa)}


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0
