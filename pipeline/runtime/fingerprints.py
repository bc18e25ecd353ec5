"""The fingerprints stage: one vector for each image that has none yet, by one extractor (the verb map).

Incremental by row (DESIGN.md rule 4): a vector holds as long as the image's pixels and the extractor stay.  For each
date whose images changed, the rows that lack a vector are computed from ``images.pixels`` and the date is composed
again from those that hold and the new ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.commits import Manifest
from pipeline.compute.reasons import Reason
from pipeline.digests import digest
from pipeline.parts import Staged, read_rows, read_where
from pipeline.runtime.begun import Begun
from pipeline.runtime.context import Context
from pipeline.runtime.engine import Call, Fragment, MapJob
from pipeline.runtime.fingerprint_map import READS, Reader, Worker, Writer
from pipeline.runtime.fragments import FragmentWriter, Pieces, compose, describe
from pipeline.runtime.isolation import Isolated, run_isolated
from pipeline.runtime.staleness import parameters, why_stale
from pipeline.runtime.vocabulary import model_names, models
from pipeline.schemas import FINGERPRINTS, IMAGES
from pipeline.stages.fingerprint import (
    FingerprintParams,
    extractor_folder,
    extractor_inputs,
    pixels_keys,
)
from pipeline.tablestore import TableStore

VERSION = 1


_SLOWER_THAN_DECODING = 10
"""How much longer a large network may take for some images, on a slow CPU, than a decoder."""

_MOST_SPANS = 16
"""Of a unit: even of one image each they fill a network's batch; more would read from the store one after another."""

_HELD_BY = ("image_id", "pixels_key", "reason")


@dataclass(frozen=True)
class DateWork:
    """One date to do: its images, the partition to compose with, and what it depends on."""

    date: str
    images: Manifest
    old: Manifest | None
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """A table of fingerprints to bring up to date: by what, where, and its dates that are stale."""

    params: FingerprintParams
    store: TableStore
    maker: Mapping[str, str]
    stale: list[DateWork]

    @property
    def made_by(self) -> str:
        """Digest of the extractor and of what shapes its pixels."""
        return digest(self.maker)

    def wrote(self, fragment: Fragment) -> bool:
        """Whether the fragment holds rows of this table."""
        return fragment.path.startswith(self.store.fragment_path(self.made_by, ""))


def run_fingerprints(context: Context) -> None:
    """Bring the tables of ``fingerprints`` up to date with ``images``, in one pass over them where that is possible."""
    images = context.store(IMAGES)
    targets = [_target(context, params) for params in context.config.fingerprint.tables()]
    for target in targets:
        for date in [date for date in target.store.partitions if date not in images.partitions]:
            context.workspace.begin()
            target.store.remove(date)
    targets = [target for target in targets if target.stale]
    if targets:
        context.workspace.begin()
    fragments = _map(context, targets)
    for target in targets:
        _compose_dates(context, target, fragments[target.made_by])
        target.store.flush()
        target.store.drop_fragments()


def stale_dates(context: Context, params: FingerprintParams | None = None) -> list[DateWork]:
    """Dates in the window whose fingerprints are missing or were made of other images or by another extractor.

    ``params``: of the table, as :meth:`FingerprintParams.tables` gives them; None for the main one.
    """
    return _target(context, params or context.config.fingerprint.tables()[0]).stale


def _target(context: Context, params: FingerprintParams) -> Target:
    images, maker = context.store(IMAGES), makers(context, params)
    store = context.workspace.store(FINGERPRINTS, extractor_folder(params.name))
    works = []
    for date, manifest in images.partitions.items():
        inputs = {**maker, "images": digest(manifest.content_of(READS))}
        old = store.partitions.get(date)
        if context.in_window(date) and why_stale(old, inputs) is not None:
            works.append(DateWork(date, manifest, old, inputs))
    return Target(params, store, maker, works)


def makers(context: Context, params: FingerprintParams | None = None) -> dict[str, str]:
    """The extractor and what shapes its pixels, as inputs: a vector made by another is not taken over."""
    everything = parameters("ingest", context.config.ingest)
    shaping = {name: everything[name] for name in ("ingest.image_px", "ingest.jpeg_quality")}
    params = params or context.config.fingerprint.tables()[0]
    words = {f"vocabulary of {name}": model for name, model in model_names(context, params).items()}
    return {"version": str(VERSION), **extractor_inputs(params), **shaping, **words}


Units = list[tuple[pa.Table, int]]
"""Units of a map, and how many images each has."""


def _map(context: Context, targets: list[Target]) -> dict[str, list[Fragment]]:
    """Fragments by the digest of the table's maker; tables that lack the same images are made in one pass."""
    fragments = {one.made_by: _left_over(one.store, one.made_by) for one in targets}
    todo = {one.made_by: _units(context, one, fragments[one.made_by]) for one in targets}
    for units, together in _passes(todo, targets):
        made = _map_together(context, together, units)
        for target in together:
            fragments[target.made_by] += [found for one in made for found in (one, *one.beside) if target.wrote(found)]
        if sum(one.rows for one in made) < sum(rows for _, rows in units):
            for target in together:
                left = _units(context, target, fragments[target.made_by])
                fragments[target.made_by] += _map_apart(context, target, left)
    return fragments


def _passes(units: Mapping[str, Units], targets: list[Target]) -> list[tuple[Units, list[Target]]]:
    """What is to be done, and for which tables: those that lack the same images go together."""
    passes: list[tuple[Units, list[Target]]] = []
    for target in targets:
        mine = units[target.made_by]
        alike = next((tables for todo, tables in passes if _same(todo, mine)), None)
        if alike is not None:
            alike.append(target)
        elif mine:
            passes.append((mine, [target]))
    return passes


def _same(one: Units, other: Units) -> bool:
    return len(one) == len(other) and all(
        mine.equals(theirs) for (mine, _), (theirs, _) in zip(one, other, strict=True)
    )


def _map_together(context: Context, targets: list[Target], units: Units) -> list[Fragment]:
    """One pass over ``images`` for all ``targets``."""
    resources, first = context.config.resources, targets[0]
    total, begun = sum(rows for _, rows in units), Begun(first.store, first.made_by, _places)
    died = begun.left()
    trusted = [unit for unit, _ in units if died.isdisjoint(_places(unit))]
    reader = Reader(context.store(IMAGES))
    worker = partial(
        Worker, [(target.params, target.made_by) for target in targets], models(context, context.config.fingerprint)
    )
    context.reporter.start("fingerprints", total, "images")
    writer = Writer(tuple(FragmentWriter(target.store, target.made_by) for target in targets))
    job = MapJob(trusted, reader, writer, resources.rows_per_fragment, worker, wants_gpu=True, begun=begun)
    made = context.engine().map(job, partial(_advance, context))
    context.reporter.finish()
    context.done["fingerprints"] += total
    return made


def _advance(context: Context, done: int, failed: Mapping[str, int]) -> None:
    """Tell of what failed here; what has no pixels was told when it was read."""
    context.reporter.advance(done, failed.get(Reason.EXTRACTOR_FAILED, 0))


def _map_apart(context: Context, target: Target, units: Units) -> list[Fragment]:
    """What is left of a map: images that died with their process as often as they were tried, and their company."""
    resources = context.config.resources
    fitted = {name: words.tolist() for name, words in models(context, target.params).items()}
    settings = {"params": target.params.model_dump(mode="json"), "made_by": target.made_by, "fitted": fitted}
    reason, attempts = Reason.EXTRACTOR_FAILED, resources.retries + 1
    seconds = _SLOWER_THAN_DECODING * resources.decode_seconds
    work = Isolated("fingerprints", settings, reason, "pixels", attempts, seconds)
    reader = Reader(context.store(IMAGES))
    writer = FragmentWriter(target.store, target.made_by)
    return run_isolated(context, "fingerprints", [(reader, work, writer, unit) for unit, _ in units], wants_gpu=True)


def _left_over(store: TableStore, made_by: str) -> list[Fragment]:
    """Fragments of a killed run: made by the same extractor, so they hold where the image's pixels are the same."""
    return [
        describe(path, size, read_where(store.filesystem, path, size, None, ["image_id", "reason", "date"]))
        for path, size in store.fragments(made_by)
    ]


def _units(context: Context, target: Target, fragments: list[Fragment]) -> Units:
    """What there is to do beside the fragments: units, and how many images each has."""
    spans: Units = []
    for work in target.stale:
        here = [fragment for fragment in fragments if work.date in fragment.dates]
        missing = _missing(context, target, work, here) if work.old or here else None
        spans += _spans(context, work, missing)
    return list(filled(spans, context.config.resources.rows_per_fragment))


def filled(spans: Units, rows: int) -> Iterator[tuple[pa.Table, int]]:
    """Units of one span, or of several (at most 16) that have at most ``rows`` images together.

    A network's last batch is padded (DESIGN.md rule 10): for each date of three photographs that were five times the
    work.
    """
    held: list[pa.Table] = []
    count = 0
    for span, number in spans:
        if held and (count + number > rows or len(held) == _MOST_SPANS):
            yield pa.concat_tables(held), count
            held, count = [], 0
        held.append(span)
        count += number
    if held:
        yield pa.concat_tables(held), count


def _spans(context: Context, work: DateWork, missing: pa.Array | None) -> Iterator[tuple[pa.Table, int]]:
    """Spans of the date's parts that have images to do (``missing``; None: all), and how many each has.

    None has more than a fragment: an extractor keeps to itself what it has done of a span until all of it is done.
    """
    images, rows = context.store(IMAGES), context.config.resources.rows_per_fragment
    for part in work.images.parts:
        path = f"{images.folder(work.date)}/{part.name}"
        whole = (0, part.rows)
        ids = read_rows(images.filesystem, path, part.bytes, whole, ["image_id"])["image_id"] if missing else None
        for start in range(0, part.rows, rows):
            stop = min(part.rows, start + rows)
            if missing is None:
                yield _span_of(work.date, path, part.bytes, (start, stop), None), stop - start
            elif ids is not None:
                here = ids.slice(start, stop - start)
                wanted = here.filter(pc.is_in(here, value_set=missing)).to_pylist()
                if wanted:
                    yield _span_of(work.date, path, part.bytes, (start, stop), wanted), len(wanted)


def _span_of(date: str, path: str, size: int, span: tuple[int, int], wanted: list[str] | None) -> pa.Table:
    fields = {"date": pa.string(), "path": pa.string(), "bytes": pa.int64(), "start": pa.int64(), "stop": pa.int64()}
    schema = pa.schema([*fields.items(), ("wanted", pa.list_(pa.string()))])
    row = {"date": date, "path": path, "bytes": size, "start": span[0], "stop": span[1], "wanted": wanted}
    return pa.Table.from_pylist([row], schema=schema)


def _places(unit: pa.Table) -> list[str]:
    """Where the unit's rows lie."""
    return [f"{one['path']} {one['start']}" for one in unit.select(["path", "start"]).to_pylist()]


def _missing(context: Context, target: Target, work: DateWork, fragments: list[Fragment]) -> pa.Array:
    """Ids of the date's images whose fingerprint is neither in the old partition nor in a fragment."""
    store = target.store
    of_date = pc.field("date") == work.date
    have = [read_where(store.filesystem, one.path, one.bytes, of_date, _HELD_BY) for one in fragments]
    if work.old:
        have.append(store.read(work.date, _HELD_BY, work.old))
    images = Images(context.store(IMAGES), work.date, work.images, target.made_by).read()
    done = _holds(pa.concat_tables(have)).combine_chunks()
    return images["image_id"].filter(pc.invert(pc.is_in(_holds(images), value_set=done))).combine_chunks()


@dataclass(frozen=True)
class Images:
    """One date's images, as far as they decide which fingerprints hold; sent to workers."""

    store: TableStore
    date: str
    manifest: Manifest
    made_by: str

    def read(self) -> pa.Table:
        """``image_id``, ``pixels_key`` and ``reason``."""
        rows = self.store.read(self.date, READS, self.manifest)
        keys = pixels_keys(rows, self.made_by)
        return pa.table({"image_id": rows["image_id"], "pixels_key": keys, "reason": rows["reason"]})


def compose_fingerprints(pieces: Pieces, images: Images, part_bytes: int, *, threads: int, gpu: bool) -> Staged:
    """On a worker: stage one date's fingerprints: a row for each image, the old one where it holds, else the new."""
    del threads, gpu  # no use of either here
    wanted = _holds(images.read()).combine_chunks()

    def merge(new: pa.Table | None, old: pa.Table | None) -> pa.Table:
        held = [one.filter(pc.is_in(_holds(one), value_set=wanted)) for one in (old, new) if one is not None]
        kind = held[-1].schema.field("vector")
        return pa.concat_tables([_with_vectors_as(kind, one) for one in held])

    return pieces.store.stage(pieces.date, compose(pieces, part_bytes, merge), part_bytes, pieces.old)


def _with_vectors_as(kind: pa.Field, rows: pa.Table) -> pa.Table:
    """``rows``, which have no vector if theirs are of another type: they hold for the reason that they have none."""
    at = rows.schema.get_field_index("vector")
    if rows.schema.field(at).type == kind.type:
        return rows
    return rows.set_column(at, kind, pa.nulls(rows.num_rows, kind.type))


def _holds(rows: pa.Table) -> pa.ChunkedArray:
    """What must be equal for a fingerprint to hold: the image and its pixels; without pixels, the image's reason."""
    state = pc.coalesce(rows["pixels_key"], rows["reason"])
    return pc.binary_join_element_wise(rows["image_id"], state, " ")


def _compose_dates(context: Context, target: Target, fragments: list[Fragment]) -> None:
    store, images, made_by = target.store, context.store(IMAGES), target.made_by
    works = {work.date: work for work in target.stale}
    part_bytes = context.config.resources.part_bytes
    calls = []
    for work in target.stale:
        here = tuple((one.path, one.bytes) for one in fragments if work.date in one.dates)
        arguments = (Pieces(store, work.date, work.old, here), Images(images, work.date, work.images, made_by))
        calls.append(Call("fingerprints", work.date, compose_fingerprints, (*arguments, part_bytes)))
    context.reporter.start("fingerprints by date", len(calls), "dates")
    for date, staged in context.engine().call(calls):
        store.commit(date, staged, works[date].inputs, works[date].images.rows)
        context.reporter.advance(1)
    context.reporter.finish()
