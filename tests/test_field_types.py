"""What a field takes, in words."""

from datetime import date
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from pipeline.field_types import describe, section_of


class Section(BaseModel):
    pass


class Fields(BaseModel):
    whole: int = Field(1, ge=1, le=2**20)
    maybe: float | None = Field(None, gt=0)
    text: str = ""
    flag: bool = False
    one_of: Literal["a", "b"] = "a"
    mixed: Annotated[int, Field(ge=16)] | Literal["original"] = 16
    many: tuple[str, ...] = ()
    range_: tuple[date, date] | None = None
    table: dict[str, float] = {}
    name: str = Field("x", pattern="^x$")
    section: Section = Section()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("whole", "a whole number ≥ 1 and ≤ 1048576"),
        ("maybe", "a number > 0, or null"),
        ("text", "text"),
        ("flag", "true or false"),
        ("one_of", "one of a, b"),
        ("mixed", "a whole number ≥ 16, or original"),
        ("many", "a list, each text"),
        ("range_", "a list of 2, each a day (YYYY-MM-DD), or null"),
        ("table", "a mapping"),
        ("name", "text that matches ^x$"),
    ],
)
def test_in_words(name, words):
    assert describe(Fields.model_fields[name]) == words


def test_sections_are_models():
    assert section_of(Fields.model_fields["section"]) is Section
    assert section_of(Fields.model_fields["text"]) is None
