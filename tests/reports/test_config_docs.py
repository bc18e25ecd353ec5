"""The printed config of any model."""

from typing import Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from pipeline.params import Params
from pipeline.reports.config_docs import WIDTH, render_config
from pipeline.settings import read_settings


class Inner(Params):
    """A section."""

    text: str = Field("", description="Any text.")
    items: tuple[str, ...] = Field((), description="A list that has a description so long that it does not " * 3)
    weights: dict[str, float] = Field(default_factory=dict, description="Weights.")
    number: float | None = Field(None, ge=0, description="A number.")


class Outer(Params):
    method: Literal["a", "b"] = Field("a", description="Which one.")
    inner: Inner = Field(default_factory=Inner, description="Where it is.")


def test_as_it_is_printed():
    lines = render_config(Outer()).splitlines()
    assert lines[:7] == [
        "# Which one. (one of a, b)",
        "method: a",
        "",
        "# Where it is.",
        "inner:",
        "  # Any text. (text)",
        "  text: ''",
    ]
    assert max(map(len, lines)) <= WIDTH


@settings(max_examples=40)
@given(
    st.builds(
        Inner,
        text=st.text(max_size=20),
        items=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        weights=st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        number=st.none() | st.floats(0, 1e300),
    )
)
def test_what_is_printed_reads_back(tmp_path_factory, inner):
    file = tmp_path_factory.mktemp("config") / "c.yaml"
    file.write_bytes(render_config(Outer(inner=inner)).encode("utf-8"))
    assert read_settings(Outer, str(file), []) == Outer(inner=inner)


@pytest.mark.parametrize("text", ["null", "1e3", "04:00", "- a", "# no comment", "a: b", "{x}", "007", "yes"])
def test_text_that_looks_like_something_else_is_quoted(text):
    printed = render_config(Outer(inner=Inner(text=text)))
    assert yaml.safe_load(printed)["inner"]["text"] == text
