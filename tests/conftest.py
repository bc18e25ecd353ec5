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
