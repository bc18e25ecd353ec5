"""Do decisions said to be p likely come true in a share p of the cases?  A panel a set or world, and all worlds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.compute.scoring.reliability import Reliability
from tests.bench.bars import Result
from tests.bench.following import pooled
from tests.bench.worlds import WORLDS

COLUMNS = 6
FEWEST = 10
"""Decisions in a bin below which its dot is left out."""


def draw(results: Sequence[Result], path: Path) -> None:
    """Dots: bins, their area by the decisions in them; with the standard error of the share that came true."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(one.name, one.reliability) for one in results]
    worlds = [one.mine for one in results if one.name in WORLDS]
    together = pooled(worlds).reliability() if worlds else None
    if together is not None:
        panels.append(("all worlds", together))
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(2.2 * COLUMNS, 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (name, found) in zip(axes.flat, panels, strict=False):
        axis.set_title(f"{name}\nECE {found.error:.3f}, {found.num} decisions", fontsize=7)
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        _dots(axis, found)
        axis.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
        axis.tick_params(labelsize=6)
    figure.supxlabel("probability of the decision", fontsize=8)
    figure.supylabel("share that is right", fontsize=8)
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})


def _dots(axis: Any, found: Reliability) -> None:
    some = found.count >= FEWEST
    count, right = found.count[some], found.right[some]
    error = np.sqrt(np.maximum(right * (1 - right), 0.25 / count) / count)
    axis.errorbar(found.probability[some], right, error, fmt="none", ecolor="C0", elinewidth=0.8)
    axis.scatter(found.probability[some], right, s=4 + 60 * count / found.num, color="C0", zorder=3)
