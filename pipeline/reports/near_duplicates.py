"""Near-duplicates as a table for people."""

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.reports.text import DASH, count, table

SHOWN = 20
"""Pairs that are listed."""


def render(pairs: pa.Table, threshold: float, burst_seconds: float) -> RenderableType:
    """How many there are, and the first of them."""
    bursts = pc.sum(pairs["burst"]).as_py() or 0
    same = pc.sum(pairs["same_bytes"]).as_py() or 0
    line = Text(
        f"{count(pairs.num_rows)} pairs of one date with a cosine of {threshold:g} or more: {count(bursts)} of bursts "
        f"(within {burst_seconds:g} s), {count(same)} with the same bytes"
    )
    rows = [
        (
            str(one["date"]),
            one["image_id"][:10],
            one["other_image_id"][:10],
            f"{one['similarity']:.4f}",
            DASH if one["seconds_apart"] is None else f"{one['seconds_apart']:.0f}",
            ", ".join(word for word, so in (("burst", one["burst"]), ("same bytes", one["same_bytes"])) if so),
        )
        for one in pairs.slice(0, SHOWN).to_pylist()
    ]
    if not rows:
        return line
    columns = ("date", "image", "other", "cosine", "seconds", "")
    found = table("", columns, rows, text_columns=3)
    more = pairs.num_rows - len(rows)
    return Group(line, found, Text(f"and {count(more)} more (--out writes all)")) if more else Group(line, found)
