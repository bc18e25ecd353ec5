"""The list of extractors: light, complete, and true of this machine."""

import subprocess
import sys

import pytest

from pipeline.compute import extractors
from pipeline.compute.extractors.listing import listed
from pipeline.compute.extractors.torchvision_table import PUBLISHED
from pipeline.errors import UserError
from pipeline.reports.extractors import render_extractors
from pipeline.reports.text import plain


def test_all_but_timms_are_listed_with_lengths_and_sizes(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = {one.name: one for one in listed()}
    assert {f"torchvision/{model}" for model in PUBLISHED} < set(found)
    assert {name.partition("/")[0] for name in found} == set(extractors.FAMILIES) - {"timm", "own", "bag_of_sift"}
    one = found["torchvision/inception_v3"]
    assert (one.dimensions, one.width, one.height, one.there) == (2048, 299, 299, False)
    assert found["efficientnet_lite0"].there
    one.weights.parent.mkdir(parents=True)
    one.weights.touch()
    assert one.there
    shown = plain(render_extractors(listed("torchvision/inception*")))
    assert "torchvision/inception_v3" in shown
    assert f"to{tmp_path}/hub/checkpoints" in shown.replace("\n", "").replace(" ", "")


def test_a_name_with_settings_is_itself_and_a_wrong_one_is_told():
    assert [one.dimensions for one in listed("raw_pixels:size=4:color=grey")] == [16]
    assert [one.name for one in listed("classical/h*")] == ["classical/hog"]
    with pytest.raises(UserError, match="nearest: torchvision/resnet50"):
        listed("torchvision/resnet5O")


@pytest.mark.slow
def test_listing_loads_no_torch():
    code = "import sys; from pipeline.compute.extractors import listing; list(listing.listed()); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
