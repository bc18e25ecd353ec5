"""Tables of linking with published ids in place of its own keys."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.published_ids import published_id
from pipeline.schemas import Table


class Names:
    """Key -> published id, as the registry has it."""

    def __init__(self, registry: pa.Table) -> None:
        """Names of the registry's rows: ``track_id``, ``track_key``, ``later_keys``, ``retired``."""
        rows = registry.sort_by([("retired", "ascending"), ("track_id", "ascending")])
        ids, later = rows["track_id"], rows["later_keys"]
        keys = pa.chunked_array([*pc.list_flatten(later).chunks, *rows["track_key"].chunks], pa.string())
        self._keys = keys.combine_chunks()  # once: ``of`` is asked for each column
        self._ids = pa.chunked_array([*pc.take(ids, pc.list_parent_indices(later)).chunks, *ids.chunks], pa.string())
        joined = rows.filter(pc.greater(pc.list_value_length(later), 0))
        parts = zip(joined["track_key"].to_pylist(), joined["later_keys"].to_pylist(), strict=True)
        self._taken_up = pa.array([key for first, keys in parts for key in (first, *keys[:-1])], pa.string())

    def of(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        """The ids of keys, null for null.

        A key that no run has named is that of a track which ``--dates`` left behind when the dates before it were
        linked again; it is called as it would be named.
        """
        found = pc.take(self._ids, pc.index_in(keys, value_set=self._keys))
        unknown = pc.and_(pc.is_null(found), pc.is_valid(keys))
        if not pc.any(unknown).as_py():
            return found
        own = [None if key is None else published_id(key) for key in keys.to_pylist()]
        return pc.if_else(unknown, pa.chunked_array([pa.array(own, pa.string())]), found)

    def taken_up(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        """Of each key whether a later one is the same track."""
        return pc.is_in(keys, value_set=self._taken_up)


def publish(declared: Table, rows: pa.Table, names: Names) -> pa.Table:
    """Rows of one of linking's tables as those of the published one, sorted by its key."""
    columns = {name.replace("track_key", "track_id"): rows[name] for name in rows.column_names}
    for name in rows.column_names:
        if name.endswith("track_key"):
            columns[name.replace("track_key", "track_id")] = names.of(rows[name])
    if "other_track_id" in columns:  # of two tracks of linking that are one
        own = pc.fill_null(pc.equal(columns["other_track_id"], columns["track_id"]), False)
        columns["other_track_id"] = pc.if_else(own, None, columns["other_track_id"])
    published = pa.table(columns).select(declared.names).cast(declared.empty().schema)
    return published.sort_by([(name, "ascending") for name in declared.key])
