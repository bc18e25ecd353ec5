"""Sources: what a collection holds: a folder or prefix, archives in it or in its place, or what a manifest names."""

import posixpath
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import UserError
from pipeline.runtime.archived import of_archives
from pipeline.runtime.archives import kind_of
from pipeline.runtime.blocks import Blocks
from pipeline.runtime.described import Described
from pipeline.runtime.fetching import fetch
from pipeline.runtime.folder import Folder, Listing, Scope, of_folder, unlisted_uris
from pipeline.runtime.listing import ABSENT, Entry
from pipeline.runtime.manifest import Manifest, read_manifest
from pipeline.runtime.manifested import identified, of_members, refuse_rows_twice
from pipeline.runtime.objects import Objects, completed
from pipeline.runtime.places import Place, Root, found_at, places_of
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import RETRIES, is_local, open_filesystem, redact

__all__ = ["Listing", "Scope", "fetch", "list_collection", "refuse_absent"]

_SHOWN = 3


def list_collection(
    collection_uri: str,
    manifest_uri: str | None,
    params: SourceParams,
    retries: int = RETRIES,
    days: tuple[str | None, str | None] = (None, None),
) -> Listing:
    """List a folder or prefix, the archives that it is or holds, or look up what a manifest names.

    Without a manifest every object below the root whose name ends like an image and does not begin with a dot is
    one, but for what lies in a workspace (a folder below the root with an ``imagetracks.json``).  With a manifest the
    root is not listed as a whole: only the folders are in which the named objects lie.  A named object that is not
    there is listed as ``absent``, and reading it will fail.  One in a folder of this machine that cannot be entered is
    not listed.

    Args:
        collection_uri: the root, anything fsspec opens; or a tar, a zip or a Parquet file.
        manifest_uri: CSV, JSON Lines or Parquet, one or many, with a column ``path`` (within the root) or ``uri``
            (anywhere in a store; on this machine within the root too, unless ``params.outside`` is ``read``).
        params: which objects are images, the columns for dates, ids and boxes, and how far a manifest may reach.
        retries: times that the store is asked again when what went wrong may pass.
        days: the first and last whose folders are listed, where ``params.prefix`` says which those are.

    Raises:
        UserError: there is no such folder, no image in it, or something is wrong with what describes them.
    """
    filesystem, root = open_filesystem(collection_uri, retries)
    folder = Folder(filesystem, root, redact(collection_uri), params, days)
    kind = _kind(folder)
    if manifest_uri is not None:
        if kind == "parquet":
            raise UserError(
                f"a manifest names files, and the images of {folder.name} are rows of Parquet\n"
                "expected columns beside the bytes instead: they are read as a manifest's"
            )
        if kind != "files":
            return Listing(of_members(folder, kind, _manifest(manifest_uri, params)), filesystem, Scope())
        _refuse_no_folder(folder)
        unlisted = list[str]()
        named = _of_manifest(folder, _manifest(manifest_uri, params), retries, unlisted)
        return Listing(named, filesystem, Scope(None, unlisted_uris(filesystem, unlisted)))
    if kind != "files":
        return Listing(of_archives(folder, kind), filesystem, Scope())
    _refuse_no_folder(folder)
    return of_folder(folder)


def refuse_absent(objects: Blocks, known: Callable[[pa.Table], pa.ChunkedArray]) -> None:
    """Refuse a listing with objects that a manifest names, that are not there and that no run has ever seen.

    One that was there once is a loss that the next run reports as a row; one that never was is a slip in the manifest.

    Args:
        objects: a listing's.
        known: says of rows of the listing whether the workspace has them.

    Raises:
        UserError: there are some; names the first.
    """
    gone = [block.filter(pc.equal(block["object_version"], ABSENT)) for block in objects]
    absent = pa.concat_tables([objects.schema.empty_table(), *gone])
    if not absent.num_rows:
        return
    new = absent.filter(pc.invert(known(absent)))["key"].to_pylist()
    if new:
        shown = ", ".join(new[:_SHOWN]) + (", …" if len(new) > _SHOWN else "")
        raise UserError(
            f"{len(new)} of the {objects.num_rows} images that the manifest names are not there: {shown}\n"
            "mend the manifest, or take them in as rows that failed with --set ingest.on_absent=keep"
        )


def _kind(folder: Folder) -> str:
    if folder.params.source != "auto":
        return folder.params.source
    kind = kind_of(folder.path)
    # A folder may be called so too.
    return kind if kind is not None and folder.filesystem.isfile(folder.path) else "files"


def _refuse_no_folder(folder: Folder) -> None:
    filesystem = folder.filesystem
    if is_local(filesystem) and not filesystem.isdir(folder.path):
        found = "a file" if filesystem.exists(folder.path) else "nothing"
        raise UserError(
            f"found {found} at the collection {folder.name}, expected a folder of images, or a .tar, .zip or .parquet\n"
            "check the path given to --collection"
        )


def _manifest(uri: str, params: SourceParams) -> Manifest:
    manifest = read_manifest(uri, params)
    if manifest.described.boxes is not None and params.regions == "faces":
        raise UserError(
            f"the manifest {manifest.name} has boxes, and faces are looked for (ingest.regions)\n"
            "set one of the two: leave the columns out (ingest.box_columns), or ingest.regions=boxes"
        )
    return manifest


def _of_manifest(folder: Folder, manifest: Manifest, retries: int, unlisted: list[str]) -> Blocks:
    places = places_of(Root(folder.filesystem, folder.path, retries), manifest, folder.params.outside == "read")
    refuse_rows_twice(manifest, [place.path for place in places])
    entries = found_at(places, folder.name, unlisted)
    if not any(entries):
        kinds = [kind for part in posixpath.dirname(places[0].path).split("/") if (kind := kind_of(part))]
        if kinds:
            raise UserError(
                f"{manifest.name} names members of archives, e.g. {places[0].path}, expected files\n"
                f"set ingest.source={kinds[0]}, which reads what lies in archives"
            )
        raise UserError(
            f"none of the {len(places)} images that {manifest.name} names is there, e.g. {places[0].path}\n"
            f"expected paths relative to the collection {folder.name}, or a column 'uri' with whole URIs"
        )
    return _named_objects(places, entries, identified(manifest, [place.key for place in places]), set(unlisted))


def _named_objects(
    places: Sequence[Place], entries: Sequence[Entry | None], described: Described, unlisted: set[str]
) -> Blocks:
    """The rows of a listing; none for what lies in a folder that could not be entered, of which nothing is known."""
    objects = Objects()
    known = []
    for place, entry in zip(places, entries, strict=True):
        known.append(entry is not None or posixpath.dirname(place.path) not in unlisted)
        uri = str(place.filesystem.unstrip_protocol(place.path))
        found = entry or Entry(place.path, None, ABSENT, None)
        objects.add(place.key, uri, found.size, found.version, found.modified_at)
    rows = completed(objects.blocks().table(), described).filter(pa.array(known, pa.bool_()))
    return Blocks.of(rows.sort_by([("key", "ascending"), ("image_id", "ascending")]))
