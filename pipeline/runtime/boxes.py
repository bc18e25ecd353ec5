"""Boxes in a manifest: the regions of its photographs."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import UserError
from pipeline.stages.ingest import BOX

Bools = npt.NDArray[np.bool_]


def read_boxes(named: str, rows: pa.Table, columns: tuple[str, ...], unit: str) -> pa.StructArray | None:
    """The boxes of a manifest's rows, null where a row is a whole photograph; None where there are no such columns.

    Raises:
        UserError: a row has some of the four numbers and not others, something that is no number, a width or height
            that is none, or numbers of another unit than ``unit``.
    """
    if not set(columns) <= set(rows.column_names):
        return None
    sides = [_numbers(named, rows, column) for column in columns]
    empty = np.array([np.isnan(side) for side in sides])
    if (half := empty.any(axis=0) & ~empty.all(axis=0)).any():
        raise _wrong(named, rows, columns, half, "some of a box's numbers and not all", "all four, or none")
    x, y, width, height = sides
    if (flat := (width <= 0) | (height <= 0) | np.isinf(np.array(sides)).any(axis=0)).any():
        raise _wrong(named, rows, columns, flat, "a box without an area", "a width and a height above 0")
    given = ~empty[0]
    if unit == "fractions" and (large := (x > 1) | (y > 1) | (width > 1) | (height > 1)).any():
        raise _wrong(named, rows, columns, large, "a box beyond 1", "fractions of the photograph's sides (box_unit)")
    if unit == "pixels" and given.any() and (small := given & (width <= 1) & (height <= 1))[given].all():
        raise _wrong(
            named,
            rows,
            columns,
            small,
            "boxes of one pixel at most in every row",
            "pixels, or ingest.box_unit=fractions",
        )
    if unit == "pixels" and (within := (width < 1) & (height < 1)).any():
        expected = "pixels in every row, or fractions in every row (ingest.box_unit=fractions)"
        raise _wrong(named, rows, columns, within, "a box smaller than a pixel", expected)
    mask = pa.array(~given)
    return pa.StructArray.from_arrays([pa.array(side) for side in sides], fields=list(BOX), mask=mask)


def _numbers(named: str, rows: pa.Table, column: str) -> npt.NDArray[np.float64]:
    """A column's numbers, nan where it is empty."""
    values = rows[column]
    try:
        if pa.types.is_string(values.type):
            values = pc.utf8_trim_whitespace(values)
            values = pc.if_else(pc.equal(values, ""), None, values)
        numbers = values.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(
            f"{named}: the column {column!r} holds something that is no number ({str(error)[:80]})\n"
            "expected a box's numbers, or nothing; a column of another meaning can be left out by ingest.box_columns"
        ) from error
    found: npt.NDArray[np.float64] = numbers.fill_null(np.nan).to_numpy()
    return found


def _wrong(
    named: str, rows: pa.Table, columns: tuple[str, ...], where: pa.Array, found: str, expected: str
) -> UserError:
    row = int(np.flatnonzero(where)[0])
    shown = ", ".join(f"{column}={rows[column][row].as_py()}" for column in columns)
    return UserError(f"{named}: row {row + 1} has {found} ({shown})\nexpected {expected}")
