"""A workspace that something else has damaged: said so clearly, swept, and computed again where it has to be."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.cli import app, guarded
from pipeline.errors import DamagedError
from pipeline.runtime.tables import read_dates
from pipeline.schemas import FINGERPRINTS, REGISTRY, TABLES, Table
from tests.collections import small
from tests.commands import run_arguments
from tests.runtime.runs import files, folder, open_read, run_local, tables

pytestmark = pytest.mark.slow

HEADS = ["", "{", "[]", "{}", '{"partitions": []}', '{"partitions": {"2024-05-01": {"parts": 3}}, "extra": {}}', "\xff"]
Tables = dict[str, dict[str, pa.Table]]
KINDS = ("images", "fingerprints", "projection", "assignments", "links", "tracks")
CHOSEN = [table for table in TABLES if table.name in KINDS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection and its workspace, not to be touched."""
    home = tmp_path_factory.mktemp("damage")
    run_local(small(home / "photos", 2, 1).root, home / "ws")
    return home


@pytest.fixture(scope="module")
def expected(whole: Path) -> Tables:
    return tables(whole / "ws")


@pytest.fixture
def workspace(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole / "ws", tmp_path / "ws")
    return tmp_path / "ws"


def partition(workspace: Path, table: Table) -> Path:
    return sorted(folder(workspace, table).glob(f"{table.partition_key}=*"))[0]


def said(capfd: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command that fails tells a person, which must be how to go on."""
    with pytest.raises(SystemExit) as end:
        guarded(lambda: app(list(map(str, words))))
    shown = capfd.readouterr().err
    assert end.value.code == 2, shown
    assert "is damaged or gone" in shown
    assert "imagetracks sweep --check --workspace" in shown
    assert len(shown.strip().splitlines()) <= 3
    return shown


def swept(workspace: Path, *more: str) -> None:
    with pytest.raises(SystemExit) as end:
        guarded(lambda: app(["sweep", "-w", str(workspace), *more]))
    assert end.value.code == 0


@pytest.mark.parametrize("head", HEADS)
def test_a_damaged_head_is_told_and_rebuilt(
    whole: Path, expected: Tables, workspace: Path, head: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for table in CHOSEN:
        (folder(workspace, table) / "_head.json").write_text(head, encoding="latin-1")
    for words in (["status", "-w", workspace], run_arguments(whole / "photos", workspace)):
        assert "images/_head.json" in said(capfd, *words)
    swept(workspace)
    assert not run_local(whole / "photos", workspace).done
    assert tables(workspace) == expected
    before = files(workspace)
    assert not run_local(whole / "photos", workspace).done
    assert files(workspace) == before


@pytest.mark.parametrize("table", CHOSEN, ids=lambda table: table.name)
def test_a_head_that_is_gone_is_made_of_the_manifests(
    whole: Path, expected: Tables, workspace: Path, table: Table
) -> None:
    (folder(workspace, table) / "_head.json").unlink()
    assert tables(workspace) == expected
    assert not run_local(whole / "photos", workspace).done
    assert tables(workspace) == expected
    assert (folder(workspace, table) / "_head.json").exists()


def cut_manifest(place: Path) -> None:
    (place / "_manifest.json").write_text("{")


def foreign_manifest(place: Path) -> None:
    (place / "_manifest.json").write_text("[]")


def no_manifest(place: Path) -> None:
    (place / "_manifest.json").unlink()


def nothing_at_all(place: Path) -> None:
    shutil.rmtree(place)


def no_part(place: Path) -> None:
    next(place.glob("part-*")).unlink()


def cut_part(place: Path) -> None:
    part = next(place.glob("part-*"))
    part.write_bytes(part.read_bytes()[:-100])


def junk_part(place: Path) -> None:
    part = next(place.glob("part-*"))
    part.write_bytes(b"x" * part.stat().st_size)


def flipped_part(place: Path) -> None:
    part = next(place.glob("part-*"))
    data = bytearray(part.read_bytes())
    data[8:40] = bytes(32)
    part.write_bytes(data)


DAMAGES: list[Callable[[Path], None]] = [
    cut_manifest,
    foreign_manifest,
    no_manifest,
    nothing_at_all,
    no_part,
    cut_part,
    junk_part,
    flipped_part,
]


@pytest.mark.parametrize("table", CHOSEN, ids=lambda table: table.name)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_partition_is_dropped_and_computed_again(
    whole: Path, expected: Tables, workspace: Path, table: Table, damage: Callable[[Path], None]
) -> None:
    damage(partition(workspace, table))
    swept(workspace, *(["--check"] if damage in (junk_part, flipped_part) else []))
    done = run_local(whole / "photos", workspace).done
    assert done["images"] == (2 if table.name == "images" else 0)  # of that date
    assert done["fingerprints"] == (2 if table.name == "fingerprints" else 0)
    assert tables(workspace) == expected
    assert not run_local(whole / "photos", workspace).done


@pytest.mark.parametrize("damage", [cut_manifest, no_part, cut_part], ids=lambda damage: damage.__name__)
def test_damaged_history_is_dropped_only_when_that_is_asked_for(
    whole: Path, expected: Tables, workspace: Path, damage: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    damage(partition(workspace, REGISTRY))
    before = files(workspace)
    with pytest.raises(SystemExit) as end:
        guarded(lambda: app(["sweep", "-w", str(workspace)]))
    assert end.value.code == 2
    assert "no run can compute registry again" in capfd.readouterr().err
    assert {name: data for name, data in files(workspace).items() if "_lease" not in name} == {
        name: data for name, data in before.items() if "_lease" not in name
    }
    swept(workspace, "--forget-history")
    assert "gone for good: registry name=" in capfd.readouterr().out
    run_local(whole / "photos", workspace)
    assert tables(workspace) == expected  # ids come of content where there is no history


@pytest.mark.parametrize("damage", [no_part, cut_part, junk_part], ids=lambda damage: damage.__name__)
def test_reading_a_damaged_part_says_so(
    whole: Path, workspace: Path, damage: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    for table in TABLES:
        if table.name in ("fingerprints", "links", "track_summary", "tracks"):
            damage(partition(workspace, table))
    assert "part-" in said(capfd, "picture", "-w", workspace, workspace.parent / "x.png")
    assert "part-" in said(capfd, *run_arguments(whole / "photos", workspace), "--set", "projection.dimensions=8")
    with pytest.raises(DamagedError):
        read_dates(open_read(workspace), FINGERPRINTS, FINGERPRINTS.names)
