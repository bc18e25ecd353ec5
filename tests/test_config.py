"""The config that is composed of the stages' parameters."""

import subprocess
import sys
from itertools import pairwise

import pytest
import yaml

from pipeline.config import Config, load_config
from pipeline.errors import UserError
from pipeline.reports.config_docs import render_config
from pipeline.resources import Resources

HEAVY = ("torch", "torchvision", "faiss", "sklearn", "skimage", "scipy", "onnxruntime", "matplotlib", "ray", "pandas")


@pytest.mark.slow
def test_nothing_heavy_is_imported_for_the_config():
    code = f"import sys, pipeline.config; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_the_keys_that_the_interface_promises():
    config = load_config(
        None,
        [
            "ingest.image_px=original",
            "fingerprint.extractor=efficientnet_lite0",
            "cluster.method=auto",
            "link.false_link_rate=0.02",
            "resources.num_gpus=1",
            "clustering=strict",
        ],
    )
    assert (config.ingest.image_px, config.link.false_link_rate, config.resources.num_gpus) == ("original", 0.02, 1)
    assert config.clustering == "strict"


def test_every_key_is_described():
    def undescribed(model, above=""):
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if not field.description:
                yield above + name
            if hasattr(type(value), "model_fields"):
                yield from undescribed(value, f"{above}{name}.")

    assert list(undescribed(Config())) == []


def test_the_printed_config_gives_the_defaults_back(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(render_config(Config()), encoding="utf-8")
    assert load_config(str(file)) == Config()


def test_a_changed_config_prints_and_reads_back(tmp_path):
    config = load_config(None, ["ingest.image_px=original", "link.false_link_rate=1e-5", "resources.threads=3"])
    file = tmp_path / "config.yaml"
    file.write_text(render_config(config), encoding="utf-8")
    assert load_config(str(file)) == config
    assert load_config(str(file)) != Config()


def test_every_key_of_the_printed_config_has_a_comment_over_it():
    lines = render_config(Config()).splitlines()
    for before, line in pairwise(lines):
        if ":" in line and not line.lstrip().startswith("#"):
            assert before.lstrip().startswith("#")
            assert before.index("#") == len(line) - len(line.lstrip())
    assert set(yaml.safe_load("\n".join(lines))) == set(Config.model_fields)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "ü", "x\n", "a" * 101])
def test_a_clustering_is_a_folders_name(name):
    with pytest.raises(UserError, match="clustering"):
        load_config(None, [f"clustering={yaml.safe_dump(name)}"])


def test_a_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Config().clustering = "x"
    with pytest.raises(ValueError, match="frozen"):
        Resources().num_cpus = 3
