"""Charts of a date's clustering, by matplotlib's Agg: dendrogram, elbow, silhouettes, trials."""

import io
import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from pipeline.compute.cuts import cut_between, whole_branches
from pipeline.errors import UserError
from pipeline.reports.picture_ink import FAINT, INK, PAPER, QUIET, Colour, track_colour
from pipeline.reports.text import setting_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

FEW = 40
"""Clusters, or leaves, that a chart names one by one."""
DPI = 110
_LETTERS = 13
"""Of a caption, an inch."""
MEASURES = ("silhouette", "calinski_harabasz", "davies_bouldin", "gap", "stability", "inertia")
_SMALL_IS_BETTER = ("davies_bouldin", "inertia")


def draw_dendrogram(tree: Float64s, labels: Int64s, names: Sequence[str], date: str) -> Image.Image:
    """Draw a tree of merges, branches in their clusters' colours, and where it is cut.

    Args:
        tree: SciPy's form (n - 1, 4), n >= 2.
        labels: Cluster of each row (n,), from 0.
        names: Of the clusters.
        date: For the title.
    """
    from scipy.cluster.hierarchy import dendrogram

    whole = whole_branches(tree, labels)
    shown = min(len(tree) + 1, max(len(names) + 20, FEW), 150)
    figure = _figure(max(10.0, min(22.0, 2 + shown * 0.14)), 7.5)
    axes = figure.add_subplot()

    def colour(node: int) -> str:
        return _hex(track_colour(int(whole[node]))) if whole[node] >= 0 else _hex(INK)

    found = dendrogram(
        tree, p=shown, truncate_mode="lastp", ax=axes, link_color_func=colour, no_labels=shown > 60, leaf_rotation=90
    )
    if shown <= 60:
        texts = [_leaf(leaf, whole, tree, names) for leaf in found["leaves"] or []]
        axes.set_xticklabels(texts, rotation=90, fontsize=8)
    for collection in axes.collections:
        collection.set_linewidth(1.3 if shown <= 60 else 0.8)
    inside, across = cut_between(tree, whole)
    if across is not None and inside < across:
        axes.axhline((inside + across) / 2, color=_hex((200, 60, 40)), linestyle="--", linewidth=1.2)
        cut = f"cut at {(inside + across) / 2:.3f} (dashed)"
    elif across is None:
        cut = "one cluster: not cut"
    else:
        axes.axhspan(across, inside, color=_hex((200, 60, 40)), alpha=0.12, linewidth=0)
        cut = f"cut branch by branch, between {across:.3f} and {inside:.3f} (shaded)"
    if shown <= len(tree):  # nothing is drawn below the lowest branch that is shown, but for the cut
        axes.set_ylim(bottom=0.9 * min(float(tree[-shown + 1, 2]), inside if across is None else min(inside, across)))
    leaves = f"; the top {shown} branches of {len(tree) + 1} images" if shown <= len(tree) else ""
    _titled(
        axes, f"Dendrogram of {date}", f"{len(names)} clusters, {cut}; a colour is a cluster, black are several{leaves}"
    )
    axes.set_ylabel("distance at which two branches merge")
    return _drawn(figure)


def draw_elbow(trials: pa.Table, date: str) -> Image.Image:
    """Within-cluster sum of squares over the number of clusters, with the setting that was taken."""
    rows = _curve(trials, "inertia")
    figure = _figure(10.0, 6.0)
    axes = figure.add_subplot()
    _plot_curve(axes, rows, "inertia")
    axes.set_ylabel("sum of squared distances to the own center")
    _titled(axes, f"Elbow of {date}", _taken(trials))
    return _drawn(figure)


def draw_silhouettes(values: Sequence[Float64s], names: Sequence[str], trials: pa.Table, date: str) -> Image.Image:
    """Silhouettes of the images, cluster by cluster, beside the curve over the numbers of clusters that were tried.

    Args:
        values: For each cluster its images' silhouettes.
        names: Of the clusters.
        trials: ``schemas.TRIALS`` of the date; may have no rows.
        date: For the title.
    """
    known = [row for row in trials.to_pylist() if row["silhouette"] is not None]
    figure = _figure(14.0 if known else 9.0, 8.5)
    axes = figure.add_subplot(1, 2, 1) if known else figure.add_subplot()
    every = np.concatenate(values) if len(values) else np.zeros(0)
    if not len(every) or np.isnan(every).all():
        raise UserError("there are no silhouettes: the date is one cluster")
    if len(values) <= FEW:
        _bars(axes, values, names)
    else:
        _ranked(axes, values)
    axes.axvline(float(np.nanmean(every)), color=_hex((200, 60, 40)), linestyle="--", linewidth=1.2)
    axes.set_xlabel("silhouette of an image, by squared distances: -1 in the wrong cluster, 1 well apart")
    caption = f"{len(names)} clusters, {len(every)} images; dashed: the mean, {np.nanmean(every):.3f}"
    _titled(axes, f"Silhouettes of {date}", caption)
    if known:
        beside = figure.add_subplot(1, 2, 2)
        _plot_curve(beside, _curve(trials, "silhouette"), "silhouette")
        beside.set_ylabel("mean silhouette, by distances")
        _titled(beside, "Settings that were tried", _taken(trials))
    return _drawn(figure)


def draw_trials(trials: pa.Table, date: str) -> Image.Image:
    """Every setting that was tried (the best ``FEW``) with its scores; darker is better within a column."""
    rows = sorted(trials.to_pylist(), key=lambda row: (row["rank"] is None, row["rank"] or 0.0, row["settings"]))
    if not rows:
        raise UserError("nothing was tried: set cluster.choose.by and run, or look at `imagetracks tune`'s clustering")
    shown = rows[:FEW]
    measures = [name for name in MEASURES if any(row[name] is not None for row in rows)]
    columns = ["rank", "num_clusters", "noise_fraction", "largest_fraction", *measures]
    figure = _figure(5.5 + 1.15 * len(columns), 1.6 + 0.3 * len(shown))
    axes = figure.add_subplot()
    shade = np.full((len(shown), len(columns)), np.nan)
    for place, name in enumerate(columns):
        if name in MEASURES or name == "rank":
            values = [None if row["refused"] else row[name] for row in shown]
            shade[:, place] = _goodness(values, name in (*_SMALL_IS_BETTER, "rank"))
    axes.set_facecolor(_hex(PAPER))
    axes.imshow(shade, cmap="Greens", vmin=0, vmax=1.6, aspect="auto")
    for y, row in enumerate(shown):
        for x, name in enumerate(columns):
            weight = "bold" if row["chosen"] else "normal"
            colour = _hex(QUIET) if row["refused"] else _hex(INK)
            axes.text(x, y, _cell(row[name]), ha="center", va="center", fontsize=9, color=colour, weight=weight)
    axes.set_yticks(range(len(shown)), [_setting(row) for row in shown], fontsize=9)
    axes.set_xticks(range(len(columns)), [name.replace("_", "\n") for name in columns], fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    more = f"; the best {len(shown)} of {len(rows)}" if len(rows) > len(shown) else ""
    figure.suptitle(
        f"Settings tried on {date}: bold was taken, grey refused{more}", fontsize=12, x=0.01, ha="left", color=_hex(INK)
    )
    return _drawn(figure)


def _bars(axes: "Axes", values: Sequence[Float64s], names: Sequence[str]) -> None:
    """The classic plot: each cluster's images as lines, sorted, one cluster under the other."""
    total = sum(len(one) for one in values)
    gap = max(1.0, total / 60)
    low = min(0.0, *(float(np.nan_to_num(one).min()) for one in values))
    top = 0.0
    for place, one in enumerate(values):
        ordered = np.sort(np.nan_to_num(one))[::-1]
        rows = top + np.arange(len(ordered))
        axes.barh(rows, ordered, height=1.0, color=_hex(track_colour(place)), linewidth=0)
        text = f"{names[place][:8]} ({len(one)})"
        axes.text(low - 0.02, top + (len(ordered) - 1) / 2, text, ha="right", va="center", fontsize=8, color=_hex(INK))
        top += len(ordered) + gap
    axes.set_xlim(low - 0.35, 1.0)
    axes.set_ylim(top, -gap)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _ranked(axes: "Axes", values: Sequence[Float64s]) -> None:
    """Many clusters: one line a cluster from its worst to its best image, its mean a point, sorted by the mean."""
    order = sorted(values, key=lambda one: -float(np.nan_to_num(one).mean()))
    means = np.array([np.nan_to_num(one).mean() for one in order])
    rows = np.arange(len(order))
    low, high = (np.array([take(np.nan_to_num(one)) for one in order]) for take in (np.min, np.max))
    axes.hlines(rows, low, high, color=_hex((150, 185, 215)), linewidth=max(0.3, 300 / len(order)))
    sizes = np.array([len(one) for one in order])
    axes.scatter(means, rows, s=np.clip(sizes, 3, 60), color=_hex(track_colour(0)), linewidth=0, zorder=3)
    axes.set_ylim(len(order), -1)
    axes.set_ylabel("clusters, the best first (a point is the mean, larger for larger clusters)")
    axes.set_xlim(min(0.0, float(low.min())) - 0.02, 1.0)


def _curve(trials: pa.Table, measure: str) -> list[dict[str, Any]]:
    rows = [row for row in trials.to_pylist() if row[measure] is not None]
    if not rows:
        raise UserError("nothing was tried: set cluster.choose.by and run, or look at `imagetracks tune`'s clustering")
    return sorted(rows, key=lambda row: (row["num_clusters"], row["settings"]))


def _plot_curve(axes: "Axes", rows: Sequence[dict[str, Any]], measure: str) -> None:
    """A line a method and its other keys: what is tried with them shares it."""
    from matplotlib.ticker import MaxNLocator

    lines: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        settings = json.loads(row["settings"])
        kept = [str(settings[key]) for key in ("method", "linkage", "metric") if key in settings]
        lines.setdefault(", ".join(kept) or "tried", []).append(row)
    for place, (name, mine) in enumerate(sorted(lines.items())):
        x, y = [row["num_clusters"] for row in mine], [row[measure] for row in mine]
        axes.plot(x, y, marker="o", markersize=4, linewidth=1.3, color=_hex(track_colour(place)), label=name)
    for row in rows:
        if row["refused"]:
            axes.plot(row["num_clusters"], row[measure], "o", markersize=8, markerfacecolor="none", color=_hex(QUIET))
        if row["chosen"]:
            axes.axvline(row["num_clusters"], color=_hex((200, 60, 40)), linestyle="--", linewidth=1.2)
    if max(row["num_clusters"] for row in rows) > 50:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("clusters found")
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=9)


def _taken(trials: pa.Table) -> str:
    chosen = [row for row in trials.to_pylist() if row["chosen"]]
    refused = sum(row["refused"] is not None for row in trials.to_pylist())
    text = f"dashed: taken, {_setting(chosen[0])}" if chosen else "none taken"
    return text + (f"; ringed: refused ({refused})" if refused else "")


def _setting(row: dict[str, Any]) -> str:
    return setting_text(json.loads(row["settings"]))


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"


def _goodness(values: Sequence[float | None], small: bool) -> Float64s:
    """0 the worst to 1 the best of a column."""
    column = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    column = np.where(np.isfinite(column), column, np.nan) * (-1.0 if small else 1.0)
    if np.isnan(column).all():
        return column
    low, high = np.nanmin(column), np.nanmax(column)
    return np.asarray((column - low) / (high - low if high > low else 1.0))


def _leaf(leaf: int, whole: Int64s, tree: Float64s, names: Sequence[str]) -> str:
    size = 1 if leaf <= len(tree) else int(tree[leaf - len(tree) - 1, 3])
    name = names[whole[leaf]][:8] if whole[leaf] >= 0 else "several"
    return name if size == 1 else f"{name} ({size})"


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor=_hex(PAPER))
    FigureCanvasAgg(figure)
    return figure


def _titled(axes: "Axes", title: str, caption: str) -> None:
    figure, place = axes.get_figure(root=True), axes.get_subplotspec()
    width = (figure.get_figwidth() if figure else 10.0) / (place.get_gridspec().ncols if place else 1)
    lines = textwrap.wrap(caption, max(20, int((width - 1) * _LETTERS)))  # a longer line would push the axes aside
    axes.set_title(title, loc="left", fontsize=14, pad=10 + 14 * len(lines), color=_hex(INK))
    axes.text(0, 1.02, "\n".join(lines), transform=axes.transAxes, fontsize=9.5, color=_hex(QUIET))
    axes.set_facecolor(_hex(PAPER))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=_hex(FAINT), linewidth=0.6)
    axes.set_axisbelow(True)


def _drawn(figure: "Figure") -> Image.Image:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor=figure.get_facecolor())
    return Image.open(stream).convert("RGB")


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
