"""Up to date or not, and why not (DESIGN.md rule 4)."""

import json
from collections.abc import Mapping

from pipeline.commits import Manifest
from pipeline.params import Params


def parameters(section: str | None, params: Params | None, leave_out: frozenset[str] = frozenset()) -> dict[str, str]:
    """A stage's parameters as inputs, named as in the config; values as JSON."""
    if params is None:
        return {}
    values = params.model_dump(mode="json")
    return {f"{section}.{key}": json.dumps(value) for key, value in values.items() if key not in leave_out}


def why_stale(manifest: Manifest | None, inputs: Mapping[str, str]) -> str | None:
    """What makes a partition stale, for a person: a parameter with both values, or the name of what changed."""
    if manifest is None:
        return "not computed yet"
    old = manifest.inputs
    changed = [name for name in sorted({*old, *inputs}) if old.get(name) != inputs.get(name)]
    if not changed:
        return None
    return "; ".join(_change(name, old.get(name), inputs.get(name)) for name in changed)


def _change(name: str, old: str | None, new: str | None) -> str:
    if "." in name or name == "version":
        return f"{name} {old or 'unset'} -> {new or 'unset'}"
    return f"{name} changed"
