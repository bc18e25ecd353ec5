"""Ids that survive being read aloud."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compute.published_ids import ALPHABET, published_id, read_id


def test_an_id_is_three_groups_of_three_that_can_be_read_aloud() -> None:
    ids = {published_id(f"{k:010d}") for k in range(2000)}
    assert len(ids) == 2000
    assert all(len(one) == 11 and one[3] == one[7] == "-" for one in ids)
    assert all(not set(one) - set(ALPHABET) - {"-"} for one in ids)


def test_a_second_attempt_is_another_id() -> None:
    assert len({published_id("k", attempt) for attempt in range(50)}) == 50


def test_an_id_is_read_as_people_write_it() -> None:
    one = next(one for one in map(published_id, map(str, range(999))) if "0" in one and "1" in one)
    assert read_id(one.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == one


@settings(max_examples=30)
@given(st.text(max_size=12), st.integers(0, 8), st.integers(0, 8), st.sampled_from(ALPHABET))
def test_a_wrong_character_and_an_exchange_of_two_are_found(key: str, i: int, j: int, other: str) -> None:
    plain = published_id(key).replace("-", "")
    wrong = plain[:i] + other + plain[i + 1 :]
    letters = list(plain)
    letters[i], letters[j] = letters[j], letters[i]
    for given_text in {wrong, "".join(letters)} - {plain}:
        with pytest.raises(ValueError, match="no track id"):
            read_id(given_text)


@pytest.mark.parametrize("text", ["", "8GH", "8GH-9ZG-7FXX", "8GH-9ZG-7F!"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected nine letters"):
        read_id(text)
