"""The real command in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.workspace import open_workspace

BIN = Path(sys.executable).parent


def environment(**more: str) -> dict[str, str]:
    """This process's, without a Ray cluster to join, and gentle on the machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "OMP_NUM_THREADS": "1", **more}


def imagetracks(
    *arguments: object, env: Mapping[str, str] | None = None, seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    command = [str(BIN / "imagetracks"), *map(str, arguments)]
    return subprocess.run(
        command, check=False, env=env or environment(), capture_output=True, text=True, timeout=seconds
    )


def started(*arguments: object, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start a command; the caller ends it by its own handle."""
    command = [str(BIN / "imagetracks"), *map(str, arguments)]
    return subprocess.Popen(
        command, env=env or environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run_arguments(collection: object, workspace: object, *more: object) -> list[object]:
    """Those of ``imagetracks run`` in one process."""
    return ["run", "--collection", collection, "--workspace", workspace, "--engine", "local", *more]


def message_of(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """What a person is told: exit code and form are checked."""
    shown = done.stderr.strip()
    assert done.returncode == code, (done.returncode, done.stdout, shown)
    assert shown.startswith("imagetracks: "), shown
    assert 1 <= len(shown.splitlines()) <= 3, shown
    assert "Traceback" not in done.stdout + done.stderr
    return shown


def leftovers(workspace: object) -> list[str]:
    """Objects of a workspace's tables that no manifest names."""
    found = open_workspace(str(workspace))
    paths = []
    for store in found.stores():
        named = {f"{store.folder(name)}/{part.name}" for name, one in store.partitions.items() for part in one.parts}
        named |= {f"{store.folder(name)}/_manifest.json" for name in store.partitions} | {f"{store.root}/_head.json"}
        paths += sorted({*found.filesystem.find(store.root)} - named) if found.filesystem.exists(store.root) else []
    return paths
