"""Weights of a network: from a local file or any URI that fsspec opens, tensors only.

A weights file is part of an extractor as code is, so this is the one place in ``compute`` that opens files.
"""

import os
import shutil
from collections.abc import Iterable
from difflib import get_close_matches
from hashlib import blake2b, file_digest
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from pipeline.compute.extractors import cache
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch

_SHOWN = 4

_SILENCE = 60.0
"""Seconds after which a server that sends nothing is given up."""


def content_hash(source: str) -> str:
    """32 hex digits of BLAKE2b over the file's bytes.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    path = local_file(source)
    try:
        with path.open("rb") as file:
            return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise UserError(f"fingerprint.weights: cannot read {source} ({error.strerror or error})") from error


def local_file(source: str) -> Path:
    """``source`` itself, or where its copy lies when it is a URI (fetched once for each state of the object)."""
    if "://" not in source:
        return Path(source).expanduser()
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(source)
        state = str(filesystem.ukey(path))
        key = blake2b(f"{source}\n{state}".encode(), digest_size=16).hexdigest()
        name = f"weights/{key}{Path(path).suffix}"
        cache.remembered(name, lambda: bytes(filesystem.cat_file(path)))
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"fingerprint.weights: cannot read {source} ({error})") from error
    kept = cache.folder() / name
    if not kept.exists():
        raise UserError(f"fingerprint.weights: no room for a copy of {source} in {kept.parent}; set IMAGETRACKS_CACHE")
    return kept


def download(url: str, path: Path, name: str) -> None:
    """Fetch published weights; ``path`` exists only when they are whole.

    Args:
        url: where they are published.
        path: where they are to lie.
        name: the extractor's, for messages.

    Raises:
        UserError: they cannot be had; says which file to put where.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part)
        part.replace(path)
    except (OSError, HTTPException) as error:
        part.unlink(missing_ok=True)
        raise UserError(
            f"{name}: cannot download {url} ({error}); put the file at {path}, "
            "or name a weights file in fingerprint.weights"
        ) from error


def _fetch(url: str, path: Path) -> None:
    """Copy what lies at ``url``; OSError too when its server is silent, or ends before the length that it told."""
    with urlopen(url, timeout=_SILENCE) as answer, path.open("wb") as file:  # noqa: S310  (torchvision's and timm's)
        shutil.copyfileobj(answer, file, 2**20)
        wanted, got = answer.headers.get("Content-Length"), file.tell()
    if wanted is not None and int(wanted) != got:
        raise OSError(f"{got} bytes of {wanted} came")


def check_node(node: str, nodes: Iterable[str], known: bool) -> None:
    """Refuse a node of a network that is not ``known``.

    Raises:
        UserError: names the nearest of ``nodes`` and lists all.
    """
    if not known:
        listed = list(nodes)
        near = get_close_matches(node, listed, n=1, cutoff=0.0)[0]
        raise UserError(
            f"fingerprint.extractor: found no node {node}; nearest: {near}; the nodes are: {', '.join(listed)}"
        )


def read_tensors(source: str) -> "dict[str, torch.Tensor]":
    """Parameter name -> tensor, from safetensors or a file of ``torch.save(model.state_dict())``.

    Raises:
        UserError: the file holds something else than tensors by name (which could run code when opened), or cannot be
            read.
    """
    path = local_file(source)
    if not path.is_file():
        raise UserError(f"fingerprint.weights: found no file {source}")
    tensors = _load(path)
    import torch

    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise UserError(
            f"fingerprint.weights: {source} holds other things than tensors by name; save model.state_dict() alone"
        )
    return tensors


def _load(path: Path) -> object:
    import pickle

    import torch

    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"fingerprint.weights: {path} is not a safetensors file ({error})") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise UserError(
            f"fingerprint.weights: {path} is not a file of tensors only; save model.state_dict() or use safetensors"
        ) from error


def load_into(network: "torch.nn.Module", tensors: "dict[str, torch.Tensor]", source: str) -> None:
    """Put ``tensors`` into ``network``, all of them.

    Raises:
        UserError: the file is another network's; says which parameters differ.
    """
    own = network.state_dict()
    missing = sorted(set(own) - set(tensors))
    unknown = sorted(set(tensors) - set(own))
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(set(own) & set(tensors))
        if tensors[name].shape != own[name].shape
    ]
    found = [f"missing {_some(missing)}"] * bool(missing) + [f"not in the network {_some(unknown)}"] * bool(unknown)
    found += [_some(shapes)] * bool(shapes)
    if found:
        raise UserError(f"fingerprint.weights: {source} is not this network's: {'; '.join(found)}")
    network.load_state_dict(tensors)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
