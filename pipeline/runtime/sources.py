"""Sources: what a collection holds, from a folder, a prefix or a manifest, and the bytes of its objects."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.identity import image_id
from pipeline.compute.regions import Box, box_text
from pipeline.errors import UserError
from pipeline.runtime.fetching import fetch
from pipeline.runtime.listing import ABSENT, Entry, is_hidden, other_suffixes, walk
from pipeline.runtime.manifest import Manifest, read_manifest
from pipeline.runtime.places import Place, Root, asked, found_at, places_of
from pipeline.schemas import MICROSECONDS
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import RETRIES, FileSystem, is_local, open_filesystem, redact

__all__ = ["Listing", "fetch", "list_collection", "refuse_absent"]

_SHOWN = 3


class Listing(NamedTuple):
    """What a collection holds.

    Attributes:
        objects: image_id, key, uri, size (bytes, null if unknown), object_version, modified_at (UTC), date_value
            (null without a manifest's date column) and, where a manifest has the columns, box (null for a whole
            photograph) and metadata; sorted by key, then image_id.
        filesystem: the collection's.
        unlisted: URIs, each with a slash at its end, of the folders that could not be listed.
    """

    objects: pa.Table
    filesystem: FileSystem
    unlisted: tuple[str, ...] = ()


def list_collection(
    collection_uri: str, manifest_uri: str | None, params: SourceParams, retries: int = RETRIES
) -> Listing:
    """List a folder or prefix, or look up what a manifest names.

    Without a manifest every object below the root whose name ends like an image and does not begin with a dot is
    one, but for what lies in a workspace (a folder below the root with an ``imagetracks.json``).  With a manifest the
    root is not listed as a whole: only the folders are in which the named objects lie.  A named object that is not
    there is listed as ``absent``, and reading it will fail.

    Args:
        collection_uri: the root, anything fsspec opens.
        manifest_uri: CSV, JSON Lines or Parquet with a column ``path`` (within the root) or ``uri`` (anywhere in a
            store; on this machine within the root too, unless ``params.outside`` is ``read``).
        params: suffixes, the manifest's columns for dates and ids, and how far it may reach.
        retries: times that the store is asked again when what went wrong may pass.

    Raises:
        UserError: there is no such folder, no image in it, or something is wrong with the manifest.
    """
    filesystem, root = open_filesystem(collection_uri, retries)
    name = redact(collection_uri)
    if is_local(filesystem) and not filesystem.isdir(root):
        found = "a file" if filesystem.exists(root) else "nothing"
        raise UserError(
            f"found {found} at the collection {name}, expected a folder of images\ncheck the path given to --collection"
        )
    if manifest_uri is None:
        unlisted: list[str] = []
        walked = partial(walk, filesystem, root, unlisted)
        entries = asked(lambda: list(walked()), f"list the collection {name}", f"the collection {name}")
        objects = _folder_objects(filesystem, root, name, entries, params)
        return Listing(objects, filesystem, tuple(f"{filesystem.unstrip_protocol(one)}/" for one in sorted(unlisted)))
    manifest = read_manifest(manifest_uri, params)
    if manifest.boxes is not None and params.regions == "faces":
        raise UserError(
            f"the manifest {redact(manifest_uri)} has boxes, and faces are looked for (ingest.regions)\n"
            "set one of the two: leave the columns out (ingest.box_columns), or ingest.regions=boxes"
        )
    places = places_of(Root(filesystem, root, retries), manifest, params.outside == "read")
    boxes = _box_texts(manifest)
    keys = [place.path + box for place, box in zip(places, boxes, strict=True)]
    _refuse_repeated(keys, f"the manifest {redact(manifest_uri)} names", "one row an image, or a region of one")
    entries_by_place = found_at(places, name)
    if not any(entries_by_place):
        raise UserError(
            f"none of the {len(places)} images that {redact(manifest_uri)} names is there, e.g. {places[0].path}\n"
            f"expected paths relative to the collection {name}, or a column 'uri' with whole URIs"
        )
    ids = [image_id(text) for text in manifest.ids or [p.key + box for p, box in zip(places, boxes, strict=True)]]
    _refuse_repeated(
        ids, f"the manifest {redact(manifest_uri)} gives to two images the id", "an id of its own", manifest.ids
    )
    return Listing(_manifest_objects(places, entries_by_place, ids, manifest), filesystem)


def refuse_absent(objects: pa.Table, known: Callable[[], pa.Array]) -> None:
    """Refuse a listing with objects that a manifest names, that are not there and that no run has ever seen.

    One that was there once is a loss that the next run reports as a row; one that never was is a slip in the manifest.

    Args:
        objects: a listing's, with ``name``.
        known: gives the names (see :mod:`pipeline.runtime.ingest`) of all that the workspace has.

    Raises:
        UserError: there are some; names the first.
    """
    absent = objects.filter(pc.equal(objects["object_version"], ABSENT))
    if not absent.num_rows:
        return
    new = absent.filter(pc.invert(pc.is_in(absent["name"], value_set=known())))["key"].to_pylist()
    if new:
        shown = ", ".join(new[:_SHOWN]) + (", …" if len(new) > _SHOWN else "")
        raise UserError(
            f"{len(new)} of the {objects.num_rows} images that the manifest names are not there: {shown}\n"
            "mend the manifest, or take them in as rows that failed with --set ingest.on_absent=keep"
        )


def _folder_objects(
    filesystem: FileSystem, root: str, name: str, entries: list[Entry], params: SourceParams
) -> pa.Table:
    start = len(root.rstrip("/")) + 1
    visible = [(entry.path[start:], entry) for entry in entries if not is_hidden(entry.path[start:])]
    suffixes = tuple(suffix.lower() for suffix in params.suffixes)
    images = sorted((one for one in visible if one[0].lower().endswith(suffixes)), key=lambda one: one[0])
    if not images:
        others = other_suffixes(key for key, _ in visible)
        raise UserError(
            f"found no image at the collection {name}" + (f", only {others}" if others else ", nothing at all") + "\n"
            f"expected files that end in {', '.join(params.suffixes)} (ingest.suffixes), or a --manifest"
        )
    keys = [key for key, _ in images]
    uris = [str(filesystem.unstrip_protocol(entry.path)) for _, entry in images]
    return _objects([image_id(key) for key in keys], keys, uris, [entry for _, entry in images], [None] * len(keys))


def _manifest_objects(
    places: Sequence[Place], entries: Sequence[Entry | None], ids: list[str], manifest: Manifest
) -> pa.Table:
    order = sorted(range(len(places)), key=lambda row: (places[row].key, ids[row]))
    uris = [str(place.filesystem.unstrip_protocol(place.path)) for place in places]
    objects = _objects(
        [ids[row] for row in order],
        [places[row].key for row in order],
        [uris[row] for row in order],
        [entries[row] for row in order],
        [manifest.dates[row] for row in order],
    )
    for name, column in (("box", manifest.boxes), ("metadata", manifest.metadata)):
        if column is not None:
            objects = objects.append_column(name, column.take(pa.array(order, pa.int64())))
    return objects


def _box_texts(manifest: Manifest) -> list[str]:
    """What a region's key has after the photograph's; nothing for a whole photograph."""
    if manifest.boxes is None:
        return [""] * len(manifest.places)
    return ["" if box is None else f"#{box_text(Box(**box))}" for box in manifest.boxes.to_pylist()]


def _objects(
    ids: list[str], keys: list[str], uris: list[str], entries: Sequence[Entry | None], dates: Sequence[str | None]
) -> pa.Table:
    return pa.table(
        {
            "image_id": pa.array(ids, pa.string()),
            "key": pa.array(keys, pa.string()),
            "uri": pa.array(uris, pa.string()),
            "size": pa.array([entry and entry.size for entry in entries], pa.int64()),
            "object_version": pa.array([entry.version if entry else ABSENT for entry in entries], pa.string()),
            "modified_at": pa.array([entry and entry.modified_at for entry in entries], MICROSECONDS),
            "date_value": pa.array(dates, pa.string()),
        }
    )


def _refuse_repeated(values: list[str], found: str, expected: str, shown: Sequence[str] | None = None) -> None:
    """Refuse the first value that stands twice; ``shown`` is how the user wrote the values."""
    seen: dict[str, int] = {}
    for row, value in enumerate(values, 1):
        first = seen.setdefault(value, row)
        if first != row:
            written = shown[row - 1] if shown is not None else value
            raise UserError(f"{found} {written!r} twice, in rows {first} and {row}\nexpected {expected}")
