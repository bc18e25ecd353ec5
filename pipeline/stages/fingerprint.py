"""Fingerprints: an image's pixels -> its vector by one extractor (map, incremental by row)."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, field_validator

from pipeline.compute import extractors
from pipeline.compute.extractors.preprocessing import resize_in_one_thread
from pipeline.compute.reasons import Flaw, Reason
from pipeline.params import Params
from pipeline.schemas import vector_type

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")
_READABLE = {"/": "-", ":": "@"}


class FingerprintParams(Params):
    """How an image becomes a vector."""

    extractor: str = Field(
        "efficientnet_lite0",
        description="efficientnet_lite0; torchvision/<model>[:<node>], e.g. torchvision/vgg16:classifier.3; "
        "classical/<descriptor>; raw_pixels:size=92x112:color=grey; or a function of yours, package.module.function.",
    )
    weights: str | None = Field(
        None,
        description="Path or URI of a weights file (safetensors or a state dict of tensors); null: the published ones.",
    )
    precision: extractors.Precision = Field(
        "float32",
        description="float32; bfloat16 (faster, cosine to float32 .985 to .9999 by network); float16 (GPU only).",
    )

    @field_validator("extractor")
    @classmethod
    def _known(cls, name: str) -> str:
        return extractors.resolve(name).name


def extractor_digest(params: FingerprintParams) -> str:
    """32 hex digits over what decides a vector besides the pixels: network, node, preprocessing, weights, precision.

    Reads the weights' bytes and loads no network.

    Raises:
        UserError: the weights file cannot be read.
    """
    return extractors.digest(extractors.resolve(params.extractor), params.weights, params.precision)


def extractor_inputs(params: FingerprintParams) -> dict[str, str]:
    """What :func:`extractor_digest` is made of, each by itself: so that a person can be told which has changed.

    Raises:
        UserError: the weights file cannot be read.
    """
    spec = extractors.resolve(params.extractor)
    return {
        "extractor": spec.digest("", "float32"),
        "weights": extractors.weights_hash(spec, params.weights),
        "fingerprint.precision": params.precision,
    }


def min_side(params: FingerprintParams) -> int:
    """Pixels that the extractor needs on the shorter side; ``ingest.image_px`` has to give them."""
    return extractors.resolve(params.extractor).min_side


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

    def __init__(self, params: FingerprintParams, device: Literal["cpu", "cuda"] = "cpu", threads: int = 1) -> None:
        """Build the extractor.

        Args:
            params: what to compute.
            device: where the network runs.
            threads: of the network on a CPU, and as many that open images.

        Raises:
            UserError: no such node, no weights, weights of another network, no GPU.
        """
        settings = extractors.Settings(params.weights, params.precision, device, threads)
        self.extractor = extractors.build(extractors.resolve(params.extractor), settings)
        self._threads = threads

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
        vectors = np.zeros((images.num_rows, self.extractor.dimensions), dtype=np.float32)
        computed = np.zeros(images.num_rows, dtype=bool)
        for rows, batch in self._batches(images["pixels"], reasons):
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


def _column(vectors: extractors.Vectors, missing: npt.NDArray[np.bool_]) -> pa.FixedSizeListArray:
    kind = vector_type(vectors.shape[1])
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=kind, mask=pa.array(missing))
