"""The whole default config as YAML with a comment over each key, generated from the models."""

from collections.abc import Iterator

from pydantic import BaseModel

from pipeline.field_types import describe, section_of
from pipeline.plain_yaml import dump

WIDTH = 110
"""Columns after which a comment is broken."""


def render_config(model: BaseModel) -> str:
    """YAML of a model's values: over each key its description and what it takes, sections set off by a blank line.

    Read back, the text gives the same model; of the default model, it is the documentation of every key.
    """
    return "\n".join(_lines(model, "")).lstrip("\n") + "\n"


def _lines(model: BaseModel, indent: str) -> Iterator[str]:
    values = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        section = section_of(field)
        if section is None:
            yield from _comment(f"{field.description or ''} ({describe(field)})", indent)
            yield from (f"{indent}{line}" for line in dump({name: values[name]}).split("\n"))
        else:
            yield ""
            yield from _comment(field.description or section.__doc__ or "", indent)
            yield f"{indent}{name}:"
            yield from _lines(getattr(model, name), indent + "  ")


def _comment(text: str, indent: str) -> Iterator[str]:
    line = f"{indent}#"
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH and not line.endswith("#"):
            yield line
            line = f"{indent}#"
        line += f" {word}"
    yield line
