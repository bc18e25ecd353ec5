"""The README says what is so: tables, commands, options, targets."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from pipeline import cli
from pipeline.reports.queries import insert_queries
from pipeline.reports.schema_docs import insert_tables

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_the_schemas() -> None:
    assert insert_tables(README) == README, "run `make docs`"


def test_the_queries_are_the_ready_ones() -> None:
    assert insert_queries(README) == README, "run `make docs`"


def commands() -> dict[str, set[str]]:
    """The synopsis of the README: command -> its options."""
    block = next(part for part in README.split("\n\n") if part.lstrip().startswith("imagetracks run       "))
    found: dict[str, set[str]] = {}
    for line in block.splitlines():
        words = line.split()
        if words[0] == "imagetracks":
            name = words[1]
        found.setdefault(name, set()).update(re.findall(r"--[a-z-]+", line))
    return found


def test_the_synopsis_names_every_command_and_only_options_there_are() -> None:
    group = get_command(cli.app)
    real = {name: {o for p in one.params for o in p.opts if o.startswith("--")} for name, one in group.commands.items()}
    assert set(commands()) == set(real)
    for name, options in commands().items():
        assert options <= real[name], name


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", README))))
def test_a_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_links_and_pictures_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


NETWORKS = re.findall(r"^\| [^|]+ \| `((?:torchvision|timm)/[^`]+)` \| (\d+) \|$", README, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "length"), NETWORKS)
def test_a_network_of_the_table_gives_vectors_of_this_length(name: str, length: str) -> None:
    from pipeline.compute.extractors.listing import listed

    if name.startswith("timm/"):
        pytest.importorskip("timm")
    assert [one.dimensions for one in listed(name)] == [int(length)]


def test_the_table_names_the_networks_of_the_studies() -> None:
    found = " ".join(name for name, _ in NETWORKS)
    studies = ["vgg16", "vgg19", "resnet50", "inception_v3", "xception", "mobilenet", "densenet", "nasnet"]
    for model in [*studies, "inception_resnet_v2", "efficientnet", "dinov2", "clip"]:
        assert model in found, model
