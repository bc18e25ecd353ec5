"""What holds for all tests."""

import re
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("imagetracks", deadline=None)  # a busy machine is no failure
settings.load_profile("imagetracks")

LEFT_OUT = re.compile(r"^pytestmark = .*pytest\.mark\.(slow|ray)\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import modules of which every test is left out anyway: their imports take as long as the unit tests."""
    if collection_path.suffix != ".py" or not config.option.markexpr.startswith("not slow"):
        return None
    return True if LEFT_OUT.search(collection_path.read_text()) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a run on Ray come first: they last longest, and the one that came last would be waited for."""
    on_ray = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: item.path not in on_ray)
