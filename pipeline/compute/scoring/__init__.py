"""Scores of a partition (tracks, clusters) against the truth, from sparse contingency counts.

Everything here is a function of how many images each (true subject, found group) pair has, never of the labels'
names or the images' order, and costs what the non-empty pairs cost: no image x image or subject x group array.
"""

from pipeline.compute.scoring.contingency import Contingency, contingency, singletons
from pipeline.compute.scoring.events import EventScore, Happening, score_events
from pipeline.compute.scoring.information import adjusted_mutual_information, mutual_information
from pipeline.compute.scoring.matching import max_weight_matching
from pipeline.compute.scoring.over_time import Breakdown, Continuity, by_gap, by_length, by_size, continuity, num_dates
from pipeline.compute.scoring.partitions import SCORES, partition_scores
from pipeline.compute.scoring.reliability import Reliability, reliability

__all__ = [
    "SCORES",
    "Breakdown",
    "Contingency",
    "Continuity",
    "EventScore",
    "Happening",
    "Reliability",
    "adjusted_mutual_information",
    "by_gap",
    "by_length",
    "by_size",
    "contingency",
    "continuity",
    "max_weight_matching",
    "mutual_information",
    "num_dates",
    "partition_scores",
    "reliability",
    "score_events",
    "singletons",
]
