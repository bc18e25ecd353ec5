"""The extractors that there are, as a table for people."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.compute.extractors.listing import Listed
from pipeline.reports.text import table


def render_extractors(listed: Iterable[Listed]) -> RenderableType:
    """A row an extractor, and where weights are looked for."""
    found = list(listed)
    rows = ((one.name, str(one.dimensions), f"{one.width}x{one.height}", "yes" if one.there else "no") for one in found)
    columns = ("fingerprint.extractor", "dimensions", "input", "weights here")
    folders = sorted({str(one.weights.parent) for one in found if one.weights is not None})
    told = [Text(f"Weights that are not here are downloaded on first use, to {folder}") for folder in folders]
    return Group(table("Extractors", columns, rows), *told)
