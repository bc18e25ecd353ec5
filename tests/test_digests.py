"""Digests see meaning and nothing of how it is stored."""

import datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.digests import content_digests, digest
from pipeline.schemas import vector_type

ROW = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(max_size=5),
        "number": st.none() | st.integers(-(2**31), 2**31 - 1),
        "real": st.none() | st.floats(width=32, allow_nan=False),
        "flag": st.none() | st.booleans(),
        "time": st.none() | st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2100, 1, 1)),
        "vector": st.none() | st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=2),
        "names": st.none() | st.lists(st.text(max_size=3), max_size=3),
        "box": st.none() | st.fixed_dictionaries({"x": st.none() | st.integers(0, 9), "y": st.text(max_size=2)}),
    }
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("number", pa.int32()),
        ("real", pa.float32()),
        ("flag", pa.bool_()),
        ("time", pa.timestamp("us")),
        ("vector", vector_type(2)),
        ("names", pa.list_(pa.string())),
        ("box", pa.struct([("x", pa.int32()), ("y", pa.string())])),
    ]
)


def table(rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.mark.slow
@given(rows=st.lists(ROW, min_size=1, max_size=12), data=st.data())
@settings(max_examples=60)
def test_splits_slices_and_encodings_do_not_count(rows: list[dict[str, object]], data: st.DataObject) -> None:
    whole = table(rows)
    cut = data.draw(st.integers(0, len(rows)))
    pieces = pa.concat_tables([whole.slice(0, cut), table(rows[cut:])])
    padded = table([*rows[:1], *rows, *rows[:1]]).slice(1, len(rows))
    encoded = whole.set_column(0, "text", whole["text"].dictionary_encode())
    assert content_digests(pieces) == content_digests(whole) == content_digests(padded)
    assert content_digests(encoded)["number"] == content_digests(whole)["number"]


def written(value: object) -> str:
    """0.0 equals -0.0, and is stored otherwise; the order of a struct's fields is the schema's."""
    return repr(sorted(value.items()) if isinstance(value, dict) else value)


@given(rows=st.lists(ROW, min_size=2, max_size=6), column=st.sampled_from(SCHEMA.names))
@settings(max_examples=60)
def test_a_changed_value_changes_its_columns_digest_and_no_other(rows: list[dict[str, object]], column: str) -> None:
    other = [{**rows[0], column: rows[1][column]}, *rows[1:]]
    before, after = content_digests(table(rows)), content_digests(table(other))
    changed = {name for name in SCHEMA.names if before[name] != after[name]}
    same = written(rows[0][column]) == written(rows[1][column])
    assert changed == (set() if same else {column})


@pytest.mark.parametrize(
    ("one", "other"),
    [(["ab", "c"], ["a", "bc"]), ([None, ""], ["", None]), ([None], [""]), (["a"], ["a", None])],
)
def test_neighbouring_texts_do_not_run_together(one: list[str | None], other: list[str | None]) -> None:
    digests = [content_digests(pa.table({"t": pa.array(values, pa.string())})) for values in (one, other)]
    assert digests[0] != digests[1]


def test_the_order_of_a_mapping_is_irrelevant_that_of_a_list_is_not() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert digest(1) != digest("1")
