"""A run that dies at a write, any write: the next run ends with the tables of an undisturbed one."""

import os
import random
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from tests.collections import Collection, small
from tests.crashing import CrashError, SharedDisk
from tests.runtime.runs import run_local, tables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SAMPLED = None if os.environ.get("FULL") else 14
"""Writes at which to die; with FULL=1 all of them."""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return small(tmp_path_factory.mktemp("crashes") / "photos", subjects=2, shots=1)


def run_once(collection: Path) -> None:
    run_local(collection, "crashing:///ws", "resources.rows_per_fragment=3")


def contents() -> dict[str, dict[str, pa.Table]]:
    return tables("crashing:///ws")


def globbed() -> set[str]:
    """What a reader finds by ``date=*/*.parquet`` in any table."""
    assert SharedDisk.disk is not None
    return {path for path in SharedDisk.disk.find("/ws") if path.endswith(".parquet") and "_staging" not in path}


@pytest.fixture(scope="module")
def undisturbed(collection: Collection) -> tuple[dict[str, dict[str, pa.Table]], set[str], int]:
    disk = SharedDisk.fresh()
    run_once(collection.root)
    return contents(), globbed(), disk.changes


def test_a_run_that_dies_at_a_write_is_made_good_by_the_next(
    collection: Collection, undisturbed: tuple[dict[str, dict[str, pa.Table]], set[str], int]
) -> None:
    expected, parts, total = undisturbed
    assert len(parts) > 20
    assert total > 50
    moments = [(change, after) for change in range(1, total + 1) for after in (False, True)]
    for change, after in random.Random(0).sample(moments, SAMPLED or len(moments)):
        SharedDisk.fresh().arm(change, after)
        with suppress(CrashError):
            run_once(collection.root)
        SharedDisk.reboot()
        run_once(collection.root)
        assert contents() == expected, (change, after)
        assert globbed() == parts, (change, after)
        left = [path for path in SharedDisk.disk.find("/ws") if "_staging" in path]
        assert left == [], (change, after)
