"""The bars that linking has to clear, each with its figure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan

from pipeline.compute.scoring.reliability import Reliability
from tests.bench.following import PARAMS, Outcome, pooled
from tests.bench.worlds import WORLDS

WANTED = PARAMS.false_link_rate
SETS = {"bananas, clustered": 0.99, "emoji, clustered": 0.93, "sample, clustered": 0.95}
"""Least IDF1 of the sets, clustered as the pipeline does by default."""


@dataclass(frozen=True)
class Result:
    """Of one set or world: what the linker did, what the oracle did, and the IDF1 of the others."""

    name: str
    mine: Outcome
    oracle: Outcome
    within: float
    others: dict[str, float]

    @cached_property
    def reliability(self) -> Reliability:
        found = self.mine.reliability()
        assert found is not None, "a world without a cluster"
        return found

    @property
    def calibration_error(self) -> float:
        return self.reliability.error

    @property
    def recall_ratio(self) -> float:
        return self.mine.recall() / max(self.oracle.recall(), 1e-9)

    def figures(self) -> dict[str, object]:
        mine, oracle = self.mine, self.oracle
        return {
            "name": self.name,
            "clusters": len(mine.subject),
            "false": mine.false_link_rate(),
            "false_interval": mine.false_interval(),
            "false_by_majority": mine.false_by_majority(),
            "recall": mine.recall(),
            "recall_interval": mine.recall_interval(),
            "ece": self.calibration_error,
            "idf1": mine.idf1(),
            "idf1_interval": mine.idf1_interval(),
            "oracle_false": oracle.false_link_rate(),
            "oracle_false_by_majority": oracle.false_by_majority(),
            "oracle_recall": oracle.recall(),
            "within": self.within,
            "others": self.others,
        }


@dataclass(frozen=True)
class Bar:
    """``figure`` must be at most (or, with ``least``, at least) ``limit``; ``reach`` is what can be had at all."""

    name: str
    what: str
    figure: float
    limit: float
    least: bool = False
    reach: str = ""

    @property
    def passed(self) -> bool:
        return self.figure >= self.limit if self.least else self.figure <= self.limit


def bars(results: Sequence[Result]) -> list[Bar]:
    return [bar for result in results for bar in _of_one(result)] + list(_of_all(results))


def show(found: Sequence[Bar]) -> None:
    print("\nBars")
    for bar in found:
        sign = ">=" if bar.least else "<="
        verdict = "pass" if bar.passed else "FAIL"
        print(f"  {verdict}  {bar.name:24s} {bar.what:62s} {bar.figure:7.4f} {sign} {bar.limit:.4f}{bar.reach}")
    print(f"  {sum(bar.passed for bar in found)} of {len(found)} passed")


def _of_one(result: Result) -> Iterator[Bar]:
    if result.name in WORLDS:
        yield from _of_world(result)
    if result.name in SETS:
        yield Bar(result.name, "IDF1", result.mine.idf1(), SETS[result.name], least=True)
    others = {name: value for name, value in result.others.items() if name != "oracle" and not isnan(value)}
    best = max(others, key=others.__getitem__)
    yield Bar(
        result.name, f"IDF1 against the best that is no oracle: {best}", result.mine.idf1(), others[best], least=True
    )


def _of_world(result: Result) -> Iterator[Bar]:
    mine, number = result.mine, result.name.split()[0]
    yield Bar(result.name, "false links, upper end", mine.false_interval()[1], 2 * WANTED)
    if mine.known.any():
        what = "recall against the oracle's"
        yield Bar(result.name, what, result.recall_ratio, 0.95, least=True, reach=_reach(result))
    if number == "1":
        yield Bar(result.name, "false links a cluster", mine.false_links(), 0.03)
    if number in ("3", "4"):
        yield Bar(result.name, "false among links of probability > 0.9", mine.confident_wrong(0.9), WANTED)


def _reach(result: Result) -> str:
    """Of the thresholds chosen with the labels, what those reach whose false links are within the bar."""
    if isnan(result.within):
        return "  (no threshold has so few false links)"
    return f"  (thresholds with so few false links: {result.within / max(result.oracle.recall(), 1e-9):.4f})"


def _of_all(results: Sequence[Result]) -> Iterator[Bar]:
    sweep = [one for one in results if one.name.split()[0] == "2"]
    if sweep:
        least = min(sweep, key=lambda one: one.recall_ratio)
        yield Bar(
            "2, the whole sweep",
            f"recall against the oracle's; least: {least.name}",
            least.recall_ratio,
            0.9,
            least=True,
        )
    worlds = [one.mine for one in results if one.name in WORLDS]
    if worlds:
        reliability = pooled(worlds).reliability()
        assert reliability is not None
        yield Bar("all worlds", "expected calibration error, pooled", reliability.error, 0.05)
