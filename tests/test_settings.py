"""Settings from YAML and overrides: precedence, and every mistake named with its place."""

from contextlib import suppress
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator, model_validator

from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.settings import read_settings


class Inner(Params):
    rate: float = Field(0.5, gt=0, lt=1)
    size: Annotated[int, Field(ge=16)] | Literal["original"] = 384
    names: tuple[str, ...] = ("a",)
    weights: dict[str, float] = Field(default_factory=dict)
    method: Literal["auto", "kmeans"] = "auto"
    k: int | None = Field(None, ge=1)
    clock: str = "00:00"

    @field_validator("clock")
    @classmethod
    def _clock(cls, value):
        if ":" not in value:
            raise ValueError("expected HH:MM")
        if value == "99:99":
            raise UserError("inner.clock: no such time")
        return value

    @model_validator(mode="after")
    def _complete(self):
        if self.method == "kmeans" and self.k is None:
            raise ValueError("inner.method kmeans needs inner.k")
        return self


class Deep(Params):
    leaf: int = 1


class Other(Params):
    flag: bool = False
    deep: Deep = Deep()


class Outer(Params):
    name: str = "default"
    inner: Inner = Inner()
    other: Other = Other()


@pytest.fixture
def write(tmp_path):
    def write(text):
        file = tmp_path / "c.yaml"
        file.write_text(text)
        return str(file)

    return write


def refused(file, *overrides):
    with pytest.raises(UserError) as caught:
        read_settings(Outer, file, overrides)
    assert "pydantic" not in str(caught.value)
    return str(caught.value)


def test_defaults_then_file_then_overrides_the_last_one_winning(write):
    file = write("name: night\ninner: {rate: 0.1, k: 3}\n")
    found = read_settings(Outer, file, ["inner.rate=0.2", "inner.rate=0.3", "other.deep.leaf=7"])
    assert found == Outer(name="night", inner=Inner(rate=0.3, k=3), other=Other(deep=Deep(leaf=7)))


def test_values_are_yaml(write):
    found = read_settings(
        Outer, write(""), ["inner.names=[x, y]", "inner.weights={c: 0.5}", "inner.size=original", "other.flag=true"]
    )
    assert found.inner == Inner(names=("x", "y"), weights={"c": 0.5}, size="original")
    assert found.other.flag


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("1.5E-1", 0.15), (".25", 0.25), ("2.0e-1", 0.2), ("+0.5", 0.5)]
)
def test_numbers_as_people_write_them(text, value):
    assert read_settings(Outer, None, [f"inner.rate={text}"]).inner.rate == value


def test_a_time_of_day_and_a_padded_number_stay_text():
    assert read_settings(Outer, None, ["inner.clock=04:00"]).inner.clock == "04:00"
    assert read_settings(Outer, None, ["name=007"]).name == "007"
    assert read_settings(Outer, None, ["name=2024-01-31"]).name == "2024-01-31"


def test_a_key_inside_a_mapping_can_be_set():
    assert read_settings(Outer, None, ["inner.weights.colour=2"]).inner.weights == {"colour": 2.0}


def test_a_section_whose_keys_are_commented_out_is_no_mistake(write):
    file = write("inner:\n  # rate: 0.1\nother:\n  deep:\n")
    assert read_settings(Outer, file, []) == Outer()
    assert read_settings(Outer, file, ["inner.k=2", "other.deep.leaf=3"]).other.deep.leaf == 3


def test_an_empty_file_is_the_defaults(write):
    assert read_settings(Outer, write("# nothing\n"), []) == Outer()


def test_an_unknown_key_names_the_nearest_one_and_its_line(write):
    file = write("name: x\ninner:\n  rate: 0.1\n  raet: 0.2\n")
    assert refused(file) == f"{file}, line 4: unknown key inner.raet; did you mean inner.rate?"
    assert refused(None, "iner.rate=1") == "--set iner.rate=1: unknown key iner; did you mean inner?"


def test_a_key_without_its_section_is_found_in_it():
    assert refused(None, "leaf=1").endswith("unknown key leaf; did you mean other.deep.leaf?")


def test_an_unknown_key_unlike_all_others_lists_them():
    assert refused(None, "other.qqq=1").endswith("unknown key other.qqq; known here: flag, deep")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inner.rate=2", "inner.rate: found 2, expected a number > 0 and < 1"),
        ("inner.rate=high", 'inner.rate: found "high", expected a number > 0 and < 1'),
        ("inner.rate=.nan", "inner.rate: found NaN, expected a number > 0 and < 1"),
        ("inner.rate=null", "inner.rate: found null, expected a number > 0 and < 1"),
        ("inner.k=1.5", "inner.k: found 1.5, expected a whole number ≥ 1, or null"),
        ("inner.k=true", "inner.k: found true, expected a whole number ≥ 1, or null"),
        ("inner.k='3'", 'inner.k: found "3", expected a whole number ≥ 1, or null'),
        ("inner.size=3", "inner.size: found 3, expected a whole number ≥ 16, or original"),
        ("inner.method=dbscan", 'inner.method: found "dbscan", expected one of auto, kmeans'),
        ("inner.names=x", 'inner.names: found "x", expected a list, each text'),
        ("inner.names=[x, 1]", 'inner.names: found ["x", 1], expected a list, each text'),
        ("inner.weights.a=b", 'inner.weights: found {"a": "b"}, expected a mapping'),
        ("other.flag=1", "other.flag: found 1, expected true or false"),
        ("other=1", "other: found 1, expected a section with keys flag, deep"),
        ("inner.clock=x", "inner.clock: expected HH:MM"),
        ("inner.clock=99:99", "inner.clock: no such time"),
        ("inner.method=kmeans", "inner.method kmeans needs inner.k"),
    ],
)
def test_a_wrong_value_names_key_value_expectation_and_flag(override, message):
    assert refused(None, override) == f"--set {override}: {message}"


def test_a_wrong_value_in_a_file_names_its_line(write):
    file = write("other:\n  deep:\n    leaf: soon\n")
    assert refused(file) == f'{file}, line 3: other.deep.leaf: found "soon", expected a whole number'


def test_an_override_takes_the_blame_from_the_file(write):
    file = write("inner:\n  rate: 0.1\n")
    assert refused(file, "inner.rate=7").startswith("--set inner.rate=7: ")
    assert refused(file, "inner={rate: 7}").startswith("--set inner={rate: 7}: ")


def test_all_mistakes_at_once(write):
    assert len(refused(write("nam: 1\ninner: {rate: 7}\n"), "other.flag=3").splitlines()) == 3


def test_a_key_given_twice_is_refused(write):
    file = write("inner:\n  rate: 0.1\n  k: 2\n  rate: 0.2\n")
    assert refused(file) == f"{file}, line 4: inner.rate is given a second time (first on line 2)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner: [1", "not readable as YAML"),
        ("- 1\n- 2\n", "expected keys and values"),
        ("just text", "expected keys and values"),
        ("? [a, b]\n: 1\n", "a key is a list or a mapping"),
        ("inner: &x\n  weights: *x\n", "contains itself"),
        ("a: 1\n---\nb: 2\n", "not readable as YAML"),
        ("name: !!python/object:os.system x\n", "not readable as YAML"),
        ("name: \x07\n", "not readable as YAML"),
        ("1: 2\n", "unknown key 1"),
        ("null: 2\n", "unknown key null"),
    ],
)
def test_files_that_are_no_config(write, text, message):
    assert message in refused(write(text))


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    assert "imagetracks config" in refused(str(tmp_path / "none.yaml"))
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refused(str(tmp_path / "c.yaml"))
    assert "cannot open nosuchscheme://" in refused("nosuchscheme://x/c.yaml")


@pytest.mark.parametrize(("count", "lines", "last"), [(1, 1, "x0"), (2, 2, "x1"), (3, 3, "x2"), (9, 3, "and 7 more")])
def test_of_many_mistakes_the_first_are_shown(write, count, lines, last):
    told = refused(write("".join(f"x{number}: 1\n" for number in range(count)))).splitlines()
    assert len(told) == lines
    assert last in told[-1]


def test_a_config_may_lie_anywhere():
    import fsspec

    with fsspec.open("memory://conf/c.yaml", "wt") as stream:
        stream.write("name: far\n")
    assert read_settings(Outer, "memory://conf/c.yaml", []).name == "far"


@pytest.mark.parametrize("override", ["inner.rate", "=3", "inner.=3", ".rate=3", ""])
def test_an_override_of_another_form(override):
    assert "expected section.key=value" in refused(None, override)


def test_an_override_that_contains_itself():
    assert "contains itself" in refused(None, "inner.names=&x [*x]")


def test_an_override_below_a_value():
    assert refused(None, "name=x", "name.y=1") == '--set name.y=1: name is "x" (--set name=x), not a section'


def test_anchors_and_merges_are_yaml_too(write):
    file = write("inner: &i {rate: 0.25}\nother: {}\n")
    assert read_settings(Outer, file, []).inner.rate == 0.25


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60)
@given(st.sampled_from(["name", "inner", "inner.rate", "inner.weights", "other.deep", "x.y"]), PLAIN)
def test_no_value_whatever_raises_anything_but_a_user_error(key, value):
    with suppress(UserError):
        read_settings(Outer, None, [f"{key}={yaml.safe_dump(value)}"])
