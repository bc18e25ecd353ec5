"""The run's result and the workspace's state, as text."""

from dataclasses import replace

from pipeline.reports.summary import PartitionStatus, RunSummary, render_status, render_summary
from pipeline.reports.text import count, plain, score
from pipeline.schemas import UNDATED

SUMMARY = RunSummary(
    images=12345,
    failed={"empty": 2, "corrupt": 5, "missing": 2},
    dates=12,
    undated=1,
    duplicates=3,
    clusters=170,
    tracks=18,
    open_tracks=15,
    events={"birth": 18, "split": 1, "gap": 0},
)

STATUS = [
    PartitionStatus("images", "2024-01-01", 1000, failed={"corrupt": 2}),
    PartitionStatus("images", UNDATED, 5, failed={"corrupt": 1, "empty": 3}),
    PartitionStatus("clusters", "2024-01-01", 40, stale="cluster.method changed"),
    PartitionStatus("clusters", "2024-01-02", None, stale="[new] images"),
]


def lines_of(renderable):
    return [" ".join(line.split()) for line in plain(renderable).splitlines()]


def test_a_runs_result():
    lines = lines_of(render_summary(SUMMARY))
    assert "images 12 345" in lines
    assert "failed 9: corrupt 5, empty 2, missing 2" in lines
    assert "tracks 18 (15 open)" in lines
    assert "events 19: birth 18, split 1" in lines
    assert not any(line.startswith("computed") for line in lines)


def test_what_a_run_did():
    done = replace(SUMMARY, seconds=61.24, computed={"ingest": 1000, "cluster": 2})
    assert "computed ingest 1 000, cluster 2" in lines_of(render_summary(done))
    assert "time 61.2 s" in lines_of(render_summary(done))
    idle = replace(SUMMARY, seconds=1.0)
    assert "computed nothing: all up to date" in lines_of(render_summary(idle))


def test_nothing_failed_and_nothing_happened():
    lines = lines_of(render_summary(replace(SUMMARY, failed={}, events={"birth": 0})))
    assert "failed 0" in lines
    assert "events 0" in lines


def test_what_dated_the_images_is_counted_over_the_dates():
    counts = [{"name": 2, "exif_original": 1000}, {"name": 3, "nothing": 5, "implausible": 1}]
    rows = [PartitionStatus("images", str(date), 1, dated_by=one) for date, one in enumerate(counts)]
    assert "Images dated by exif_original 1 000, name 5, nothing 5, implausible 1" in lines_of(render_status(rows))


def test_times_that_cannot_be_read_and_a_collection_without_dates_are_told():
    shown = plain(render_status([PartitionStatus("images", UNDATED, 3, dated_by={"unreadable": 3}, unreadable=3)]))
    assert "the manifest's time of 3 cannot be read" in shown
    assert "No image has a date, so nothing is linked" in shown
    assert "No image has a date" in plain(render_summary(replace(SUMMARY, dates=0, undated=3)))
    assert "No image has a date" not in plain(render_summary(SUMMARY))


def test_state_by_table_and_by_partition():
    lines = lines_of(render_status(STATUS))
    assert "images 2 partitions 1 005 up to date 6: corrupt 3, empty 3" in lines
    assert "clusters 1 partitions 40 2 stale, of 2 0" in lines
    assert "clusters 2024-01-02 - [new] images 0" in lines
    assert "images undated 5 up to date 4: empty 3, corrupt 1" in lines
    short = plain(render_status(STATUS, details=False))
    assert "By partition" not in short
    assert "clusters 2024-01-01: cluster.method changed" in short.splitlines()
    assert "2 more" not in short


def test_an_empty_workspace():
    assert plain(render_status([])) == "nothing is committed yet\n"


def test_plain_text_has_no_codes_and_keeps_to_its_width():
    text = plain(render_status([replace(STATUS[0], stale="a reason " * 40)]), width=80)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("reason") == 40  # nothing is cut off


def test_numbers():
    assert (count(0), count(1234567)) == ("0", "1 234 567")
    assert (score(0.51), score(float("nan"))) == ("0.5100", "-")
