"""What a field of a pydantic model takes, in words: for error messages and for the comments of the default config."""

import types
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    date: "a day (YYYY-MM-DD)",
    type(None): "null",
}
_LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a section, else None."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def describe(field: FieldInfo) -> str:
    """The values that a field takes, e.g. ``a whole number ≥ 1, or null``."""
    limits = _limits(field.metadata)
    choices = [_choice(one, limits) for one in _members(field.annotation)]
    return ", or ".join(choices)


def _members(annotation: Any) -> Sequence[Any]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _choice(annotation: Any, limits: str) -> str:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        own = _limits([item for info in metadata for item in getattr(info, "metadata", [info])])
        return _choice(inner, own or limits)
    if get_origin(annotation) is Literal:
        values = [str(value) for value in get_args(annotation)]
        return values[0] if len(values) == 1 else "one of " + ", ".join(values)
    origin = get_origin(annotation) or annotation
    if origin in (tuple, list, frozenset, set, Sequence):
        items = get_args(annotation)
        length = f" of {len(items)}" if origin is tuple and Ellipsis not in items else ""
        return f"a list{length}" + (f", each {_choice(items[0], '')}" if items else "")
    if origin in (dict, Mapping):
        return "a mapping"
    words = _WORDS.get(origin, getattr(origin, "__name__", str(origin)))
    return f"{words} {limits}" if limits and annotation is not type(None) else words


def _limits(metadata: Sequence[Any]) -> str:
    found = []
    for item in metadata:
        found += [f"{sign} {getattr(item, name)}" for name, sign in _LIMITS.items() if hasattr(item, name)]
        pattern = getattr(item, "pattern", None)
        if pattern:
            found.append(f"that matches {pattern}")
    return " and ".join(found)
