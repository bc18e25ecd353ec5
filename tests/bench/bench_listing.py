"""What listing and planning cost the driver: a million keys from an inventory, memory and time, no image read.

    python -m tests.bench.bench_listing [--keys 1000000]

Prints the growth of the process's peak memory for a tenth of the keys and for all of them: of the listing, of planning
a first run (everything is new) and of planning the next (nothing is).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import load_config
from pipeline.runtime import ingest
from pipeline.runtime.reading import units_of
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
    listing = list_collection("s3://photographs/archive", None, params).objects

    def say(what: str, keys: int) -> None:
        print(f"  {what:10}{keys:>9} keys {peak_mib() - before:7.0f} MiB {time.process_time() - started:6.1f} CPU-s")

    say("listed", listing.num_rows)
    listing = ingest._with_versions(ingest.named(listing, params))
    known = ingest.named(listing.select(["image_id", "object_version", "uri"]).slice(0, 0), params)
    known = known.append_column("reason", pa.array([], pa.string())).append_column("vanished", pa.array([], pa.bool_()))
    work = ingest._work(listing, known)
    units = list(units_of(work, 256))  # as the engine is given them
    say("first run", sum(unit.num_rows for unit in units))
    known = listing.select(["image_id", "object_version", "name"])
    known = known.append_column("reason", pa.nulls(len(known), pa.string()))
    known = known.append_column("vanished", pa.array([False] * len(known), pa.bool_()))
    work = ingest._work(listing, known)
    say("next run", work.num_rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--measure", type=Path)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        for keys in (options.keys // 10, options.keys):
            path = Path(folder) / f"{keys}.parquet"
            write_inventory(path, keys)
            print(f"{keys} keys")
            command = [sys.executable, "-m", "tests.bench.bench_listing", "--measure", str(path)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
