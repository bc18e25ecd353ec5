"""Tables of any length in bounded memory: a block after the other, from some length on in a file on this machine."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BLOCK_ROWS = 2**16
HELD_ROWS = 2**17
"""Rows of one table that are held at once; a listing of as many takes some 50 MB."""

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


class Blocks:
    """Rows in their order.  First they are added, then they are read, as often as is wanted.

    Up to ``HELD_ROWS`` rows stay in memory.  With more, all lie in a temporary file (Arrow IPC) that goes with this
    object, and a reader has one block at a time.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.num_rows = 0
        self._held: list[pa.RecordBatch] = []
        self._starts: list[int] = []
        self._file: IO[bytes] | None = None
        self._writer: pa.RecordBatchFileWriter | None = None
        self._reader: pa.RecordBatchFileReader | None = None

    @classmethod
    def of(cls, rows: pa.Table) -> "Blocks":
        """The rows of a table, which stays in memory whatever its length."""
        blocks = cls(rows.schema)
        for batch in rows.to_batches(max_chunksize=BLOCK_ROWS):
            blocks._note(batch)
            blocks._held.append(batch)
        return blocks

    def add(self, rows: pa.Table) -> None:
        """Rows behind those that are there; before any is read."""
        for batch in rows.cast(self.schema).combine_chunks().to_batches(max_chunksize=BLOCK_ROWS):
            self._note(batch)
            if self._writer is not None:
                self._writer.write_batch(batch)
                continue
            self._held.append(batch)
            if self.num_rows > HELD_ROWS:
                self._spill()

    def __iter__(self) -> Iterator[pa.Table]:
        """The blocks."""
        return (self[number] for number in range(len(self._starts)))

    def __len__(self) -> int:
        """How many blocks there are."""
        return len(self._starts)

    def __getitem__(self, number: int) -> pa.Table:
        """One block."""
        if self._file is None:
            return pa.Table.from_batches([self._held[number]], self.schema)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._reader is None:
            self._reader = pa.ipc.open_file(pa.PythonFile(self._file, "r"))
        return pa.Table.from_batches([self._reader.get_batch(number)], self.schema)

    def table(self) -> pa.Table:
        """All rows, in memory."""
        return pa.concat_tables([self.schema.empty_table(), *self])

    def mapped(self, change: Callable[[pa.Table], pa.Table]) -> "Blocks":
        """Every block changed; this object's rows are as they were."""
        changed = Blocks(change(self.schema.empty_table()).schema)
        for block in self:
            changed.add(change(block))
        return changed

    def chosen(self, mask: Bools, rows: int = HELD_ROWS, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows where ``mask`` is set, some ``rows`` at a time."""
        held: list[pa.Table] = []
        for start, block in zip(self._starts, self, strict=True):
            narrow = block if columns is None else block.select(columns)
            held.append(narrow.filter(pa.array(mask[start : start + block.num_rows])))
            while sum(one.num_rows for one in held) >= rows:
                joined = pa.concat_tables(held)
                yield joined.slice(0, rows)
                held = [joined.slice(rows)]
        if sum(one.num_rows for one in held):
            yield pa.concat_tables(held)

    def take(self, places: Int64s, columns: Sequence[str]) -> pa.Table:
        """The rows at ``places``, in that order; all of them in memory."""
        order = np.argsort(places, kind="stable")
        bounds = np.searchsorted(places[order], [*self._starts, self.num_rows])
        found = [self.schema.empty_table().select(columns)]
        for number, start in enumerate(self._starts):
            if bounds[number] < bounds[number + 1]:
                here = places[order[bounds[number] : bounds[number + 1]]] - start
                found.append(self[number].select(columns).take(pa.array(here)))
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_tables(found).take(pa.array(back))

    def _note(self, batch: pa.RecordBatch) -> None:
        self._starts.append(self.num_rows)
        self.num_rows += batch.num_rows

    def _spill(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="imagetracks-")  # noqa: SIM115  (it is this object's)
        self._writer = pa.ipc.new_file(pa.PythonFile(self._file, "w"), self.schema)
        for batch in self._held:
            self._writer.write_batch(batch)
        self._held = []


def sorted_by_key(rows: Blocks, repeated: set[str] | None = None) -> Blocks:
    """Rows by ``key``, each key once: of several the last added, as unpacking an archive would leave it.

    Keys that several rows have are added to ``repeated``.

    By ranges of the key that hold some ``HELD_ROWS`` / 2 rows each, for which the blocks are gone through that have
    keys within.
    """
    ordered, extents = Blocks(rows.schema), [_extent(block) for block in rows]
    bounds = _bounds(rows)
    for low, high in zip([None, *bounds], [*bounds, None], strict=True):
        within = [rows.schema.empty_table()]
        for number, (first, last) in enumerate(extents):
            if (high is None or first < high) and (low is None or last >= low):
                within.append(_between(rows[number], low, high))
        ordered.add(_one_each(pa.concat_tables(within), set() if repeated is None else repeated))
    return ordered


def _extent(block: pa.Table) -> tuple[str, str]:
    ends = pc.min_max(block["key"])
    return ends["min"].as_py(), ends["max"].as_py()


def _bounds(rows: Blocks) -> list[str]:
    """Keys that part the rows into ranges of about the same number, from a sample of them."""
    ranges = 1 + 2 * rows.num_rows // HELD_ROWS if rows.num_rows > HELD_ROWS else 1
    if ranges == 1:
        return []
    step = max(1, HELD_ROWS // 1024)
    keys = [block["key"].take(pa.array(np.arange(0, block.num_rows, step))).to_numpy() for block in rows]
    sample = np.sort(np.concatenate(keys))
    return sorted({str(sample[len(sample) * number // ranges]) for number in range(1, ranges)})


def _between(block: pa.Table, low: str | None, high: str | None) -> pa.Table:
    if low is not None:
        block = block.filter(pc.greater_equal(block["key"], low))
    return block if high is None else block.filter(pc.less(block["key"], high))


def _one_each(rows: pa.Table, repeated: set[str]) -> pa.Table:
    rows = rows.take(pc.sort_indices(rows["key"]))
    keys = rows["key"].combine_chunks()
    again = pc.equal(keys[1:], keys[:-1]) if len(keys) > 1 else pa.array([], pa.bool_())
    if pc.any(again).as_py():
        repeated.update(keys[1:].filter(again).to_pylist())
        # Sorting is stable: the last of equal keys is the one that was added last.
        rows = rows.filter(pa.concat_arrays([pc.invert(again), pa.array([True])]))
    return rows


class Matches(NamedTuple):
    """What other rows say of some rows, an entry a row of these.

    Attributes:
        place: where among the others a row of this name stands first; -1: nowhere.
        reads: whether that one has the same version as far as it says how to read the object.
        same: whether it has the same version.
    """

    place: Int64s
    reads: Bools
    same: Bools


def matches(rows: Blocks, others: Blocks, on: str, last_word: int, counted: Bools | None = None) -> Matches:
    """Look each row up among the others, ``HELD_ROWS`` of these at a time.

    Args:
        rows: with the columns ``on`` and ``object_version``.
        others: the same.
        on: what an image is known by.
        last_word: signs at the end of a version that do not say how to read the object.
        counted: of the others only these are looked at, and places are among them; None: all.
    """
    place = np.full(rows.num_rows, -1, np.int64)
    reads, same = np.zeros((2, rows.num_rows), np.bool_)
    start = 0
    narrow = [on, "object_version"]
    for window in others.chosen(np.ones(others.num_rows, np.bool_) if counted is None else counted, columns=narrow):
        names, versions = (window[name].combine_chunks() for name in narrow)
        row = 0
        for block in rows:
            here = slice(row, row + block.num_rows)
            row += block.num_rows
            found = pc.index_in(block[on], value_set=names)
            new = (place[here] < 0) & found.is_valid().to_numpy()
            theirs, mine = versions.take(found.combine_chunks()), block["object_version"].combine_chunks()
            equal = pc.equal(theirs, mine)
            alike = pc.equal(*(pc.utf8_slice_codeunits(one, 0, -last_word) for one in (theirs, mine)))
            place[here][new] = start + found.fill_null(0).to_numpy()[new]
            for flags, values in ((same, equal), (reads, alike)):
                flags[here][new] = values.fill_null(False).to_numpy(zero_copy_only=False)[new]
        start += window.num_rows
    return Matches(place, reads, same)
