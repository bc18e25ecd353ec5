"""Sidecars: what describes an image beside it: ``a.jpg.json``, ``a.json``, in archives ``a.txt`` and ``a.cls`` too."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import UserError

SUFFIXES = (".json", ".txt", ".cls")
"""WebDataset's; in a folder JSON alone is one, for a text beside an image may be anything."""


def is_sidecar(key: str, suffixes: Sequence[str] = SUFFIXES) -> bool:
    """Whether the name is that of a sidecar."""
    return key.lower().endswith(tuple(suffixes))


def names_of(key: str) -> Iterator[str]:
    """The sidecars that an image may have, the more particular first: of ``a/b.c.jpg`` those of itself, b.c and b."""
    folder, slash, name = key.rpartition("/")
    for stem in dict.fromkeys((name, name.rsplit(".", 1)[0], name.split(".", 1)[0])):
        for suffix in SUFFIXES:
            yield f"{folder}{slash}{stem}{suffix}"


def record_of(key: str, sidecars: Mapping[str, bytes]) -> dict[str, Any]:
    """What an image's sidecars say of it: JSON's fields by their names, ``txt`` and ``cls`` (a whole number).

    Raises:
        UserError: one is not what its name says.
    """
    record: dict[str, Any] = {}
    for name in names_of(key):
        if name in sidecars:
            record = {**_read(name, sidecars[name]), **record}
    return record


def _read(name: str, data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8-sig")
        if name.endswith(".txt"):
            return {"txt": text}
        if name.endswith(".cls"):
            return {"cls": int(text)}
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(name, str(error)) from error
    if not isinstance(found, dict):
        raise _wrong(name, f"found {type(found).__name__}, expected an object")
    return found


def _wrong(name: str, said: str) -> UserError:
    return UserError(
        f"the sidecar {name} cannot be read: {said[:200]}\nmend it, or leave all out: ingest.sidecars=false"
    )
