"""The commands about a date's clusters; ``pipeline.cli`` registers them."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline import schemas
from pipeline.console import ConfigOption, SetOption, WorkspaceOption, context_of, open_context, out, parse_dates
from pipeline.errors import UserError

CLUSTER_KINDS = ("clusters", "map", "dendrogram", "elbow", "silhouette", "trials")
EngineOption = Annotated[str, typer.Option("--engine", help="local: this process only, or ray.")]


def tune(
    workspace: WorkspaceOption,
    dates: Annotated[
        str | None, typer.Option("--dates", metavar="A:B", help="Dates to try on; default: five, evenly spaced.")
    ] = None,
    file: Annotated[Path, typer.Option("--out", help="New file for the config with the best settings.")] = Path(
        "tuned.yaml"
    ),
    engine: EngineOption = "local",
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Try settings of the clustering on a few dates, and write the best ones as a config.

    What is tried and what decides is the section cluster.choose; without one, auto and some similarities.
    """
    from pipeline.config import load_config
    from pipeline.reports.config_docs import render_config
    from pipeline.reports.tuning import render_tuning
    from pipeline.runtime.tune import tune as try_all
    from pipeline.runtime.tune import tuned, tuning_config

    if file.exists():
        raise UserError(f"--out {file}: there is such a file already; give another, or move it")
    settings = load_config(config, set_ or [])
    context = context_of(workspace, tuning_config(settings), engine)
    context.dates = parse_dates(dates)
    tried = try_all(context)
    out.print(render_tuning(tried))
    try:
        file.write_text(render_config(tuned(settings, tried[0])), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {file}: cannot be written ({error.strerror}); choose another place") from None
    out.print(f"Config: {file}", markup=False, soft_wrap=True)
    out.print(f"All trials: {context.table_uri(schemas.TRIALS)}/date=*/*.parquet", markup=False, soft_wrap=True)


def map_(
    workspace: WorkspaceOption,
    method: Annotated[
        str | None, typer.Option("--method", help="tsne or umap; default: the config's, or tsne.")
    ] = None,
    engine: EngineOption = "local",
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Make the two-dimensional map of the whole collection (table collection_map)."""
    from pipeline.config import load_config
    from pipeline.runtime.collection_map import map_collection
    from pipeline.runtime.context import writing

    overrides = [*(set_ or []), *([f"map.method={method}"] if method else [])]
    settings = load_config(config, overrides)
    if settings.map.method == "none":
        settings = load_config(config, [*overrides, "map.method=tsne"])
    context = context_of(workspace, settings, engine)
    with writing(context):
        made = map_collection(context)
    out.print("Map made." if made else "Nothing to do: the map is up to date.")
    out.print(f"{context.table_uri(schemas.COLLECTION_MAP)}/date=*/*.parquet", markup=False, soft_wrap=True)


def why(
    workspace: WorkspaceOption,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image_id, or the end of a path.")],
    other: Annotated[str, typer.Argument(metavar="IMAGE", help="Another.")],
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Say why two images are together or apart: neighbours, similarities, the cut, the links."""
    from pipeline.runtime.why import why as explain

    for line in explain(open_context(workspace, config, set_), image, other):
        out.print(line, markup=False, soft_wrap=True)


def picture_of_clusters(
    workspace: str,
    file: Path,
    kind: str,
    dates: str | None,
    shown: tuple[str, str],
    settings: tuple[str | None, list[str] | None],
) -> None:
    """Draw a picture of one of ``CLUSTER_KINDS``; ``shown``: the page, and what colours a map."""
    from pipeline.runtime.cluster_gallery import ClusterView, draw_clusters

    page, colour = shown
    if kind not in CLUSTER_KINDS:
        raise UserError(f"--kind {kind}: expected one of tracks, {', '.join(CLUSTER_KINDS)}")
    if not page.isdecimal():
        raise UserError(f"--page {page}: expected a number from 1")
    if colour not in ("cluster", "track"):
        raise UserError(f"--colour {colour}: expected cluster or track")
    context = open_context(workspace, *settings)
    context.dates = parse_dates(dates)
    draw_clusters(context, kind, file, ClusterView(int(page), colour))
    out.print(f"Picture: {file}", markup=False, soft_wrap=True)
