"""The coordinates of a date's images where the config weighs metadata or time beside the content."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.schemas import COORDINATES
from pipeline.stages.projection import apply
from pipeline.stages.vectors import to_column, to_matrix

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

MOST_CATEGORIES = 1024
"""Categories of a column on one date: each is a coordinate."""

_CLOCK: dict[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "hour": lambda times: _fraction(times, "hour"),
    "month": lambda times: _fraction(times, "month"),
}
"""Names that stand for a part of captured_at where the metadata has no such column: hours 0 to 24, months 1 to 13."""


class Weighed(BaseModel):
    """How a metadata column counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["categorical", "numeric", "cyclic", "geographic", "ordered"]
    weight: float = Field(ge=0)
    scale: float | None = Field(None, gt=0)
    period: float | None = Field(None, gt=0)
    levels: tuple[str, ...] | None = None
    columns: tuple[str, str] | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "Weighed":
        needs = {"numeric": "scale", "cyclic": "period", "geographic": "scale", "ordered": "levels"}.get(self.kind)
        if needs and getattr(self, needs) is None:
            raise ValueError(f"kind {self.kind} needs {needs}")
        if self.kind == "geographic" and self.columns is None:
            raise ValueError("kind geographic needs columns: [latitude, longitude]")
        return self


class GeometryParams(Params):
    """What counts as near, beside the content: nothing unless named here."""

    content: float = Field(1.0, ge=0, description="Weight of the squared distance of projected vectors.")
    reduction: Literal["none", "tsne", "umap"] = Field(
        "none",
        description="tsne and umap: in place of its projected vectors the content is each date's own map in two "
        "dimensions, a mean of 1 from its middle (of squares). Linking sees the projected vectors all the same.",
    )
    neighbors: int = Field(30, ge=2, le=1000, description="Images that count as near in that map, as in section map.")
    seed: int = Field(0, ge=0, description="Of that map.")
    time: float = Field(0.0, ge=0, description="Weight of the squared time between two images over time_scale.")
    time_scale: float = Field(24.0, gt=0, description="Hours that count as 1.")
    metadata: dict[str, Weighed] = Field(
        default_factory=dict,
        description="Column -> {kind, weight, ...}. categorical: 1 apart if different; numeric: needs scale, the "
        "difference that counts as 1; cyclic: needs period (hour and month of captured_at are always there); "
        "geographic: needs scale in km and columns [latitude, longitude]; ordered: needs levels, its ends 1 apart.",
    )

    @field_validator("metadata", mode="wrap")
    @classmethod
    def _names_the_column(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ": ".join(str(part) for part in first["loc"])
            raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None

    @property
    def weighs(self) -> bool:
        """Whether anything but the content counts, or the content is weighed or mapped."""
        changed = self.content != 1.0 or self.reduction != "none"
        return changed or self.time > 0 or any(one.weight > 0 for one in self.metadata.values())


def coordinates(fingerprints: pa.Table, model: pa.Table, images: pa.Table, params: GeometryParams) -> pa.Table:
    """Place a date's images.

    Args:
        fingerprints: The date's ``schemas.FINGERPRINTS`` (image_id and vector are read), in any order.
        model: One row of ``schemas.PROJECTION``.
        images: The date's ``schemas.IMAGES`` (image_id, captured_at and metadata are read).
        params: The stage's parameters.

    Returns:
        ``schemas.COORDINATES``: a row an image with a vector.

    Raises:
        UserError: a column that the config names is not there, or holds what its kind cannot.
    """
    import pyarrow.compute as pc

    from pipeline.compute.geometry import augment, fill_missing, numeric

    ids, content = apply(model, fingerprints)
    if params.reduction != "none":
        content = _mapped(content, params)
    rows = images.take(pc.index_in(pa.array(ids, pa.string()), value_set=images["image_id"].combine_chunks()))
    blocks: list[tuple[float, Float64s]] = []
    if params.time > 0:
        hours = numeric(_numbers(rows["captured_at"].cast(pa.int64()), "captured_at") / 3.6e9, params.time_scale)
        blocks.append((params.time, fill_missing(hours, ids, "captured_at")))
    for name, weighed in sorted(params.metadata.items()):
        if weighed.weight > 0 and ids:
            blocks.append((weighed.weight, fill_missing(_block(rows, name, weighed), ids, name)))
    placed = augment(content, params.content, blocks)
    return COORDINATES.check(pa.table({"image_id": pa.array(ids, pa.string()), "vector": to_column(placed)}))


def seen(model: pa.Table, fingerprints: pa.Table, placed: pa.Table | None) -> tuple[list[str], Float32s, bool]:
    """What neighbours and clusters see: sorted image_ids, coordinates (n, d), and whether these have unit length."""
    if placed is None:
        ids, vectors = apply(model, fingerprints)
        return ids, vectors, bool(model["unit"][0].as_py())
    return placed["image_id"].to_pylist(), to_matrix(placed["vector"]), False


def _mapped(content: Float32s, params: GeometryParams) -> Float32s:
    """The date's own map (n, 2), of mean square 1; a map's unit says nothing."""
    from pipeline.compute.knn import Search
    from pipeline.compute.maps import MapSettings, make_map
    from pipeline.compute.projection import unit_rows

    settings = MapSettings(neighbors=params.neighbors, seed=params.seed)
    places = make_map(unit_rows(content).astype(np.float32), params.reduction, settings, Search(seed=params.seed))
    size = float(np.sqrt((places.astype(np.float64) ** 2).sum(axis=1).mean())) if len(places) else 1.0
    return np.asarray(places / (size or 1.0), dtype=np.float32)


def _block(rows: pa.Table, name: str, weighed: Weighed) -> Float64s:
    """The coordinates of one column, NaN where it has no value."""
    from pipeline.compute import geometry

    if weighed.kind == "geographic":
        latitude, longitude = (_numbers(_column(rows, one), one) for one in weighed.columns or ())
        return geometry.geographic(latitude, longitude, weighed.scale or 1.0)
    column = _column(rows, name)
    if weighed.kind == "numeric":
        return geometry.numeric(_numbers(column, name), weighed.scale or 1.0)
    if weighed.kind == "cyclic":
        return geometry.cyclic(_numbers(column, name), weighed.period or 1.0)
    words = _words(column)
    distinct = sorted({word for word in words if word is not None})
    if weighed.kind == "categorical":
        if len(distinct) > MOST_CATEGORIES:
            raise UserError(
                f"geometry.metadata: column {name!r} has {len(distinct)} categories on one date, expected at most "
                f"{MOST_CATEGORIES}\nuse kind numeric, or a column that groups them"
            )
        return geometry.categorical(words)
    levels = weighed.levels or ()
    strange = [word for word in distinct if word not in levels]
    if strange:
        raise UserError(
            f"geometry.metadata: column {name!r} holds {strange[0]!r}, expected one of {', '.join(levels)}\n"
            "add it to levels, where it belongs in their order"
        )
    return geometry.ordered(words, levels)


def _column(rows: pa.Table, name: str) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    known: dict[str, int] = {}
    if "metadata" in rows.column_names:
        known = {one.name: place for place, one in enumerate(rows["metadata"].type)}
    if name in known:
        return pc.struct_field(rows["metadata"], [known[name]])
    if name in _CLOCK:
        return _CLOCK[name](rows["captured_at"])
    there = ", ".join(known) or "it has none"
    raise UserError(
        f"geometry.metadata names the column {name!r}, expected one of the manifest's: {there}\n"
        "correct the name, or take it out"
    )


def _numbers(column: pa.ChunkedArray, name: str) -> Float64s:
    """Float64 (n,), NaN for null and empty; text that reads as a number is one."""
    if pa.types.is_string(column.type):
        import pyarrow.compute as pc

        column = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    except pa.ArrowInvalid as error:
        raise UserError(
            f"geometry.metadata: column {name!r} is to be a number: {error}\n"
            "use kind categorical or ordered, or leave such values empty"
        ) from None


def _words(column: pa.ChunkedArray) -> Sequence[str | None]:
    """Text (n,), None for null and empty."""
    return [str(value) if value is not None and value != "" else None for value in column.to_pylist()]


def _fraction(times: pa.ChunkedArray, unit: str) -> pa.ChunkedArray:
    """The hour of the day with its fraction, or the month with its."""
    import pyarrow.compute as pc

    if unit == "hour":
        minutes = pc.add(pc.multiply(pc.hour(times), 60), pc.minute(times))
        return pc.divide(pc.cast(minutes, pa.float64()), 60.0)
    day = pc.divide(pc.cast(pc.subtract(pc.day(times), 1), pa.float64()), 31.0)
    return pc.add(pc.cast(pc.month(times), pa.float64()), day)
