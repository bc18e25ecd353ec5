"""Safe YAML with the numbers that people mean, read and written alike."""

import re

import yaml


class Loader(yaml.SafeLoader):
    """Safe YAML with the numbers of YAML 1.2.

    In YAML 1.1, which PyYAML reads, ``04:00`` is 240 and ``1e-3`` is text; and a day stays text here, for the model
    that takes it to read.
    """


class Dumper(yaml.SafeDumper):
    """Quotes every text that either version of YAML would read as something else."""


_NUMBERS = (
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9_]*)$")),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
        ),
    ),
)

Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":int", ":float", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS:
    Loader.add_implicit_resolver(_tag, _pattern, list("-+.0123456789"))
    Dumper.add_implicit_resolver(_tag, _pattern, list("-+.0123456789"))


def dump(value: object) -> str:
    """YAML of a value in one piece of text without a final newline; lists and mappings inside it take one line each."""
    # PyYAML's None puts the innermost collections on one line; of a plain key and value it would make {key: value}.
    nested = isinstance(value, dict) and any(isinstance(inner, list | dict) for inner in value.values())
    style = None if nested else False
    # Text beyond ASCII is escaped: written as it is, PyYAML's line separators do not read back.
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, default_flow_style=style, width=10**6)
    return text.rstrip("\n")
