from collections import defaultdict
from itertools import pairwise

from pipeline.sample.ageing import PLACES
from pipeline.sample.subjects import SUBJECTS
from pipeline.sample.world import DATES, HANGINGS, MERGED, MERGED_AWAY, SPLIT, SPLIT_PIECE, WEATHER, events, views


def seen() -> dict[str, list[int]]:
    """Identity -> indices of the dates it is on the wall."""
    found = defaultdict(list)
    for index in range(len(DATES)):
        for view in views(index):
            found[view.identity].append(index)
    return dict(found)


def test_the_script_has_the_size_a_newcomer_can_follow() -> None:
    assert len(DATES) == len(WEATHER) == 12
    assert 15 <= len(seen()) <= 20
    days = [(later - earlier).days for earlier, later in pairwise(DATES)]
    assert min(days) > 0
    assert len(set(days)) > 1


def test_everything_in_the_script_exists() -> None:
    assert set(HANGINGS) == set(SUBJECTS)
    assert {hanging.place for hanging in HANGINGS.values()} == set(PLACES)


def test_the_events_are_what_the_views_show() -> None:
    """Births, ends and the gap are read off who is there; a split piece is not born and a merged print does not end."""
    expected = set()
    for identity, indices in seen().items():
        if indices[0] > 0:
            kind, other = ("split", SPLIT) if identity == SPLIT_PIECE else ("birth", "")
            expected.add((kind, DATES[indices[0]], identity, other))
        for earlier, later in pairwise(indices):
            if later - earlier > 1:
                assert later - earlier == 3
                expected.add(("gap", DATES[later], identity, ""))
        if identity == MERGED_AWAY:
            expected.add(("merge", DATES[indices[-1] + 1], identity, MERGED))
        elif indices[-1] < len(DATES) - 1:
            expected.add(("end", DATES[indices[-1]], identity, ""))
    happened = events()
    assert {(event.kind, event.date, event.identity, event.other) for event in happened} == expected
    assert {event.kind for event in happened} == {"birth", "end", "gap", "split", "merge"}


def test_a_merged_print_is_in_the_picture_it_went_into() -> None:
    last = {view.identity: [part.subject for part in view.parts] for view in views(len(DATES) - 1)}
    assert last[MERGED] == [MERGED, MERGED_AWAY]
    assert last[SPLIT] == last[SPLIT_PIECE] == [SPLIT]


def test_prints_age_and_new_prints_are_new() -> None:
    ages = defaultdict(list)
    for index in range(len(DATES)):
        for view in views(index):
            ages[view.identity].append(view.parts[0].age)
    for identity, found in ages.items():
        assert found == sorted(found)
        assert found[0] == 0 or identity == SPLIT_PIECE
        assert found[-1] <= 1
