"""What a stage is: a frozen value that says which tables it reads and writes, and the function in between.

The runtime decides where and when a stage runs and what is stale.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from pipeline.schemas import Table

Tables = Mapping[str, Any]
"""Name -> Arrow table; for ``before`` and ``after`` a list of (date, table), dates ascending; None where optional."""

When = Callable[[Any], bool]
"""Of the whole config, or a section of it."""


def always(_: Any) -> bool:
    """Under any config."""
    return True


@dataclass(frozen=True)
class Given:
    """What a stage's function works with: a date's tables, its parameters, and the threads and GPUs that it may use."""

    date: str
    tables: Tables
    params: Any
    threads: int = 1
    gpu: bool = False


Run = Callable[[Given], tuple[pa.Table, ...]]


@dataclass(frozen=True)
class Read:
    """A table a stage reads, and only these columns of it: a change elsewhere does not make the stage stale.

    ``where``: the ``same`` date; the current ``model``; the ``previous`` date; up to ``link.max_gap + 1`` dates
    ``before`` or ``after`` it; up to ``link.stitch_gap`` dates ``long before``; the one partition of a table without
    dates (``current``); the ``names`` that its tracks have (the whole registry is read, but only another name of a
    track of this date makes the stage stale); ``told later``: this date and the one ``link.lag`` dates after it, on
    which it is told what began on this one; ``taken up``: the last dates of the tracks that are taken up on this one.
    ``optional``: the stage does without; no rows are then the same as no partition.  ``when``: whether it is read under
    a config; what is not read is in no digest.
    """

    name: str
    table: Table
    columns: tuple[str, ...]
    where: Literal[
        "same", "model", "previous", "before", "long before", "after", "names", "current", "told later", "taken up"
    ] = "same"
    optional: bool = False
    when: When = always


@dataclass(frozen=True)
class Stage:
    """A date's work.  The first read's dates are the stage's; ``undated`` says whether the undated partition is one.

    ``section`` names its parameters in the config, None if it has none.  ``version`` is raised when the function's
    results change: everything it wrote is then stale.  ``rows_as``: a written table that has a row for each row of
    one that is read, checked at every commit.  ``wanted`` says of the parameters whether runs do the stage at all.
    """

    name: str
    version: int
    section: str | None
    reads: tuple[Read, ...]
    writes: tuple[Table, ...]
    run: Run
    rows_as: Mapping[str, str] = field(default_factory=dict)
    undated: bool = True
    wants_gpu: bool = False
    wanted: When = always

    @property
    def in_order(self) -> bool:
        """A fold: a date needs what this stage wrote for the dates before it."""
        return any(read.where in ("before", "previous") and read.table in self.writes for read in self.reads)
