from collections.abc import Sequence

from pipeline.reports.why import OnOneDate, OverDates, Row, Seen, explain

A = Seen("a" * 32, "file:///a.jpg", "2024-05-01", "c1", "t1")
B = Seen("b" * 32, "file:///b.jpg", "2024-05-01", "c2", "t2")
LATER = Seen("d" * 32, "file:///d.jpg", "2024-05-03", "c9", "t2")


def link(date: str, cluster: str, previous: str | None, track: str, second: str | None = None) -> Row:
    rest = {"gap_days": 1, "similarity": 0.8, "probability": 0.9, "reason": "continues", "runner_up_margin": 0.5}
    return (
        {"date": date, "cluster_id": cluster, "previous_cluster_id": previous, "track_id": track}
        | rest
        | {"runner_up_track_id": second}
    )


def told(lines: Sequence[str], *parts: str) -> bool:
    return any(all(part in line for part in parts) for line in lines)


def test_two_clusters_of_a_date() -> None:
    path = OnOneDate(
        ranks=(3, None),
        k=30,
        path=["a", "m", "b"],
        steps=[0.9, 0.6],
        within=(0.8, None),
        between=0.4,
        method="the method auto",
        joined=0.55,
        tops=(0.75, None),
    )
    lines = list(explain(A, B, 0.5, path, None))
    assert told(lines, "They are in two clusters")
    assert told(lines, "B is neighbour 3 of A")
    assert told(lines, "A is no neighbour of B", "not among 30")
    assert told(lines, "0.600 b", "the weakest step")
    assert told(lines, "0.400 across", "0.800 and 1 image inside")
    assert told(lines, "0.550, beyond the cut", "complete at 0.750")


def test_images_that_no_path_connects() -> None:
    lines = list(explain(A, B, 0.5, OnOneDate((None, None), 5, [], [], (None, None), 0.1, "kmeans"), None))
    assert told(lines, "No path")


def test_one_track_is_followed_back() -> None:
    first = Seen("a" * 32, "file:///a.jpg", "2024-05-01", "c1", "t2")
    chain = [link("2024-05-03", "c9", "c5", "t2"), link("2024-05-02", "c5", "c1", "t2")]
    lines = list(explain(first, LATER, 0.7, None, OverDates(chain)))
    assert told(lines, "They are in one track")
    assert told(lines, "2024-05-02", "continues c1", "similarity 0.800")
    assert not told(lines, "another piece")


def test_two_tracks_part_where_the_other_came_second() -> None:
    birth = link("2024-05-02", "c5", None, "t2", "t1")
    over = OverDates([link("2024-05-03", "c9", "c5", "t2"), birth], [link("2024-05-02", "c6", "c1", "t1", "t2")])
    lines = list(explain(A, LATER, 0.7, None, over))
    assert told(lines, "They are in two tracks")
    assert told(lines, "begins track t2", "second best the other's track")
    assert told(lines, "cluster c6 continues c1", "second best the other's track")


def test_an_image_without_a_vector() -> None:
    lost = Seen("a" * 32, "file:///a.jpg", "2024-05-01", None, None)
    assert told(list(explain(lost, B, None, None, None)), "A has no vector")
