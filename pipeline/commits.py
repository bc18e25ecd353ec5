"""What a commit is: the manifest of a partition."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.digests import digest
from pipeline.parts import Part


@dataclass(frozen=True)
class Manifest:
    """A committed partition: its parts, what it was computed from, and what it holds.

    ``inputs``: name -> value or digest: the stage's version, its parameters, the contents it read.  ``content``: a
    digest a column.  ``failed``: reason -> rows.
    """

    inputs: Mapping[str, str]
    parts: tuple[Part, ...]
    content: Mapping[str, str]
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """One digest of all inputs: the partition is up to date while it is what a new run would compute."""
        return digest(dict(self.inputs))

    @property
    def rows(self) -> int:
        """Rows of the partition."""
        return sum(part.rows for part in self.parts)

    def content_of(self, columns: Sequence[str]) -> dict[str, str | None]:
        """Digests of some columns' values: what a stage that reads just these depends on."""
        return {name: self.content.get(name) for name in columns}


def manifest_of(value: Mapping[str, Any]) -> Manifest:
    """A manifest as it was put.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none.
    """
    parts = tuple(Part(**part) for part in value["parts"])
    return Manifest(dict(value["inputs"]), parts, dict(value["content"]), dict(value["failed"]))


def as_json(value: Any) -> bytes:
    """A manifest or head as it is put: a value a line, keys in order, so that equal ones are equal bytes."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
