"""Naming: tracks of linking -> published ids, which stay with the images that they are known by.

Linking's tracks are called by *keys* that derive from their first cluster; a late image in it gives the track another
key.  Naming gives each key a published id: that of the track before with which it shares most images, and else one
that derives from the key alone.  So ids derive from content until history says otherwise.  The history is the
``registry`` and what ``tracks`` published; linking reads neither.
"""

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline import schemas
from pipeline.compute.published_ids import published_id
from pipeline.params import Params
from pipeline.stages.stitched import NONE, Chains

Counts = Mapping[tuple[str | None, str | None], int]
"""(published id before, key now) -> images; None where there is none."""


class NamingParams(Params):
    """Parameters of naming."""

    least_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="A track keeps its id while it has this share of the images that it has or had.",
    )


@dataclass(frozen=True)
class Alias:
    """What became of an id: ``merged into``, ``split from``, ``retired``, ``revived``."""

    kind: str
    other: str | None
    images: int


@dataclass
class Naming:
    """The registry after a run, and what the run did to the ids that it found.

    Attributes:
        registry: ``schemas.REGISTRY``.
        ids: Key -> id, of the keys that were weighed.
        renamed: Ids of tracks whose key is still there and has another id now.
        elsewhere: Whether any of them has images on dates that did not change.
        aliases: Id -> what became of it.
        churn: ``kept``, ``new``, ``merged``, ``split``, ``retired``, ``revived`` ids, ``images_kept``, and
            ``stitched``: tracks of linking that turned out to be the later part of another.
    """

    registry: pa.Table
    ids: dict[str, str]
    renamed: dict[str, str]
    elsewhere: bool
    aliases: dict[str, Alias]
    churn: Counter[str] = field(default_factory=Counter)

    def alias_rows(self) -> pa.Table:
        """``schemas.ALIASES``."""
        rows = [
            {"track_id": one, "kind": alias.kind, "other_track_id": alias.other, "images": alias.images}
            for one, alias in sorted(self.aliases.items())
        ]
        return pa.Table.from_pylist(rows, schema=schemas.ALIASES.empty().schema)


def keyed(assignments: pa.Table, decisions: pa.Table, chains: Chains) -> pa.Table:
    """``image_id`` and ``track_key`` of one date's images that have a track; the first key of those that are one."""
    rows = assignments.select(["image_id", "cluster_id"])
    tracks = pa.table({"cluster_id": decisions["cluster_id"], "track_key": chains.rooted(decisions["track_key"])})
    return rows.join(tracks, "cluster_id", join_type="inner").select(["image_id", "track_key"])


def beside(before: pa.Table, now: pa.Table) -> pa.Table:
    """A row an image of either: ``image_id``, ``track_id`` before and ``track_key`` now, null where there is none.

    Args:
        before: ``image_id``, ``track_id`` as published (rows without a track are left out).
        now: from :func:`keyed`.
    """
    known = before.select(["image_id", "track_id"]).filter(pc.is_valid(before["track_id"]))
    both = known.join(now, "image_id", join_type="full outer", coalesce_keys=True)
    return both.select(["image_id", "track_id", "track_key"]).sort_by("image_id")


def tally(both: pa.Table) -> Counter[tuple[str | None, str | None]]:
    """Images of each pair of an id before and a key now, from :func:`beside`."""
    counts = both.group_by(["track_id", "track_key"], use_threads=False).aggregate([([], "count_all")])
    columns = (counts[name].to_pylist() for name in ("track_id", "track_key", "count_all"))
    return Counter({(old, key): images for old, key, images in zip(*columns, strict=True)})


def name(registry: pa.Table, moved: Counts, params: NamingParams, chains: Chains = NONE) -> Naming:
    """Give every track its id.

    Cost and memory: those of the tracks on the dates that changed, and the registry, which has a row an id ever given
    (some 60 bytes).

    Args:
        registry: ``schemas.REGISTRY`` as the last naming left it; none at first.
        moved: images of the dates that are not as they were published, by id before and key now.  All other images of
            a track are where its key says.
        params: the stage's parameters.
        chains: keys that are one track; ``moved`` has the first of each.
    """
    weighed = _Weighed.of(registry, moved, chains)
    pairs = weighed.match(params.least_share)
    ids = dict(pairs)
    issued = _Issued(registry, set(pairs.values()))
    fresh = sorted(weighed.keys - set(ids))
    ids.update((key, issued.next(key)) for key in fresh)
    revived = {ids[key] for key in fresh if ids[key] in issued.known}
    aliases = weighed.aliases(ids, {ids[key] for key in fresh}, revived)
    keep = pc.invert(pc.is_in(registry["track_id"], pa.array([*weighed.live, *ids.values()], pa.string())))
    untouched = registry.filter(keep)
    rows = {one: _row(one, key, retired=True) for one, (key, _) in weighed.live.items()}
    rows |= {one: _row(one, key, chains.later.get(key, ()), weighed.sizes[key]) for key, one in ids.items()}
    written = pa.Table.from_pylist(list(rows.values()), schemas.REGISTRY.empty().schema)
    table = pa.concat_tables([untouched, written]).sort_by("track_id")
    now = {one: ids.get(chains.root.get(key, key), one) for one, (key, _) in weighed.live.items()}
    renamed = {one: other for one, other in now.items() if other != one}
    elsewhere = any(weighed.live[one][1] for one in renamed)
    kinds = Counter(alias.kind for alias in aliases.values())
    still = untouched.filter(pc.invert(untouched["retired"]))
    churn = Counter(
        kept=still.num_rows + len(pairs),
        new=len(fresh) - len(revived),
        merged=kinds["merged into"],
        split=kinds["split from"],
        retired=kinds["retired"],
        revived=kinds["revived"],
        images_kept=(pc.sum(still["num_images"]).as_py() or 0)
        + sum(weighed.shared[one, key] for key, one in pairs.items()),
        stitched=len(chains.moved(registry)[0]),
    )
    return Naming(table, ids, renamed, elsewhere, aliases, churn)


@dataclass
class _Weighed:
    """The ids and keys that a run's changes concern.

    ``live``: id -> its key, and its images on dates that did not change; ``shared``: (id, key) -> images that both
    have; ``sizes``: key -> images; ``keys``: those that have a cluster now; ``later``: ids of tracks that have
    turned out to be the later part of another, whose id they take: it is the older one.
    """

    live: dict[str, tuple[str, int]]
    shared: Counter[tuple[str, str]]
    sizes: Counter[str]
    later: set[str]

    @classmethod
    def of(cls, registry: pa.Table, moved: Counts, chains: Chains) -> "_Weighed":
        left, sizes, shared = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
        for (old, key), images in moved.items():
            if old is not None:
                left[old] += images
            if key is not None:
                sizes[key] += images
            if old is not None and key is not None:
                shared[old, key] += images
        concerned = pc.or_(
            pc.is_in(registry["track_id"], pa.array(left, pa.string())),
            pc.is_in(chains.rooted(registry["track_key"]), pa.array(sizes, pa.string())),
        )
        live = {}
        for row in registry.filter(pc.and_(concerned, pc.invert(registry["retired"]))).to_pylist():
            # What is not on a changed date is where it was; of a run that was killed the figure may be a little off.
            rest = max(0, row["num_images"] - left[row["track_id"]])
            key = chains.root.get(row["track_key"], row["track_key"])
            live[row["track_id"]] = (row["track_key"], rest)
            if rest:
                shared[row["track_id"], key] += rest
                sizes[key] += rest
        found = Counter({pair: images for pair, images in shared.items() if pair[0] in live})
        return cls(live, found, sizes, {one for one, (key, _) in live.items() if key in chains.root})

    @property
    def keys(self) -> set[str]:
        return set(self.sizes)

    def match(self, least_share: float) -> dict[str, str]:
        """Key -> id, of the tracks that are recognised."""
        if not self.shared:
            return {}
        from scipy.sparse import coo_array

        from pipeline.compute.naming import recognised

        ids = sorted({one for one, _ in self.shared})
        keys = sorted({key for _, key in self.shared})
        row, column = {one: i for i, one in enumerate(ids)}, {key: j for j, key in enumerate(keys)}
        older = {key for one, key in self.shared if one not in self.later}
        pairs = sorted((one, key) for one, key in self.shared if one not in self.later or key not in older)
        places = ([row[one] for one, _ in pairs], [column[key] for _, key in pairs])
        table = coo_array(([self.shared[pair] for pair in pairs], places), shape=(len(ids), len(keys)))
        held = np.array([self.live[one][0] == key for one, key in pairs])
        found = recognised(table, held, least_share)
        return {keys[j]: ids[i] for i, j in zip(*(side.tolist() for side in found), strict=True)}

    def aliases(self, ids: Mapping[str, str], fresh: set[str], revived: set[str]) -> dict[str, Alias]:
        """What became of the ids that are not where they were, and where the fresh ones come from."""
        onto, from_ = defaultdict[str, list[tuple[int, str]]](list), defaultdict[str, list[tuple[int, str]]](list)
        for (one, key), images in self.shared.items():
            onto[one].append((-images, ids[key]))
            from_[ids[key]].append((-images, one))
        found, given = {}, set(ids.values())
        for one in self.live.keys() - given:
            lost, other = min(onto[one], default=(0, None))
            found[one] = Alias("retired" if other is None or other in fresh else "merged into", other, -lost)
        for one in fresh:
            came, origin = min(from_[one], default=(0, None))
            if one in revived:
                found[one] = Alias("revived", origin, -came)
            elif origin in given:
                found[one] = Alias("split from", origin, -came)
        return found


class _Issued:
    """Ids ever given, so that none is given to another track."""

    def __init__(self, registry: pa.Table, taken: set[str]) -> None:
        self.known = set(registry["track_id"].to_pylist())
        gone = registry.filter(registry["retired"])
        self._retired = dict(zip(gone["track_id"].to_pylist(), gone["track_key"].to_pylist(), strict=True))
        self._taken = taken

    def next(self, key: str) -> str:
        """The key's id: one that it had before and that is free, or the first of its own that nobody ever had."""
        attempt = 0
        while True:
            one = published_id(key, attempt)
            if one not in self._taken and (one not in self.known or self._retired.get(one) == key):
                self._taken.add(one)
                return one
            attempt += 1


def _row(one: str, key: str, later: Sequence[str] = (), images: int = 0, *, retired: bool = False) -> dict[str, object]:
    return {"track_id": one, "track_key": key, "later_keys": list(later), "num_images": images, "retired": retired}


def changes(day: str, both: pa.Table, naming: Naming) -> pa.Table:
    """``schemas.CHANGES`` of one date, from :func:`beside` and what was named."""
    old = both["track_id"].to_pylist()
    new = [None if key is None else naming.ids[key] for key in both["track_key"].to_pylist()]
    return _changed(day, zip(both["image_id"].to_pylist(), old, new, strict=True), naming)


def renamed(day: str, before: pa.Table, naming: Naming) -> pa.Table:
    """``schemas.CHANGES`` of a date that is as it was published but for tracks with another id."""
    rows = before.select(["image_id", "track_id"]).filter(
        pc.is_in(before["track_id"], pa.array(naming.renamed, pa.string()))
    )
    old = rows["track_id"].to_pylist()
    return _changed(day, zip(rows["image_id"].to_pylist(), old, map(naming.renamed.get, old), strict=True), naming)


def _changed(day: str, images: Iterable[tuple[str, str | None, str | None]], naming: Naming) -> pa.Table:
    rows = [
        {
            "date": datetime.date.fromisoformat(day),
            "image_id": image,
            "old_track_id": old,
            "new_track_id": new,
            "why": _why(old, new, naming.aliases),
        }
        for image, old, new in images
        if old != new
    ]
    return pa.Table.from_pylist(rows, schema=schemas.CHANGES.empty().schema).sort_by("image_id")


def _why(old: str | None, new: str | None, aliases: Mapping[str, Alias]) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    gone, come = aliases.get(old), aliases.get(new)
    if gone is not None and gone.other == new:
        return "merged" if gone.kind == "merged into" else "renamed"
    if come is not None:
        return {"split from": "split", "revived": "revived"}.get(come.kind, "moved")
    return "moved"
