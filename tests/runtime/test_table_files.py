"""Tables of JSON Lines: what a line may hold, and that reading some lines at a time changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.runtime import table_files
from pipeline.runtime.described import table_of
from pipeline.runtime.table_files import read_tables

Records = list[dict[str, Any]]


def written(path: Path, records: Records, end: str = "\n") -> str:
    path.write_bytes(end.join(json.dumps(one, ensure_ascii=False) for one in records).encode())
    return str(path)


def test_signs_that_end_a_line_elsewhere_are_part_of_a_text(tmp_path: Path) -> None:
    names = ["a\u2028b.jpg", "c\x85d.jpg", "e\u2029\u00e4\U0001f33f.jpg"]
    for end in ("\n", "\r\n"):
        rows = read_tables(written(tmp_path / "m.jsonl", [{"path": name} for name in names], end), "m", ("path",))
        assert rows["path"].to_pylist() == names


@pytest.mark.parametrize(
    "records",
    [
        [{"path": str(n), "plot": n} for n in range(7)],
        [{"path": str(n), "plot": None if n < 4 else n} for n in range(7)],
        [{"path": str(n), "plot": n if n < 4 else n + 0.5} for n in range(7)],
        [{"path": str(n), "plot": n if n < 4 else "none"} for n in range(7)],
        [{"path": str(n), "plot": n > 2 if n < 4 else {"a": [n]}} for n in range(7)],
        [{"path": str(n), "plot": True if n < 4 else 3} for n in range(7)],
        [{"path": str(n), ("early" if n < 4 else "late"): n} for n in range(7)],
        [{"path": n, "plot": {"a": n} if n < 4 else {"b": "x"}} for n in range(7)],
        [{}, {}, {"path": "a"}, {"path": "b"}],
        [{"path": "a"}, {"path": "b"}, {}, {}],
        [],
    ],
)
def test_reading_some_lines_at_a_time_changes_nothing(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_files, "_LINES_AT_ONCE", 2)
    found = read_tables(written(tmp_path / "m.jsonl", records), "m", ("path",))
    assert found.equals(table_of(records, ("path",)))


def test_a_line_far_down_is_told_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "_LINES_AT_ONCE", 2)
    (tmp_path / "m.jsonl").write_text('{"path": "a"}\n\n{"path": "b"}\n{"path": "c"}\n[1]\n')
    with pytest.raises(UserError, match=r"line 5: found list"):
        read_tables(str(tmp_path / "m.jsonl"), "m", ("path",))


def test_a_header_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes("path\na.png\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"cannot read m: .*\nexpected CSV in UTF-8"):
        read_tables(str(tmp_path / "m.csv"), "m", ("path",))
