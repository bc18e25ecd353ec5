"""What a table is: columns, their types, a key, and the check that rows are the table's; ``schemas`` declares them."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import SchemaError


@dataclass(frozen=True)
class Column:
    """A column; ``type`` is None where it is known only at run time (a vector's length, the metadata's fields)."""

    name: str
    type: pa.DataType | None
    doc: str
    nullable: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """A table: ``folder`` says whose it is: the collection's, an extractor's or a clustering's.

    ``history``: it holds what runs did one after the other, so it is kept and not computed from other tables.
    """

    name: str
    doc: str
    folder: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition_key: str = "date"
    history: bool = False

    @property
    def names(self) -> list[str]:
        """Column names in their declared order."""
        return [column.name for column in self.columns]

    def check(self, rows: pa.Table) -> pa.Table:
        """Return ``rows`` if they are this table's: columns, types, nulls, order by key, unique key.

        Raises:
            SchemaError: says what was found and what was expected.
        """
        self._check_columns(rows.schema)
        for column in self.columns:
            if column.name in rows.column_names and not column.nullable and rows[column.name].null_count:
                raise SchemaError(f"{self.name}.{column.name}: {rows[column.name].null_count} nulls, expected none")
        self._check_key(rows)
        return rows

    def empty(self, types: Iterable[tuple[str, pa.DataType]] = ()) -> pa.Table:
        """No rows; ``types`` gives the open columns their types (an open column without one is left out)."""
        given = dict(types)
        fields = [
            pa.field(c.name, c.type if c.type is not None else given[c.name])
            for c in self.columns
            if c.type is not None or c.name in given
        ]
        return pa.schema(fields).empty_table()

    def _check_columns(self, schema: pa.Schema) -> None:
        expected = [c for c in self.columns if not (c.optional and c.name not in schema.names)]
        if schema.names != [c.name for c in expected]:
            raise SchemaError(f"{self.name}: found columns {schema.names}, expected {[c.name for c in expected]}")
        for column, field in zip(expected, schema, strict=True):
            fits = _is_open_type(field.type) if column.type is None else field.type == column.type
            if not fits:
                raise SchemaError(
                    f"{self.name}.{column.name}: found {field.type}, expected {column.type or 'a vector'}"
                )

    def _check_key(self, rows: pa.Table) -> None:
        if rows.num_rows < 2:
            return
        keys = rows.select(list(self.key)).combine_chunks()
        above = pa.array([False] * (rows.num_rows - 1))
        equal = pa.array([True] * (rows.num_rows - 1))
        for name in self.key:
            column = keys[name].combine_chunks()
            before, after = column.slice(0, rows.num_rows - 1), column.slice(1)
            above = pc.or_(above, pc.and_(equal, pc.greater(after, before)))
            equal = pc.and_(equal, pc.equal(after, before))
        wrong = rows.num_rows - 1 - (pc.sum(pc.cast(above, pa.int64())).as_py() or 0)
        if wrong:
            raise SchemaError(
                f"{self.name}: {wrong} rows out of order or with a key seen before ({', '.join(self.key)})"
            )


def vector_type(dimensions: int, value: pa.DataType | None = None) -> pa.DataType:
    """The type of a vector column; the child is called ``element`` and nullable, or Parquet does not round-trip it."""
    return pa.list_(pa.field("element", value or pa.float32(), nullable=True), dimensions)


def _is_open_type(found: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(found) or pa.types.is_struct(found))


def list_type(value: pa.DataType) -> pa.DataType:
    """The type of a list column."""
    return pa.list_(pa.field("element", value, nullable=True))


ID = pa.string()
IMAGE_ID = Column("image_id", ID, "The image: 32 hex digits of BLAKE2b over its key in the collection.")
