from math import inf

from pipeline.compute.criteria import Connected, Criterion, Dense, Pulled
from pipeline.reports.criteria import in_words


def told(method: str, found: Criterion, *, together: bool = False) -> str:
    return "\n".join(in_words(method, found, together))


def test_dbscan_tells_cores_from_borders_and_whether_a_chain_is_short_enough() -> None:
    text = told("dbscan", Dense((0.1, 0.4), 3, 0.3, 0.5))
    assert (
        "Around A lie 3 images, itself counted, within a distance of 0.100, inside the reach of 0.300: a core" in text
    )
    assert "Around B lie 3 images, itself counted, within a distance of 0.400, beyond the reach" in text
    assert "steps of 0.500 at most, beyond the reach" in text
    assert "steps of 0.200 at most, inside the reach" in told("dbscan", Dense((0.1, 0.1), 3, 0.3, 0.2), together=True)
    text = told("dbscan", Dense((inf, 0.4), 3, 0.3, inf))
    assert "fewer than 3 images around A" in text
    assert "No chain of cores connects them" in text


def test_hdbscan_tells_levels_of_density() -> None:
    text = told("hdbscan", Dense((0.1, 0.4), 2, None, 0.5, (0.2, None)))
    assert "connected at a mutual reachability distance of 0.500; their clusters are complete at 0.200." in text
    assert "their cluster is complete at 0.200" in told(
        "hdbscan", Dense((0.1, 0.1), 2, None, 0.15, (0.2, 0.2)), together=True
    )


def test_what_pulls_an_image_to_either_cluster() -> None:
    found = Pulled((2.0, 0.5), (3.0, 0.25), ((1.0, 1.5), (1.25, 1.75)), -0.01)
    text = told("leiden", found)
    assert "A's edges into its cluster weigh 2.000 (1.000 by chance), into the other 0.500" in text
    assert "B's edges into its cluster weigh 3.000 (1.250 by chance)" in text
    assert "change modularity by -0.0100" in text
    assert "into the other" not in told("chinese_whispers", Pulled((2.0, 2.0), (3.0, 3.0)), together=True)
    assert "A's similarity to the center of its cluster is 0.900, of the other 0.200" in told(
        "kmeans", Pulled((0.9, 0.2), (0.8, 0.1))
    )


def test_components_tell_a_missing_path_from_a_weak_one_and_from_a_cut_chain() -> None:
    assert "No path" in told("components", Connected(None, None, 0.5))
    assert "steps of 0.400 or more, less than the 0.500 asked for" in told("components", Connected(0.4, 0.1, 0.5))
    text = told("components", Connected(0.7, 0.3, 0.5))
    assert "at least the 0.500" in text
    assert "mean similarity of 0.300" in text
    assert "chaining" not in told("components", Connected(0.7, 0.6, 0.5), together=True)
