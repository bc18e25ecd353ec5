"""What the pictures of clusters show; that they can be read was seen by eye, at 10 and at 2 000 clusters."""

import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from scipy.cluster.hierarchy import linkage

from pipeline.errors import UserError
from pipeline.reports.charts import draw_dendrogram, draw_elbow, draw_silhouettes, draw_trials
from pipeline.reports.cluster_sheet import LARGE, SMALL, draw_sheet, plan_sheet
from pipeline.reports.map_picture import HEIGHT, WIDTH, draw_map, on_paper, side_of, thumbnails
from pipeline.reports.picture_ink import PAPER, track_colour
from pipeline.schemas import TRIALS
from tests.pictures import saved

pytestmark = pytest.mark.slow  # matplotlib


def members(*sizes: int) -> list[tuple[str, list[str]]]:
    return [(f"{number:08x}", [f"{number}-{row}" for row in range(size)]) for number, size in enumerate(sizes)]


def trials(counts: list[int], chosen: int) -> pa.Table:
    rows = [
        dict.fromkeys(TRIALS.names)
        | {"settings": json.dumps({"num_clusters": k}), "num_clusters": k, "noise_fraction": 0.0}
        | {"largest_fraction": 0.1, "inertia": 100.0 / k, "silhouette": 0.1, "rank": float(k), "chosen": k == chosen}
        for k in counts
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([(c.name, c.type) for c in TRIALS.columns]))


def share(picture: Image.Image, colour: tuple[int, int, int]) -> float:
    return float((np.abs(np.asarray(picture, np.int16) - np.array(colour)) < 20).all(axis=2).mean())


def test_a_sheet_shows_nearest_some_and_farthest_once_each() -> None:
    sheet = plan_sheet(members(30, 2), 1)
    near, some, far = sheet.images[0]
    assert (near, far) == ([f"0-{i}" for i in range(4)], [f"0-{i}" for i in range(26, 30)])
    assert len(some) == 4
    assert not set(some) & {*near, *far}
    assert sheet.layout is LARGE
    assert [list(group) for group in sheet.images[1]] == [["1-0", "1-1"], [], []]
    blue = saved(Image.new("RGB", (64, 48), (20, 40, 200)))
    assert share(draw_sheet(sheet, dict.fromkeys(sheet.image_ids, blue), "2024-05-01"), (20, 40, 200)) > 0.1


def test_many_clusters_are_drawn_smaller_on_pages() -> None:
    many = members(*[3] * 2000)
    sheet = plan_sheet(many, 25)
    assert (sheet.layout, sheet.num_pages, len(sheet.labels)) == (SMALL, 25, 80)
    assert len({label for page in range(1, 26) for label in plan_sheet(many, page).labels}) == 2000
    with pytest.raises(UserError, match="1 to 25"):
        plan_sheet(many, 26)


def test_thumbnails_of_a_map_do_not_overlap_and_every_other_image_is_a_dot() -> None:
    places = np.random.default_rng(0).normal(size=(500, 2))
    at = on_paper(places)
    assert (at > 0).all()
    assert (at < [WIDTH, HEIGHT]).all()
    side = side_of(500)
    shown = thumbnails(at, [0] * 500, side)
    gaps = np.abs(at[shown][:, None] - at[shown][None]).max(axis=2)
    assert (gaps[~np.eye(len(shown), dtype=bool)] >= side).all()
    picture = draw_map(at, [0] * 500, dict.fromkeys(shown), "title", "caption")
    assert share(picture, track_colour(0)) > 0.005
    assert len(np.unique(on_paper(np.zeros((3, 2))), axis=0)) == 1


@pytest.mark.parametrize("clusters", [1, 10, 300])
def test_a_dendrogram_of_any_size(clusters: int) -> None:
    labels = np.repeat(np.arange(clusters), 3)
    rows = np.random.default_rng(0).normal(size=(clusters, 4))[labels] * 10 + np.arange(len(labels))[:, None] * 0.01
    names = [f"{number:08x}" for number in range(clusters)]
    picture = draw_dendrogram(linkage(rows, "average"), labels, names, "2024-05-01")
    assert share(picture, PAPER) < 0.99


def test_a_long_caption_is_wrapped_and_leaves_the_tree_its_width() -> None:
    labels = np.repeat(np.arange(18), 4)
    rows = np.random.default_rng(0).normal(size=(18, 4))[labels] + np.random.default_rng(1).normal(size=(72, 4)) * 0.4
    picture = np.asarray(
        draw_dendrogram(linkage(rows, "average"), labels, [f"{i:08x}" for i in range(18)], "2024-05-01")
    )
    inked = (picture.astype(np.int16) - np.array(PAPER) < -20).any(axis=2)
    assert inked.any(axis=0)[-80:].any()  # the grid reaches as far
    assert not inked[:60, -5:].any()  # and the caption is not cut off


@pytest.mark.parametrize("clusters", [2, 10, 200])
def test_silhouettes_of_any_number_of_clusters(clusters: int) -> None:
    values = [np.linspace(-0.2, 0.8, 4)] * clusters
    picture = draw_silhouettes(values, ["x" * 8] * clusters, trials([2, 3], 2), "2024-05-01")
    assert share(picture, track_colour(0)) > 0.001


def test_curves_and_trials() -> None:
    tried = trials([2, 5, 9, 100], 5)
    for picture in (draw_elbow(tried, "2024-05-01"), draw_trials(tried, "2024-05-01")):
        assert share(picture, PAPER) < 0.99
    for draw in (draw_elbow, draw_trials):
        with pytest.raises(UserError, match="nothing was tried"):
            draw(trials([], 0), "2024-05-01")
    with pytest.raises(UserError, match="one cluster"):
        draw_silhouettes([np.full(3, np.nan)], ["x"], trials([], 0), "2024-05-01")
