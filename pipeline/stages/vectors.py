"""Vectors between Arrow columns and arrays."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.schemas import vector_type


def to_matrix(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.float32]:
    """Turn a vector column without nulls into a C-contiguous float32 matrix (rows, dimensions); float16 is widened."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # no chunk at all, or too large for one
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    values = array.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values.reshape(len(array), array.type.list_size), dtype=np.float32)


def to_column(matrix: npt.NDArray[np.float32]) -> pa.FixedSizeListArray:
    """Turn a float32 matrix (rows, dimensions) into a vector column."""
    flat = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=vector_type(matrix.shape[1]))


def with_vector(rows: pa.Table) -> pa.Table:
    """Return the rows that have a vector, sorted by ``image_id``."""
    return rows.filter(rows["vector"].is_valid()).sort_by("image_id")
