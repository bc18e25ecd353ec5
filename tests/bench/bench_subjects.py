"""How often the interval for the number of subjects on a date covers the number that were there, in simulated worlds.

    python -m tests.bench.bench_subjects [WORLD...]

A subject was there on a date if it was seen on it, or before and after it within `link.max_gap`.  Linked by the stages'
own functions; two worlds of each kind.  `tracks` is how far the number of tracks seen is from the truth, on average.
"""

import sys

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.stages.link import LinkParams
from pipeline.stages.subjects import COVERED, subjects
from tests.bench.asking import linked
from tests.bench.worlds import WORLDS, Day, generate

SEEDS = 2
REACH = LinkParams().max_gap + 1
Bools = npt.NDArray[np.bool_]


def there(days: list[Day]) -> list[int]:
    """Subjects on each date."""
    found = [set(day.image_subject.tolist()) for day in days]
    last: dict[int, int] = {}
    for number, day in enumerate(days):
        for subject in set(day.image_subject.tolist()):
            since = last.get(subject, number)
            if number - since <= REACH:
                for between in found[since + 1 : number]:
                    between.add(subject)
            last[subject] = number
    return [len(one) for one in found]


def estimated(world: str, seed: int) -> tuple[pa.Table, list[int]]:
    """``SUBJECTS`` of a world, and the truth."""
    days = list(generate(WORLDS[world], seed))
    return subjects(linked(days, []).links), there(days)


def covered(world: str, seed: int) -> Bools:
    """Of each date, whether the truth lies in the interval."""
    return within(*estimated(world, seed))


def within(found: pa.Table, truth: list[int]) -> Bools:
    low, high = (np.array(found[name].to_pylist()) for name in ("low", "high"))
    return np.asarray((low <= truth) & (truth <= high))


def main() -> None:
    print(f"{__doc__}\n{'':20s} covered (wanted {COVERED:.2f})  subjects  error  tracks  width")
    for world in sys.argv[1:] or WORLDS:
        rows = []
        for seed in range(SEEDS):
            found, truth = estimated(world, seed)
            columns = {name: np.array(found[name].to_pylist()) for name in ("subjects", "tracks", "low", "high")}
            errors = [columns[name] - truth for name in ("subjects", "tracks")]
            wide = columns["high"] - columns["low"]
            rows.append([one.mean() for one in (within(found, truth), np.array(truth), *errors, wide)])
        inside, mean, error, tracks, width = np.mean(rows, axis=0)
        print(f"{world:20s} {inside:7.3f} {mean:23.1f} {error:6.1f} {tracks:7.1f} {width:6.1f}", flush=True)


if __name__ == "__main__":
    main()
