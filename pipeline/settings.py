"""Settings from a YAML file and ``--set key=value`` into a pydantic model; every mistake is named with its place."""

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import UserError
from pipeline.failures import explain
from pipeline.field_types import describe, section_of
from pipeline.plain_yaml import Loader
from pipeline.storage import open_filesystem, redact

Model = TypeVar("Model", bound=BaseModel)
Key = tuple[str, ...]
Places = dict[Key, str]

_SHOWN = 2
"""Mistakes that a message shows, when there are many; one more where that takes no more room."""


def read_settings(model: type[Model], file: str | None, overrides: Sequence[str]) -> Model:
    """Build a model from its defaults, a file and overrides, the later over the earlier.

    Args:
        model: The model; its sections are models too.
        file: A YAML file, by path or by any URI that fsspec opens.
        overrides: ``section.key=value``, the value in YAML.

    Raises:
        UserError: names the first keys that are wrong, what was found, what was expected and where it was given.
    """
    places: Places = {}
    values = _read_file(file, places) if file is not None else {}
    for override in overrides:
        _override(values, override, places)
    _open_empty_sections(model, values)
    try:
        # Strict, and as JSON: a list may become a tuple there, but text never becomes a number.
        return model.model_validate_json(_as_json(values), strict=True)
    except ValidationError as error:
        messages = list(dict.fromkeys(_explain(model, detail, values, places) for detail in error.errors()))
        more = [f"and {len(messages) - _SHOWN} more"] if len(messages) > _SHOWN + 1 else messages[_SHOWN:]
        raise UserError("\n".join([*messages[:_SHOWN], *more])) from None
    except UserError as error:  # a validator's own, which says the key but not where it was given
        place = next((place for key, place in places.items() if str(error).startswith(".".join(key))), None)
        raise UserError(f"{place}: {error}" if place else str(error)) from None


def _as_json(values: dict[str, Any]) -> str:
    try:
        return json.dumps(values, default=str)
    except (ValueError, RecursionError):
        raise UserError("config: a value contains itself, or is nested too deeply") from None


def _read_file(file: str, places: Places) -> dict[str, Any]:
    text = _text(file)
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return {}
        for key, place in _keys(node, file, (), ()):
            places[key] = place
        values = loader.construct_document(node)
    except RecursionError:
        raise UserError(f"{file}: nested too deeply, expected sections with keys and values") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{file}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{file}: found {_show(values)}, expected keys and values, as `imagetracks config` prints them")
    return values


def _text(file: str) -> str:
    try:
        if "://" not in file:
            return Path(file).read_text(encoding="utf-8")
        filesystem, path = open_filesystem(file)  # a name is a name: ? and * in a web address find nothing else
        return bytes(filesystem.cat_file(path)).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file}: not a text file in UTF-8, expected a config in YAML") from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file}: the config cannot be read ({error}); `imagetracks config` prints one to start from"
        ) from None
    except Exception as error:  # a store's package may raise anything
        raise explain(error, f"the config {redact(file)}") or error from error


def _keys(node: yaml.Node, file: str, key: Key, above: tuple[int, ...]) -> Iterator[tuple[Key, str]]:
    """Every key with the place it stands at; refuses a key given twice, and a document that holds itself."""
    if id(node) in above:
        raise UserError(f"{file}, line {node.start_mark.line + 1}: {'.'.join(key)} contains itself")
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for name, value in node.value:
        line = name.start_mark.line + 1
        if not isinstance(name, yaml.ScalarNode):
            raise UserError(f"{file}, line {line}: a key is a list or a mapping, expected text")
        if name.value in lines:
            dotted = ".".join((*key, name.value))
            raise UserError(f"{file}, line {line}: {dotted} is given a second time (first on line {lines[name.value]})")
        lines[name.value] = line
        inner = (*key, name.value)
        yield inner, f"{file}, line {line}"
        yield from _keys(value, file, inner, (*above, id(node)))


def _override(values: dict[str, Any], override: str, places: Places) -> None:
    flag = f"--set {override}"
    dotted, equals, text = override.partition("=")
    key = tuple(dotted.strip().split("."))
    if not equals or not all(key):
        raise UserError(f"{flag}: expected section.key=value, such as --set cluster.method=auto")
    try:
        value = yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except RecursionError:
        raise UserError(f"--set {dotted}: the value is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{flag}: the value is not readable as YAML: {' '.join(str(error).split())}") from None
    inside = values
    for depth, name in enumerate(key[:-1], start=1):
        inner = inside.setdefault(name, {})
        if inner is None:  # a section whose keys are all commented out
            inner = inside[name] = {}
        if not isinstance(inner, dict):
            where = ".".join(key[:depth])
            raise UserError(
                f"{flag}: {where} is {_show(inner)} ({places.get(key[:depth], 'set before')}), not a section"
            )
        inside = inner
    inside[key[-1]] = value
    for old in [place for place in places if place[: len(key)] == key]:
        del places[old]
    places[key] = flag


def _open_empty_sections(model: type[BaseModel], values: dict[str, Any]) -> None:
    """A section whose keys are all commented out reads as null in YAML; it says nothing, which is no mistake."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is not None and name in values:
            if values[name] is None:
                values[name] = {}
            elif isinstance(values[name], dict):
                _open_empty_sections(section, values[name])


def _explain(model: type[BaseModel], detail: ErrorDetails, values: dict[str, Any], places: Places) -> str:
    """One line on one mistake."""
    full = tuple(str(part) for part in detail["loc"])
    section, key = _walk(model, full)
    place = _place(full, places)
    dotted = ".".join(key)
    if detail["type"] == "extra_forbidden":
        return f"{place}: unknown key {dotted}; {_suggestion(model, section, key)}"
    if detail["type"] in ("value_error", "assertion_error"):
        # A validator says in its own words what it found and expected; one of a section names the keys itself.
        of_field = bool(key) and section_of(section.model_fields[key[-1]]) is None
        return f"{place}: {dotted + ': ' if of_field else ''}{detail['ctx']['error']}"
    found = _show(_value(values, key))
    field = section.model_fields.get(key[-1]) if key else None
    inner = section_of(field) if field is not None else None
    if inner is not None:
        return f"{place}: {dotted}: found {found}, expected a section with keys {', '.join(inner.model_fields)}"
    expected = describe(field) if field is not None else detail["msg"]
    return f"{place}: {dotted}: found {found}, expected {expected}"


def _walk(model: type[BaseModel], loc: Key) -> tuple[type[BaseModel], Key]:
    """The section that the place of an error lies in, and the key itself without pydantic's further steps."""
    for depth, name in enumerate(loc, start=1):
        field = model.model_fields.get(name)
        section = section_of(field) if field is not None else None
        if section is None or depth == len(loc):
            return model, loc[:depth]
        model = section
    return model, loc


def _place(key: Key, places: Places) -> str:
    """Where a key was given: its own place, that of what holds it, or that of the last thing it holds."""
    for depth in range(len(key), 0, -1):
        if key[:depth] in places:
            return places[key[:depth]]
    inside = [place for given, place in places.items() if given[: len(key)] == key]
    return inside[-1] if inside else "config"


def _suggestion(model: type[BaseModel], section: type[BaseModel], key: Key) -> str:
    near = difflib.get_close_matches(key[-1], section.model_fields, 1)
    if near:
        return f"did you mean {'.'.join((*key[:-1], near[0]))}?"
    elsewhere = {known[-1]: known for known in _known(model, ())}
    near = difflib.get_close_matches(key[-1], elsewhere, 1, 0.8)
    if near:
        return f"did you mean {'.'.join(elsewhere[near[0]])}?"
    return f"known here: {', '.join(section.model_fields)}"


def _known(model: type[BaseModel], above: Key) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is None:
            yield (*above, name)
        else:
            yield from _known(section, (*above, name))


def _value(values: Any, key: Key) -> Any:
    for name in key:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _show(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
