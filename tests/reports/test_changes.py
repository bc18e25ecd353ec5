"""What is said of tracks that changed."""

import pyarrow as pa

from pipeline.reports.changes import notes_of


def test_a_few_words_say_what_happened_to_a_track() -> None:
    rows = [
        {"what": "merged", "track_id": "A", "other_track_id": "B", "images": 3},
        {"what": "merged", "track_id": "C", "other_track_id": "D", "images": 3},
        {"what": "merged", "track_id": "E", "other_track_id": "D", "images": 1},
        {"what": "ended", "track_id": "D", "other_track_id": None, "images": 9},
        {"what": "renamed", "track_id": "F", "other_track_id": "G", "images": 2},
        {"what": "split", "track_id": "H", "other_track_id": "B", "images": 2},
    ]
    assert notes_of(pa.Table.from_pylist(rows)) == {
        "D": "ended, 2 merged into it",
        "H": "split from B",
        "B": "A merged into it",
        "G": "was F",
    }
