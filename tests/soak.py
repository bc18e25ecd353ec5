"""Kill runs at random moments, again and again: ``python -m tests.soak 20 [seed]``.

Each round is a new workspace; a run of it is killed (its driver, its node's raylet, or a worker, whatever it does) up
to three times, then a run ends undisturbed, and every table has to be equal to those of a run that nobody disturbed.
"""

import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tests.collections import AS_THEY_ARE, TINY, small
from tests.killing import Killable, assert_undisturbed, disturbed
from tests.runtime.runs import run_local, tables

SETTINGS = (AS_THEY_ARE, "resources.num_cpus=2", "resources.rows_per_fragment=3")
_MOST_KILLS = 3


def finish(photos: Path, workspace: Path) -> float:
    """Seconds of a run on Ray that nobody disturbs."""
    started = time.monotonic()
    with Killable(photos, workspace, SETTINGS) as run:
        assert run.wait() == 0, run.said
    return time.monotonic() - started


def one_round(photos: Path, workspace: Path, rng: random.Random) -> tuple[list[str], float]:
    """What was killed, and the seconds of the run that ended the round, the last kill in it or before it."""
    killed: list[str] = []
    for _ in range(rng.randint(1, _MOST_KILLS)):
        started = time.monotonic()
        run = Killable(photos, workspace, SETTINGS, environment={"DECODE_SLEEP": "0.1", "STAGE_SLEEP": "0.3"})
        code = disturbed(run, rng)
        assert run.killed
        killed += run.killed
        if code == 0:  # it went on without what was killed
            return killed, time.monotonic() - started
    return killed, finish(photos, workspace)


def main(rounds: int, seed: int) -> None:
    """Do so many rounds and print a Markdown table."""
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        photos = small(root / "photos", subjects=4, shots=3, size=TINY).root
        run_local(photos, root / "undisturbed", AS_THEY_ARE)
        expected = tables(root / "undisturbed", AS_THEY_ARE)
        alone = finish(photos, root / "alone")
        assert_undisturbed(root / "alone", expected)
        for number in range(rounds):
            workspace = root / f"ws{number}"
            killed, seconds = one_round(photos, workspace, random.Random((seed << 20) + number))
            assert_undisturbed(workspace, expected)
            print(f"round {number}: {'; '.join(killed)}: equal, {seconds:.0f} s", flush=True)
            for one in killed:
                found[one.split(" in ")[0]].append(seconds)
            shutil.rmtree(workspace)
    print(f"\n{rounds} rounds, every table equal; undisturbed: {alone:.0f} s\n")
    print("| killed | times | the run that then ended, seconds (longest) |\n|---|---|---|")
    for kind, seconds_of in sorted(found.items()):
        print(f"| {kind} | {len(seconds_of)} | {max(seconds_of):.0f} |")


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["20"])[0]), int((sys.argv[2:] or ["0"])[0]))
