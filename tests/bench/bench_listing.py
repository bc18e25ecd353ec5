"""What listing and planning cost the driver: a million keys from an inventory, memory and time, no image read.

    python -m tests.bench.bench_listing [--keys 100000 300000 1000000]

Prints the growth of the process's peak memory for each number of keys: of the listing, of planning a first run
(everything is new) and of planning the next (nothing is).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import load_config
from pipeline.runtime.blocks import Blocks
from pipeline.runtime.comparing import NAME, compare, named, with_versions
from pipeline.runtime.reading import ROWS_PER_MAP, units_of
from pipeline.runtime.sources import list_collection
from tests.bench.measuring import peak_mib


def write_inventory(path: Path, keys: int) -> None:
    rows = pa.table(
        {
            "bucket": ["photographs"] * keys,
            "key": [
                f"archive/2024/{n % 12 + 1:02}/{n % 28 + 1:02}/camera{n % 40:02}/IMG_{n:09}.jpg" for n in range(keys)
            ],
            "size": [2_000_000 + n for n in range(keys)],
            "e_tag": [f"{n:032x}" for n in range(keys)],
        }
    )
    pq.write_table(rows, path)


def measure(path: Path) -> None:
    """In a process of its own: list, plan a first run, plan the next; a line each."""
    params = load_config(None, [f"ingest.inventory={path}"]).ingest
    before, started = peak_mib(), time.process_time()
    listing, _, scope = list_collection("s3://photographs/archive", None, params)

    def say(what: str, keys: int) -> None:
        print(f"  {what:10}{keys:>9} keys {peak_mib() - before:7.0f} MiB {time.process_time() - started:6.1f} CPU-s")

    say("listed", listing.num_rows)
    versioned = listing.mapped(lambda rows: with_versions(named(rows, params)))
    del listing
    plan = compare(known_of(versioned, 0), versioned, scope)
    given = 0
    for rows in plan.listing.chosen(plan.work, ROWS_PER_MAP):
        units = list(units_of(rows, 256))  # as an engine is given them
        given += sum(unit.num_rows for unit in units)
        del rows, units
    say("first run", given)
    plan = compare(known_of(versioned, versioned.num_rows), versioned, scope)
    say("next run", int(plan.work.sum()))


def known_of(listing: Blocks, rows: int) -> Blocks:
    """What a workspace would hold after a run over the first ``rows`` of a listing, in the order of ``images``."""
    held = listing.mapped(lambda block: block.select(["image_id", "object_version", NAME]))
    known = Blocks(_kept(held.schema.empty_table()).schema)
    for start in range(0, rows, ROWS_PER_MAP):
        mask = np.zeros(listing.num_rows, np.bool_)
        mask[start : min(rows, start + ROWS_PER_MAP)] = True
        for block in held.chosen(mask, ROWS_PER_MAP):
            known.add(_kept(block.sort_by("image_id")))
    return known


def _kept(rows: pa.Table) -> pa.Table:
    rows = rows.append_column("reason", pa.nulls(rows.num_rows, pa.string()))
    rows = rows.append_column("vanished", pa.array([False] * rows.num_rows, pa.bool_()))
    return rows.append_column("date", pa.array(["2024-01-01"] * rows.num_rows, pa.string()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--measure", type=Path)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        for keys in options.keys:
            path = Path(folder) / f"{keys}.parquet"
            write_inventory(path, keys)
            print(f"{keys} keys", flush=True)
            command = [sys.executable, "-m", "tests.bench.bench_listing", "--measure", str(path)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
