"""What a run that dies leaves of what it had begun."""

from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from pipeline.errors import UserError
from pipeline.runtime.begun import Begun
from pipeline.schemas import IMAGES
from pipeline.tablestore import TableStore


def begun(root: Path, stage: str = "s") -> Begun:
    store = TableStore(fsspec.filesystem("file"), str(root / "images"), IMAGES)
    return Begun(store, stage, lambda unit: unit["n"].to_pylist())


def unit(*names: str) -> pa.Table:
    return pa.table({"n": list(names)})


def test_a_mark_stands_while_the_unit_is_worked_on(tmp_path: Path) -> None:
    marks = begun(tmp_path)
    assert marks.left() == set()
    with marks(unit("a", "b")):
        with marks(unit("c")):
            assert begun(tmp_path).left() == {"a", "b", "c"}
        assert begun(tmp_path).left() == {"a", "b"}
        assert begun(tmp_path, "another stage").left() == set()
        assert marks.store.fragments("s") == []  # it is none
        assert marks.store.sweep() == []  # nor is it swept away, as the next run begins
    assert marks.left() == set()


def test_an_error_is_no_death(tmp_path: Path) -> None:
    marks = begun(tmp_path)
    with pytest.raises(UserError), marks(unit("a")):
        raise UserError("no")
    assert marks.left() == set()
    with marks(unit("a")):
        marks.store.drop_fragments()  # whoever swept it away in between does no harm
