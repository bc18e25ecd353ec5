"""What a person sees while a run goes on: bars in a terminal, lines in a log."""

import io
import re

from rich.console import Console

from pipeline.runtime.progress import BarReporter, LineReporter, _rate, reporter_for


def test_a_terminal_gets_a_bar_a_stage_with_count_rate_failures_and_time() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=130, legacy_windows=False, color_system=None)
    reporter = reporter_for(console)
    assert isinstance(reporter, BarReporter)
    with reporter:
        reporter.start("images", 10, "images")
        reporter.advance(4, 1)
        reporter._progress.refresh()
        reporter.advance(6)
        reporter.finish()
    shown = re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", screen.getvalue())
    assert re.search(r"images .* 4/10 +images +\d+/s 1 failed \d+:\d\d left", shown)
    assert re.search(r"images .* 10/10 +images +\d+/s 1 failed in \d+:\d\d", shown)


def test_a_log_gets_lines_without_control_characters() -> None:
    log = io.StringIO()
    reporter = reporter_for(Console(file=log, width=80))
    assert isinstance(reporter, LineReporter)
    with reporter:
        reporter.start("images", 10, "images")
        reporter.advance(10, 2)
        reporter.finish()
        reporter.start("projection", 1, "models")
    first, last, one = log.getvalue().splitlines()
    assert (first, one) == ("images: 10 images", "projection: 1 model")
    assert re.fullmatch(r"images: 10 of 10 images, \d+/s, 2 failed, \d+\.\d s", last)


def test_a_slow_stage_has_a_rate_too() -> None:
    assert [_rate(one) for one in (36.4, 2.44, 0.2, 0.001)] == ["36/s", "2.4/s", "12/min", "4/h"]
