"""The evidence of a date's method on two images, as sentences."""

from collections.abc import Iterator

from pipeline.compute.criteria import Connected, Criterion, Dense, Pulled

_NAMES = ("A", "B")


def in_words(method: str, found: Criterion, together: bool) -> Iterator[str]:
    """Sentences, a line each.

    Args:
        method: The date's.
        found: Its evidence.
        together: Whether the images are in one cluster.
    """
    if isinstance(found, Connected):
        yield from _connected(found, together)
    elif isinstance(found, Dense):
        yield from _of_dbscan(found, found.reach) if found.reach is not None else _of_hdbscan(found, together)
    else:
        yield from _pulled(method, found, together)


def _connected(found: Connected, together: bool) -> Iterator[str]:
    if found.joined is None or found.mean is None:
        yield "No path of images that are each other's neighbours connects them."
        return
    enough = found.joined >= found.asked
    side = "at least" if enough else "less than"
    yield (
        f"Images that are each other's neighbours connect them by steps of {found.joined:.3f} or more, "
        f"{side} the {found.asked:.3f} asked for."
    )
    if enough and not together:
        yield (
            f"What is connected so has a mean similarity of {found.mean:.3f}: where that is below {found.asked:.3f} "
            "the weakest steps are cut, against chaining."
        )


def _of_dbscan(found: Dense, reach: float) -> Iterator[str]:
    for name, core in zip(_NAMES, found.cores, strict=True):
        what = f"inside the reach of {reach:.3f}: a core" if core <= reach else f"beyond the reach of {reach:.3f}"
        rest = "" if core <= reach else ": no core, at most the border of a cluster"
        yield f"{_crowd(name, found.min_samples, core)}, {what}{rest}."
    if found.joined == float("inf"):
        yield "No chain of cores connects them."
    else:
        side = "inside" if found.joined <= reach else "beyond"
        yield f"From core to core they are connected by steps of {found.joined:.3f} at most, {side} the reach."


def _of_hdbscan(found: Dense, together: bool) -> Iterator[str]:
    for name, core in zip(_NAMES, found.cores, strict=True):
        yield f"{_crowd(name, found.min_samples, core)}."
    tops = [f"{top:.3f}" for top in found.tops[: 1 if together else 2] if top is not None]
    whose = "their cluster is" if together else "their clusters are"
    end = f"; {whose} complete at {' and '.join(tops)}" if tops else ""
    yield (
        f"As the density falls they are connected at a mutual reachability distance of {found.joined:.3f}{end}. "
        "Clusters are the branches that last longest, the rest is noise."
    )


def _crowd(name: str, count: int, within: float) -> str:
    if within == float("inf"):
        return f"The neighbour graph has fewer than {count} images around {name}"
    return f"Around {name} lie {count} images, itself counted, within a distance of {within:.3f}"


def _pulled(method: str, found: Pulled, together: bool) -> Iterator[str]:
    chances = found.expected or (None, None)
    for name, pulls, chance in zip(_NAMES, (found.first, found.second), chances, strict=True):
        own, other = (_amount(pulls, chance, place) for place in (0, 1))
        if method == "kmeans":
            elsewhere = "" if together else f", of the other {other}"
            yield f"{name}'s similarity to the center of its cluster is {own}{elsewhere}."
        else:
            elsewhere = "" if together else f", into the other {other}"
            yield f"{name}'s edges into its cluster weigh {own}{elsewhere}."
    if method == "chinese_whispers":
        yield "An image takes the cluster into which its edges weigh most, in turns."
    if found.gain is not None:
        yield f"Joining the two clusters would change modularity by {found.gain:+.4f}."


def _amount(pulls: tuple[float, float], chance: tuple[float, float] | None, place: int) -> str:
    return f"{pulls[place]:.3f}" + ("" if chance is None else f" ({chance[place]:.3f} by chance)")
