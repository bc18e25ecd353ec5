"""Progress for people: one live bar a stage in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

_SECONDS_BETWEEN_LINES = 10.0


class BarReporter:
    """A bar for each stage: done of total, a second, failed, time left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<21}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[failed]}"),
            TextColumn("{task.fields[clock]}"),
            console=console,
        )
        self._task: TaskID | None = None
        self._started, self._failed = 0.0, 0

    def __enter__(self) -> "BarReporter":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, stage: str, total: int, unit: str) -> None:
        """See :class:`pipeline.runtime.context.Reporter`."""
        self._started, self._failed = time.monotonic(), 0
        self._task = self._progress.add_task(stage, total=total, unit=unit, rate="", failed="", clock="")

    def advance(self, done: int, failed: int = 0) -> None:
        """See :class:`pipeline.runtime.context.Reporter`."""
        if self._task is None:
            return
        self._failed += failed
        self._progress.advance(self._task, done)
        self._tell(self._task, last=False)

    def _tell(self, number: TaskID, last: bool) -> None:
        task = self._progress.tasks[number]
        seconds = max(1e-3, time.monotonic() - self._started)
        rate, left = task.completed / seconds, (task.total or 0) - task.completed
        clock = f"in {_clock(seconds)}" if last else f"{_clock(left / rate)} left" if rate else ""
        failed = f"[red]{self._failed} failed" if self._failed else "0 failed"
        self._progress.update(number, rate=_rate(rate), failed=failed, clock=clock)

    def finish(self) -> None:
        """See :class:`pipeline.runtime.context.Reporter`."""
        if self._task is not None:
            total = self._progress.tasks[self._task].completed
            self._progress.update(self._task, total=total, completed=total)
            self._tell(self._task, last=True)
        self._task = None


def _counted(unit: str, number: int) -> str:
    """The unit, in the singular if there is one: ``1 model``, ``1 batch``."""
    return unit if number != 1 else unit.removesuffix("es" if unit.endswith("ches") else "s")


def _rate(per_second: float) -> str:
    """Two digits or more, whatever the size: ``36/s``, ``2.4/s``, ``12/min``."""
    if per_second >= 1:
        return f"{per_second:.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s"
    return f"{60 * per_second:.0f}/min" if 60 * per_second >= 1 else f"{3600 * per_second:.0f}/h"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class LineReporter:
    """A line when a stage starts and ends, and one every ten seconds between."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._stage, self._unit, self._total = "", "", 0
        self._done, self._failed, self._started, self._shown = 0, 0, 0.0, 0.0

    def __enter__(self) -> "LineReporter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def start(self, stage: str, total: int, unit: str) -> None:
        """See :class:`pipeline.runtime.context.Reporter`."""
        self._stage, self._unit, self._total = stage, unit, total
        self._done, self._failed = 0, 0
        self._started = self._shown = time.monotonic()
        self._write(f"{stage}: {total} {_counted(unit, total)}")

    def advance(self, done: int, failed: int = 0) -> None:
        """See :class:`pipeline.runtime.context.Reporter`."""
        self._done += done
        self._failed += failed
        if time.monotonic() - self._shown >= _SECONDS_BETWEEN_LINES:
            self._shown = time.monotonic()
            self._write(self._line(eta=True))

    def finish(self) -> None:
        """See :class:`pipeline.runtime.context.Reporter`."""
        self._write(self._line(eta=False))

    def _line(self, eta: bool) -> str:
        seconds = max(1e-3, time.monotonic() - self._started)
        rate = self._done / seconds
        counted = _counted(self._unit, self._total)
        line = f"{self._stage}: {self._done} of {self._total} {counted}, {_rate(rate)}, {self._failed} failed"
        if eta and rate > 0:
            return f"{line}, {max(0, self._total - self._done) / rate:.0f} s left"
        return f"{line}, {seconds:.1f} s"


def reporter_for(console: Console) -> BarReporter | LineReporter:
    """Bars where someone looks on, lines in logs and pipes."""
    if console.is_terminal:
        return BarReporter(console)
    return LineReporter(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
