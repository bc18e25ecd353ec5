"""Photographs with known truth that lie beside the project, where they are there: `../shared/data`."""

import csv
from pathlib import Path

DATA = Path(__file__).parents[2] / "shared" / "data"


def rows_of(name: str) -> list[dict[str, str]]:
    """The manifest of a set, in its order; paths are below ``DATA / name``."""
    with (DATA / name / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))
