"""The whole default config as YAML with a comment over each key, generated from the models."""

from collections.abc import Iterator

import yaml
from pydantic import BaseModel

from pipeline.field_types import describe, section_of

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
            yield from (f"{indent}{line}" for line in _entry(name, values[name]))
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


def _entry(name: str, value: object) -> list[str]:
    # Lists and mappings on one line; PyYAML's None would put braces round a plain key and value too.
    style = None if isinstance(value, list | dict) else False
    text = yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=True, default_flow_style=style, width=10**6)
    return text.rstrip("\n").split("\n")
