"""Tables of linking with published ids in place of its own keys."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.published_ids import published_id
from pipeline.schemas import Table


class Names:
    """Key -> published id, as the registry has it."""

    def __init__(self, registry: pa.Table) -> None:
        """Names of the registry's rows: ``track_id``, ``track_key``, ``retired``."""
        rows = registry.sort_by([("retired", "ascending"), ("track_id", "ascending")])
        self._keys = rows["track_key"].combine_chunks()
        self._ids = rows["track_id"].combine_chunks()

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


def publish(declared: Table, rows: pa.Table, names: Names) -> pa.Table:
    """Rows of one of linking's tables as those of the published one, sorted by its key."""
    columns = {name.replace("track_key", "track_id"): rows[name] for name in rows.column_names}
    for name in rows.column_names:
        if name.endswith("track_key"):
            columns[name.replace("track_key", "track_id")] = names.of(rows[name])
    published = pa.table(columns).select(declared.names).cast(declared.empty().schema)
    return published.sort_by([(name, "ascending") for name in declared.key])
