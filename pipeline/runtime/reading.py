"""Reading images: the map over what is new or changed, what a killed run left of one, and what kills its worker."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.identity import image_id
from pipeline.compute.reasons import TRANSIENT, Reason
from pipeline.errors import TooManyFailuresError
from pipeline.parts import read_where
from pipeline.runtime.begun import Begun
from pipeline.runtime.blocks import Blocks, Bools, matches
from pipeline.runtime.comparing import WORD_DIGITS, kept_uris
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Fragment, MapJob
from pipeline.runtime.fragments import FragmentWriter, describe
from pipeline.runtime.isolation import Isolated, Watch, cut, run_isolated
from pipeline.runtime.sources import fetch
from pipeline.schemas import IMAGES
from pipeline.stages.ingest import BOX, WANTED, ingest
from pipeline.stages.ingest_params import IngestParams
from pipeline.storage import FileSystem
from pipeline.tablestore import TableStore

ROWS_PER_MAP = 2**17
"""Of a listing that are given to an engine at once: 100 MB of the driver's memory, an hour's work of a core."""

_ROWS_PER_CPU = 1024
"""If that is more: some ten seconds of decoding, so that a large cluster is not idle at the end of each map."""

_FEWEST_FOR_FRACTION = 20
"""A share of failures says little about fewer images than this (DESIGN.md rule 5)."""


@dataclass(frozen=True)
class Reader:
    """Fetches and decodes the images of a unit, the next bytes coming while these are decoded; sent to workers."""

    filesystem: FileSystem
    params: IngestParams
    concurrency: int
    retries: int
    seconds: float | None = None
    """After so long the decoding of one piece is taken to hang, and its process ends; None: it may take any time."""

    def __call__(self, unit: pa.Table) -> Iterator[pa.Table]:
        """One table of images, with their dates, in the unit's order."""
        done = []
        for fetched in self.fetched(unit):
            with Watch(self.seconds):
                done.append(ingest(fetched, self.params))
        yield pa.concat_tables(done)

    def fetched(self, unit: pa.Table) -> Iterator[pa.Table]:
        """The unit's objects with their bytes, a piece at a time."""
        pieces = list(cut(unit))
        with ThreadPoolExecutor(max_workers=1) as ahead:
            waiting = ahead.submit(self._fetch, pieces[0])
            for following in [*pieces[1:], None]:
                fetched = waiting.result()
                if following is not None:
                    waiting = ahead.submit(self._fetch, following)
                yield fetched

    def _fetch(self, objects: pa.Table) -> pa.Table:
        params = self.params
        return fetch(objects, self.filesystem, self.concurrency, params.max_bytes, self.retries, params.image_column)


class FailureGuard:
    """Counts images that failed for good, and refuses to go on once they are more than the run's limit allows.

    The limit is a share of all images of the run, so it does not matter which of them are read first.
    """

    def __init__(self, images: int, limit: float, advance: Callable[[int, int], None] = lambda _done, _failed: None):
        """For a run of so many ``images`` to read, beside those of :meth:`count`."""
        self._images, self._limit, self._advance = images, limit, advance
        self._reasons = Counter[str]()

    def __call__(self, done: int, failed: Mapping[str, int]) -> None:
        """An engine's progress: so many more are done, of which these failed.

        Raises:
            TooManyFailuresError: too many of a run of at least 20.
        """
        self._advance(done, sum(failed.values()))
        self._check(failed)

    def count(self, fragments: list[Fragment]) -> None:
        """Count images that are done already.

        Raises:
            TooManyFailuresError: too many of a run of at least 20.
        """
        self._images += sum(fragment.rows for fragment in fragments)
        for fragment in fragments:
            self._check(fragment.failed)

    def _check(self, failed: Mapping[str, int]) -> None:
        self._reasons.update({reason: number for reason, number in failed.items() if reason not in TRANSIENT})
        if self._images >= _FEWEST_FOR_FRACTION and self._reasons.total() > self._limit * self._images:
            most = ", ".join(f"{number} {reason}" for reason, number in self._reasons.most_common(3))
            raise TooManyFailuresError(
                f"{self._reasons.total()} of {self._images} new images cannot be used ({most}): more than "
                f"resources.max_failed_fraction = {self._limit:g} allows\nnothing of before was changed; mend the "
                "images, or run again with --set resources.max_failed_fraction=1 to take them in with their reasons"
            )


def read_work(context: Context, listing: Blocks, work: Bools, stage: str, filesystem: FileSystem) -> list[Fragment]:
    """Fragments that hold every listed row of ``work``: those a killed run left, and those of maps over the rest.

    A map has so many rows that the engine is busy for a while, and no more, for the driver holds them.
    """
    store, resources = context.store(IMAGES), context.config.resources
    params, concurrency, seconds = context.config.ingest, resources.fetch_concurrency, resources.decode_seconds
    fragments, rest = _left_over(store, stage, listing, work, params)
    total = int(rest.sum())
    if not total:
        return fragments
    reader = Reader(filesystem, params, concurrency, resources.retries, seconds)
    guard = FailureGuard(total, resources.max_failed_fraction, context.reporter.advance)
    guard.count(fragments)
    writer, begun = FragmentWriter(store, stage), Begun(store, stage, _keys)
    left, died = begun.left(), list[pa.Table]()
    context.reporter.start("images", total, "images")
    engine = context.engine()
    for rows in listing.chosen(rest, max(ROWS_PER_MAP, _ROWS_PER_CPU * engine.num_workers)):
        units = list(units_of(rows.filter(pc.invert(_begun(rows, left))), resources.rows_per_fragment))
        made = engine.map(MapJob(units, reader, writer, resources.rows_per_fragment, begun=begun), guard)
        if params.regions == "faces" or sum(fragment.rows for fragment in made) < rows.num_rows:
            died.append(_without(rows, store, made))
        fragments += made
        del rows, units  # before the next are gathered
    context.reporter.finish()
    context.done["images"] += total
    return fragments + (_read_apart(context, reader, writer, pa.concat_tables(died)) if died else [])


def units_of(work: pa.Table, rows: int) -> Iterator[pa.Table]:
    """Units of some ``rows`` images each: a row an object, with all that is wanted of it (``images``).

    Args:
        work: of the listing, sorted by key; the images of one object follow one another.
        rows: images that a unit is filled up to; the last object's may pass it.
    """
    if "member" in work.column_names:  # as they lie there, so that neighbours are read together
        places = pa.Table.from_struct_array(work["member"]).select(["archive", "place", "length"])
        places = places.append_column("uri", work["uri"])  # a link has its file's place
        work = work.take(pc.sort_indices(places, [(name, "ascending") for name in places.column_names]))
    first = _first_of_objects(work)
    start = 0
    while start < len(first) - 1:
        end = max(start + 1, int(np.searchsorted(first, first[start] + rows, side="right")) - 1)
        yield _nested(work.slice(first[start], first[end] - first[start]).combine_chunks(), first[start : end + 1])
        start = end


def _first_of_objects(work: pa.Table) -> npt.NDArray[np.int32]:
    """Where each object's images begin, and at last the number of rows."""
    if not work.num_rows:
        return np.zeros(1, np.int32)
    uris = work["uri"].combine_chunks()
    new = pc.not_equal(uris[1:], uris[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.flatnonzero(new) + 1, [work.num_rows]]).astype(np.int32)


def _nested(images: pa.Table, first: npt.NDArray[np.int32]) -> pa.Table:
    """A row an object: its own columns, and ``images`` with what differs among its images."""
    wanted = [name for name in (*WANTED, "metadata") if name in images.column_names]
    entries = pa.StructArray.from_arrays([_filled(images, name) for name in wanted], names=wanted)
    if "box" not in wanted:
        boxes = pa.nulls(len(entries), BOX)
        entries = pa.StructArray.from_arrays([*entries.flatten(), boxes], names=[*wanted, "box"])
    lists = pa.ListArray.from_arrays(pa.array(first - first[0], pa.int32()), entries)
    own = [name for name in images.column_names if name not in wanted]
    objects = images.select(own).take(pa.array(first[:-1] - first[0], pa.int64()))
    return objects.append_column("images", lists)


def _filled(images: pa.Table, name: str) -> pa.Array:
    return pa.concat_arrays(images[name].chunks) if images[name].num_chunks else pa.array([], images[name].type)


def _keys(unit: pa.Table) -> list[str]:
    """A name an object, without the signs that a key may have."""
    return [image_id(key) for key in unit["key"].to_pylist()]


def _begun(rest: pa.Table, left: set[str]) -> pa.Array:
    """Whether a run that died had begun the object."""
    return pa.array([bool(left) and image_id(key) in left for key in rest["key"].to_pylist()], pa.bool_())


def _without(rest: pa.Table, store: TableStore, made: list[Fragment]) -> pa.Table:
    """What no fragment has: by the photograph, whatever became of it."""
    have = [read_where(store.filesystem, one.path, one.bytes, None, ["uri"])["uri"] for one in made]
    uris = pa.concat_arrays([pa.array([], pa.string()), *(chunk for column in have for chunk in column.chunks)])
    return rest.filter(pc.invert(pc.is_in(kept_uris(rest), value_set=uris)))


def _read_apart(context: Context, reader: Reader, writer: FragmentWriter, rest: pa.Table) -> list[Fragment]:
    """What is left of a map: images whose process died, and their company."""
    resources = context.config.resources
    settings = {"params": reader.params.model_dump(mode="json")}
    reason, attempts, seconds = Reason.DECODER_CRASHED, resources.retries + 1, resources.decode_seconds
    work = Isolated("images", settings, reason, "bytes", attempts, seconds)
    units = units_of(rest, resources.rows_per_fragment)
    return run_isolated(context, "images", [(reader.fetched, work, writer, unit) for unit in units])


def _left_over(
    store: TableStore, stage: str, listing: Blocks, work: Bools, params: IngestParams
) -> tuple[list[Fragment], Bools]:
    """Fragments of a killed run that hold nothing but what is still listed so, and the work that they leave.

    None where faces are looked for: whether a photograph has all of its faces there is not known without looking.
    """
    if params.regions == "faces":
        return [], work
    columns = ["image_id", "object_version"]
    found, rows = list[Fragment](), Blocks(IMAGES.empty().select(columns).schema)
    for path, size in store.fragments(stage):
        held = read_where(store.filesystem, path, size, None, [*columns, "reason", "date"])
        fragment = describe(path, size, held)
        if not any(reason in TRANSIENT for reason in fragment.failed):
            found.append(fragment)
            rows.add(held.select(columns))
    listed, rest = matches(rows, listing, "image_id", WORD_DIGITS), work.copy()
    kept, start = [], 0
    for fragment in found:
        here = slice(start, start + fragment.rows)
        start += fragment.rows
        if listed.reads[here].all():
            kept.append(fragment)
            rest[listed.place[here]] = False
    return kept, rest
