"""Fingerprints: an image's pixels -> its vector by one extractor (map, incremental by row)."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from pipeline.compute import extractors
from pipeline.compute.extractors import ensemble
from pipeline.compute.pixels import resize_in_one_thread
from pipeline.compute.reasons import Flaw, Reason
from pipeline.params import Params
from pipeline.schemas import vector_type

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")
_READABLE = {"/": "-", ":": "@"}


class FingerprintParams(Params):
    """How an image becomes a vector."""

    extractor: str | tuple[str, ...] = Field(
        "efficientnet_lite0",
        description="efficientnet_lite0; torchvision/<model>[:<node>] or timm/<model>[:<module>]; faces/dlib; "
        "classical/<descriptor>; raw_pixels:size=92x112:color=grey; or a function of yours, package.module.function. "
        "`imagetracks extractors` lists them. Of a list, the vectors are put side by side, each of length one.",
    )
    block_weights: tuple[float, ...] | None = Field(
        None, description="With a list: what each extractor's squared distance weighs; null: all alike."
    )
    also: tuple[str, ...] = Field(
        (), description="Further extractors, computed in the same pass over the images, each into a table of its own."
    )
    weights: str | dict[str, str] | None = Field(
        None,
        description="Path or URI of a weights file (safetensors, or a state dict of tensors), or such a file for an "
        "extractor's name; null: the published ones.",
    )
    precision: extractors.Precision = Field(
        "float32",
        description="float32; bfloat16 (faster, cosine to float32 .985 to .9999 by network); float16 (GPU only).",
    )
    storage: Literal["float32", "float16"] = Field(
        "float32", description="Numbers of a stored vector; float16 halves the tables and keeps the neighbours."
    )

    @field_validator("extractor", "also")
    @classmethod
    def _known(cls, names: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(names, str):
            return extractors.resolve(names).name
        if len(set(names)) < len(names):
            raise ValueError("an extractor is named twice")
        return tuple(extractors.resolve(name).name for name in names)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.names:
            raise ValueError("fingerprint.extractor: found an empty list, expected one extractor or several")
        given = self.block_weights
        if given is not None and (len(given) != len(self.names) or min(given) <= 0):
            raise ValueError(
                f"fingerprint.block_weights: found {list(given)}, expected a number above 0 for each of "
                f"{', '.join(self.names)}"
            )
        if self.name in self.also:
            raise ValueError(f"fingerprint.also: found {self.name}, which fingerprint.extractor has")
        unknown = set(self.weights if isinstance(self.weights, dict) else ()) - {*self.names, *self.also}
        if unknown:
            raise ValueError(f"fingerprint.weights: found {', '.join(sorted(unknown))}, which is no extractor here")
        if isinstance(self.weights, str) and len({*self.names, *self.also}) > 1:
            raise ValueError("fingerprint.weights: found one file for several extractors, expected NAME: FILE")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The extractors whose vectors make up a fingerprint."""
        return (self.extractor,) if isinstance(self.extractor, str) else self.extractor

    @property
    def name(self) -> str:
        """The fingerprint's name: the extractors', with plus signs between them."""
        return "+".join(self.names)

    def tables(self) -> tuple["FingerprintParams", ...]:
        """Parameters of each table of fingerprints: that of ``extractor`` first, then those of ``also``."""
        return (self._of(self.extractor), *(self._of(name) for name in self.also))

    def weights_of(self, name: str) -> str | None:
        """The weights file for one of the extractors."""
        return self.weights.get(name) if isinstance(self.weights, dict) else self.weights

    def _of(self, extractor: str | tuple[str, ...]) -> "FingerprintParams":
        names = {extractor} if isinstance(extractor, str) else set(extractor)
        mine = {name: file for name in names if (file := self.weights_of(name)) is not None} or None
        blocks = self.block_weights if extractor == self.extractor else None
        return self.model_copy(update={"extractor": extractor, "also": (), "weights": mine, "block_weights": blocks})


def extractor_digest(params: FingerprintParams) -> str:
    """32 hex digits over what decides a vector besides the pixels: network, node, preprocessing, weights, precision.

    Reads the weights' bytes and loads no network.

    Raises:
        UserError: the weights file cannot be read.
    """
    found = [
        extractors.digest(extractors.resolve(name), params.weights_of(name), params.precision) for name in params.names
    ]
    return found[0] if len(found) == 1 else ensemble.digest(found, _blocks(params))


def extractor_inputs(params: FingerprintParams) -> dict[str, str]:
    """What :func:`extractor_digest` is made of, each by itself: so that a person can be told which has changed.

    Raises:
        UserError: the weights file cannot be read.
    """
    specs = [extractors.resolve(name) for name in params.names]
    found = {
        "extractor": [spec.digest("", "float32") for spec in specs],
        "weights": [extractors.weights_hash(spec, params.weights_of(spec.name)) for spec in specs],
    }
    inputs = {"fingerprint.precision": params.precision}
    if params.storage != "float32":  # left out, what was stored before there was a choice still holds
        inputs["fingerprint.storage"] = params.storage
    if len(specs) == 1:
        return {**inputs, **{key: one for key, (one,) in found.items()}}
    blocks = [weight / sum(_blocks(params)) for weight in _blocks(params)]
    joined = {key: ensemble.digest(each, [1.0] * len(each)) for key, each in found.items()}
    return {**inputs, **joined, "fingerprint.block_weights": str(blocks)}


def _blocks(params: FingerprintParams) -> tuple[float, ...]:
    return params.block_weights or (1.0,) * len(params.names)


def min_side(params: FingerprintParams) -> int:
    """Pixels that the extractors need on the shorter side; ``ingest.image_px`` has to give them."""
    return max(extractors.resolve(name).min_side for name in (*params.names, *params.also))


def extractor_folder(name: str) -> str:
    """A folder name for an extractor, one to one.

    ``torchvision/vgg16:classifier.3`` becomes ``torchvision-vgg16@classifier.3``.  Other signs, and a leading dot or
    underscore (readers of Parquet skip such folders), are ``~`` and two hex digits for each byte.
    """
    first = "".join(_readable(sign) for sign in name)
    return _escaped(first[0]) + first[1:] if first[:1] in (".", "_") else first


def _readable(sign: str) -> str:
    return sign if sign in _SAFE else _READABLE.get(sign) or _escaped(sign)


def _escaped(sign: str) -> str:
    return "".join(f"~{byte:02x}" for byte in sign.encode())


def pixels_keys(images: pa.Table, made_with: str = "") -> pa.Array:
    """What each vector is computed from besides the extractor; a row that has a vector under its key keeps it.

    Args:
        images: columns content_hash, region and either pixels or pixels' presence in ``reason`` (null: there are some).
        made_with: what else decided the pixels, e.g. a digest of the settings by which they were shrunk.

    Returns:
        Strings of 32 hex digits of BLAKE2b, null without pixels, in the order of ``images``.
    """
    present = images["pixels"].is_valid() if "pixels" in images.column_names else images["reason"].is_null()
    rows = zip(present.to_pylist(), images["content_hash"].to_pylist(), images["region"].to_pylist(), strict=True)
    return pa.array(
        [_key(content, region, made_with) if there else None for there, content, region in rows], pa.string()
    )


def _key(content_hash: str, region: dict[str, int] | None, made_with: str) -> str:
    box = "" if region is None else ",".join(str(region[side]) for side in ("x", "y", "width", "height"))
    return blake2b(f"{content_hash}\n{box}\n{made_with}".encode(), digest_size=16).hexdigest()


class Fingerprinter:
    """A worker's extractor, built once; called with images, it gives their fingerprints.

    While the network runs on one batch, threads open the images of the next; at most two batches of opened images
    wait, so memory does not grow with the table.
    """

    def __init__(
        self,
        params: FingerprintParams,
        device: Literal["cpu", "cuda"] = "cpu",
        threads: int = 1,
        fitted: Mapping[str, extractors.Words] | None = None,
    ) -> None:
        """Build the extractor.

        Args:
            params: what to compute.
            device: where the network runs.
            threads: of the network on a CPU, and as many that open images.
            fitted: the words of the extractors that have some, by name.

        Raises:
            UserError: no such node, no weights, weights of another network, no GPU.
        """
        members = [
            extractors.build(
                extractors.resolve(name),
                extractors.Settings(
                    params.weights_of(name), params.precision, device, threads, (fitted or {}).get(name)
                ),
            )
            for name in params.names
        ]
        self.extractor: extractors.Prepares = members[0]
        if len(members) > 1:
            self.extractor = ensemble.Ensemble(members, _blocks(params))
        self._threads = threads
        self._dtype = np.dtype(params.storage)

    def __call__(self, images: pa.Table, made_with: str = "") -> pa.Table:
        """Rows of ``fingerprints`` for rows of ``images``, in the same order.

        Args:
            images: columns image_id, content_hash, region, pixels, reason.
            made_with: see :func:`pixels_keys`.

        Returns:
            Columns image_id, pixels_key, vector, reason.  A row without pixels keeps its reason; a row whose pixels do
            not open, or whose vector is not finite, gets one.
        """
        reasons: list[str | None] = images["reason"].to_pylist()
        vectors = np.zeros((images.num_rows, self.extractor.dimensions), dtype=self._dtype)
        computed = np.zeros(images.num_rows, dtype=bool)
        for rows, batch in self._batches(images["pixels"], reasons):
            with np.errstate(over="ignore"):  # a number that float16 cannot hold becomes infinite: a failure
                vectors[rows] = self.extractor(batch)
            computed[rows] = True
        infinite = computed & ~np.isfinite(vectors).all(axis=1)
        for row in np.flatnonzero(infinite):
            reasons[row] = Reason.EXTRACTOR_FAILED.value
        return pa.table(
            {
                "image_id": images["image_id"],
                "pixels_key": pixels_keys(images, made_with),
                "vector": _column(vectors, missing=~computed | infinite),
                "reason": pa.array(reasons, pa.string()),
            }
        )

    def _batches(
        self, pixels: pa.ChunkedArray, reasons: list[str | None]
    ) -> Iterator[tuple[list[int], extractors.Pixels]]:
        """Rows and their prepared images, a batch at a time; writes the reason of an image that does not open."""
        rows: list[int] = []
        prepared: list[extractors.Pixels] = []
        for row, opened in self._opened(pixels, reasons):
            if isinstance(opened, Reason):
                reasons[row] = opened.value
                continue
            rows.append(row)
            prepared.append(opened)
            if len(rows) == self.extractor.batch_size:
                yield rows, np.stack(prepared)
                rows, prepared = [], []
        if rows:
            yield rows, np.stack(prepared)

    def _opened(
        self, pixels: pa.ChunkedArray, reasons: Sequence[str | None]
    ) -> Iterator[tuple[int, extractors.Pixels | Reason]]:
        """Row and prepared image, in order, opened ahead by threads."""
        ahead = 2 * self.extractor.batch_size
        waiting: deque[tuple[int, Future[extractors.Pixels | Reason]]] = deque()
        scalars = (scalar for chunk in pixels.chunks for scalar in chunk)
        with ThreadPoolExecutor(self._threads, "open-pixels", resize_in_one_thread) as pool:
            for row, scalar in enumerate(scalars):
                if not scalar.is_valid or reasons[row] is not None:
                    continue
                waiting.append((row, pool.submit(self._open, scalar)))
                if len(waiting) > ahead:
                    yield _result(waiting)
            while waiting:
                yield _result(waiting)

    def _open(self, scalar: pa.BinaryScalar) -> extractors.Pixels | Reason:
        from pipeline.compute.decoding import open_pixels

        try:
            return self.extractor.prepare(open_pixels(scalar.as_py()))
        except Flaw as flaw:
            return flaw.reason
        except MemoryError:
            return Reason.OUT_OF_MEMORY


def _result(
    waiting: deque[tuple[int, Future[extractors.Pixels | Reason]]],
) -> tuple[int, extractors.Pixels | Reason]:
    row, opening = waiting.popleft()
    return row, opening.result()


def _column(vectors: npt.NDArray[np.floating], missing: npt.NDArray[np.bool_]) -> pa.FixedSizeListArray:
    flat = pa.array(vectors.reshape(-1))
    kind = vector_type(vectors.shape[1], flat.type)
    return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=pa.array(missing))
