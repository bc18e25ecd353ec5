"""Choosing settings once, over a few dates: the stages up to ``cluster``, in a clustering of their own."""

import numpy as np

from pipeline import schemas
from pipeline.config import Config
from pipeline.errors import UserError
from pipeline.reports.tuning import Tried, over_dates
from pipeline.runtime.context import Context, writing
from pipeline.runtime.fit import run_projection
from pipeline.runtime.steps import run_stage
from pipeline.runtime.tables import read_dates
from pipeline.stages.catalog import CLUSTER, UNNAMED_STAGES
from pipeline.stages.choose import ChooseParams

DEFAULT = ChooseParams(
    by={"silhouette": 1.0, "stability": 1.0},
    grid=[
        {"method": ["auto"]},
        {"method": ["agglomerative"], "similarity": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]},
    ],
    min_clusters=2,
    max_cluster_fraction=0.5,
)
"""Tried where the config says nothing: similarities, because a number of clusters does not carry over to a date."""
MAX_DATES = 5


def tuning_config(config: Config) -> Config:
    """The config that tries: into a clustering of its own, so that nothing of the config's is touched."""
    choose = config.cluster.choose if config.cluster.choose.by else DEFAULT
    cluster = config.cluster.model_copy(update={"choose": choose})
    return config.model_copy(update={"clustering": f"{config.clustering}.tune"[:100], "cluster": cluster})


def tune(context: Context) -> list[Tried]:
    """Try every setting on the context's dates (at most ``MAX_DATES`` evenly spaced ones unless some are asked for).

    Args:
        context: Made with :func:`tuning_config`; what is up to date in its clustering is not tried again.

    Returns:
        What was tried, the best first.

    Raises:
        UserError: there is nothing to try it on.
    """
    dates = [date for date in context.store(schemas.FINGERPRINTS).partitions if context.in_window(date)]
    if not dates:
        raise UserError("there is no date to tune on: finish `imagetracks run` first, or give other --dates")
    if context.dates == (None, None):
        context.only = frozenset(evenly(dates))
    with writing(context):
        run_projection(context)
        for stage in UNNAMED_STAGES[: UNNAMED_STAGES.index(CLUSTER) + 1]:
            run_stage(context, stage)
    return over_dates(read_dates(context, schemas.TRIALS, schemas.TRIALS.names, context.in_window))


def tuned(config: Config, best: Tried) -> Config:
    """The config that clusters every date with the best setting."""
    return config.model_copy(update={"cluster": config.cluster.replaced(best.settings)})


def evenly(dates: list[str]) -> list[str]:
    """At most ``MAX_DATES`` of the dates, evenly spaced, the undated ones left out where there are others."""
    dated = [date for date in dates if date != schemas.UNDATED] or dates
    places = np.linspace(0, len(dated) - 1, min(MAX_DATES, len(dated))).round().astype(int)
    return [dated[place] for place in places]
