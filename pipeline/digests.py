"""What a value, a table's columns or a partition depend on, as 32 hex digits of BLAKE2b (128 bits)."""

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_SIZE = 16


def digest(value: Any) -> str:
    """Digest of a JSON-like value; the order of a mapping's keys is irrelevant, that of a list is not."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return blake2b(text.encode(), digest_size=_SIZE).hexdigest()


class ContentDigest:
    """Digests of a table's columns, fed in row order; however the rows are split, the result is the same.

    Null bitmaps, chunks, slices and dictionary encoding are ways of storing and do not count; types do.  An Arrow
    column becomes up to a few byte streams (validity, lengths, values; children one by one), each hashed by itself, so
    that the boundaries between calls leave no trace.
    """

    def __init__(self) -> None:
        self._streams: dict[str, dict[str, blake2b]] = {}
        self._types: dict[str, str] = {}

    def update(self, rows: pa.Table) -> None:
        """Add rows that follow those already added."""
        for name in rows.column_names:
            self._types.setdefault(name, str(rows.schema.field(name).type))
            streams = self._streams.setdefault(name, {})
            for chunk in rows[name].chunks:
                for label, data in _streams(chunk, ""):
                    streams.setdefault(label, blake2b(digest_size=_SIZE)).update(data)

    def hexdigests(self) -> dict[str, str]:
        """Column name -> digest; columns that never had a row are digests of nothing but their type."""
        return {
            name: digest([self._types[name], {label: h.hexdigest() for label, h in sorted(streams.items())}])
            for name, streams in sorted(self._streams.items())
        }


def content_digests(rows: pa.Table) -> Mapping[str, str]:
    """Column digests of one whole table."""
    content = ContentDigest()
    content.update(rows)
    return content.hexdigests()


def _streams(array: pa.Array, label: str) -> Iterator[tuple[str, bytes]]:
    """The canonical byte streams of an array: what it means, not how it is stored."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if len(array):
        yield f"{label}?", array.is_valid().cast(pa.uint8()).to_numpy(zero_copy_only=False).tobytes()
    kind = array.type
    if pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            child = pc.if_else(array.is_valid(), pc.struct_field(array, [index]), None)
            yield from _streams(child, f"{label}.{kind.field(index).name}")
    elif pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield f"{label}#", _fixed(pc.list_value_length(array), np.int64)
        yield from _streams(array.flatten(), f"{label}[]")
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        yield f"{label}#", _fixed(pc.binary_length(array), np.int64)
        yield f"{label}:", b"".join(array.cast(pa.large_binary()).drop_null().to_pylist())
    elif pa.types.is_null(kind):
        return
    else:
        yield f"{label}:", _fixed(array, None)


def _fixed(array: pa.Array, dtype: Any) -> bytes:
    """Values of fixed width as bytes, zeros where null."""
    if pa.types.is_temporal(array.type):
        array = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    values: np.ndarray[Any, Any] = array.fill_null(0).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values, dtype=dtype).tobytes()
