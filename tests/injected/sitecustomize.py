"""On the PYTHONPATH of a run under test: some photographs kill, or hold up, whichever process decodes them.

Decoders have had such bugs, and no seam in the code under test makes one.  Python imports this module when it starts,
in the driver, in every worker of Ray and in their children.  A photograph asks for it by words behind its last byte:

    KILL THE DECODER     the process dies of SIGSEGV
    HANG THE DECODER     it hangs as C code does, holding Python's lock
    KILL THE EXTRACTOR   it dies when the pixels of the workspace are opened, not when the photograph is read

``DECODE_LOG`` names a file that gets a line for each photograph that is read, and for each whose pixels are opened;
``DECODE_SLEEP`` and ``STAGE_SLEEP`` are pauses in seconds, for each photograph and for each partition that a worker
stages; they make a small collection last long enough to be disturbed.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from hashlib import blake2b
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_TAIL = 64


def _disturbed(decode: Callable[..., Any]) -> Callable[..., Any]:
    def decode_jpeg(data: bytes, *args: Any, buffer: Any = None, **options: Any) -> Any:
        words, reading = bytes(data[-_TAIL:]), buffer is not None
        if b"KILL THE DECODER" in words or (b"KILL THE EXTRACTOR" in words and not reading):
            os.kill(os.getpid(), signal.SIGSEGV)
        if b"HANG THE DECODER" in words:
            ctypes.PyDLL(None).sleep(1000)
        _log("read" if reading else "open", data)
        time.sleep(float(os.environ.get("DECODE_SLEEP", "0")))
        return decode(data, *args, buffer=buffer, **options)

    return decode_jpeg


def _log(what: str, data: bytes) -> None:
    name = os.environ.get("DECODE_LOG")
    if name:
        descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{what} {blake2b(data, digest_size=8).hexdigest()}\n".encode())
        os.close(descriptor)


def _slowed(stage: Callable[..., Any]) -> Callable[..., Any]:
    def stage_parts(*args: Any, **options: Any) -> Any:
        time.sleep(float(os.environ.get("STAGE_SLEEP", "0")))
        return stage(*args, **options)

    return stage_parts


_WRAPPED = {"simplejpeg": ("decode_jpeg", _disturbed), "pipeline.parts": ("stage_parts", _slowed)}


class _Finder(MetaPathFinder):
    """Finds modules as ever, and wraps a function of theirs once they have run."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in _WRAPPED else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module
        function, wrap = _WRAPPED[name]

        def exec_module(module: ModuleType) -> None:
            run(module)
            setattr(module, function, wrap(getattr(module, function)))

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Finder())
