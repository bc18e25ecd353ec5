"""A user's mistakes: exit code 2, a line or three, no traceback, and nothing written."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collections import Collection
from tests.commands import BIN, environment, imagetracks, message_of, run_arguments
from tests.runtime.runs import run_local, tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    collection = Collection(tmp_path_factory.mktemp("mistakes") / "photos")
    for subject in range(2):
        collection.add(subject, "2024-05-01", 0, f"{subject}.jpg")
    return collection.root


@pytest.fixture(scope="module")
def finished(photos: Path) -> Path:
    """The workspace of a run that came to its end; not to be touched."""
    run_local(photos, photos.parent / "finished")
    return photos.parent / "finished"


def refused(tmp_path: Path, collection: object, *more: object, **env: str) -> str:
    """Run into a new workspace and be told why not; nothing may be left."""
    workspace = tmp_path / "ws"
    told = message_of(imagetracks(*run_arguments(collection, workspace, *more), env=environment(**env)), 2)
    assert not workspace.exists()
    return told


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "found nothing at the collection" in refused(tmp_path, tmp_path / "photso")


def test_an_empty_collection(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert "found no image" in refused(tmp_path, tmp_path / "photos")
    (tmp_path / "photos/readme.txt").touch()
    assert "only 1 .txt" in refused(tmp_path, tmp_path / "photos")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("file,taken\n0.jpg,2024-05-01\n", "no column 'path' or 'uri'"),
        (
            "path\n0.jpg\nabsent.jpg\nalso absent.jpg\n",
            "2 of the 3 images that the manifest names are not there: absent.jpg",
        ),
        ("path\nabsent.jpg\n", "none of the 1 images"),
        ("path\n0.jpg\n1.jpg\n0.jpg\n", "twice, in rows 1 and 3"),
        ("path,image_id\n0.jpg,a\n1.jpg,a\n", "the id 'a' twice, in rows 1 and 2"),
        ("path\n0.jpg\n../../../etc/passwd\n", "row 2 of the manifest leaves the collection"),
        ("path\n/etc/hostname\n", "leaves the collection"),
        ("path\nfile:///etc/hostname\n", "leaves the collection"),
    ],
)
def test_manifests(photos: Path, tmp_path: Path, manifest: str, said: str) -> None:
    (tmp_path / "m.csv").write_text(manifest)
    assert said in refused(tmp_path, photos, "--manifest", tmp_path / "m.csv")


def test_a_missing_manifest(photos: Path, tmp_path: Path) -> None:
    assert "there is nothing at the manifest" in refused(tmp_path, photos, "--manifest", tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cluster.methud=agglomerative", "cluster.method"),
        ("clusster.method=agglomerative", "cluster"),
        ("resources.retries=three", "resources.retries"),
        ("link.max_gap=1.5", "link.max_gap"),
        ("ingest.jpeg_quality=500", "ingest.jpeg_quality"),
        ("ingest.plausible_dates=[2024-05-02, 2024-05-01]", "plausible_dates"),
        ("fingerprint.extractor=efficientnet_lite9", "efficientnet_lite0"),
        ("fingerprint.extractor=torchvision/resnet51", "nearest: torchvision/resnet50"),
        ("fingerprint.weights=/nowhere/w.safetensors", "/nowhere/w.safetensors"),
        ("ingest.image_px=100", "needs 224 pixels"),
        ("fingerprint.extractor=torchvision/vit_h_14", "set ingest.image_px=518"),
    ],
)
def test_settings(photos: Path, tmp_path: Path, setting: str, said: str) -> None:
    assert said in refused(tmp_path, photos, "--set", setting)


@pytest.mark.parametrize("seconds", ["lease_seconds", "decode_seconds"])
@pytest.mark.parametrize("value", ["0", "86401", ".inf", "1e300"])
def test_no_lease_and_no_decoder_lasts_longer_than_a_day(
    photos: Path, tmp_path: Path, seconds: str, value: str
) -> None:
    assert f"resources.{seconds}" in refused(tmp_path, photos, "--set", f"resources.{seconds}={value}")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("{tmp}/file.csv/x/y", "cannot be a folder ([Errno 20]"),
        ("/proc/x", "cannot be a folder ([Errno 2]"),
        ("{tmp}/" + "a" * 300, "cannot be a folder ([Errno 36]"),
        ("{tmp}/circle/x", "cannot be a folder ([Errno 40]"),
        ("", "--workspace is empty"),
        (" ", "--workspace is empty"),
        ("s3://", "found no bucket"),
        ("s3:///x", "found no bucket"),
        ("gs://", "found no bucket"),
    ],
)
def test_places_where_no_workspace_can_be(photos: Path, tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "file.csv").write_text("x")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    place = place.format(tmp=tmp_path)
    before = sorted(photos.iterdir())
    assert said in message_of(imagetracks(*run_arguments(photos, place)), 2)
    told = message_of(imagetracks("status", "-w", place), 2)
    assert said in told or "no workspace at" in told
    assert sorted(photos.iterdir()) == before


def test_an_empty_collection_option_is_not_this_folder(photos: Path, tmp_path: Path) -> None:
    assert "--collection is empty" in refused(tmp_path, "")
    assert "found no bucket" in refused(tmp_path, "s3://")
    assert photos.exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.jsonl", '{"path": "0.jpg"}\n{"path": "1.jpg", "x": ' + "[" * 5000 + "]" * 5000 + "}", "line 2: nested"),
        ("m.jsonl", '{"path": ' + str(2**70) + "}", "none of the 1 images"),
        ("m.csv.gz", "path\n0.jpg\n", "cannot read the manifest"),
    ],
)
def test_values_of_a_manifest_that_nothing_holds(photos: Path, tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    assert said in refused(tmp_path, photos, "--manifest", tmp_path / name)


@pytest.mark.parametrize("opened", ["[", "{a: "])
def test_a_config_nested_too_deeply(photos: Path, tmp_path: Path, opened: str) -> None:
    (tmp_path / "c.yaml").write_text("cluster: " + opened * 3000)
    assert "nested too deeply" in refused(tmp_path, photos, "--config", tmp_path / "c.yaml")
    assert "nested too deeply" in refused(tmp_path, photos, "--set", "cluster.k=" + opened * 3000)


@pytest.mark.parametrize(
    ("dates", "said"),
    [("yesterday", "expected A:B"), ("2024-02-30:", "2024-02-30"), ("2024-05-02:2024-05-01", "swap them")],
)
def test_dates(photos: Path, tmp_path: Path, dates: str, said: str) -> None:
    assert said in refused(tmp_path, photos, "--dates", dates)


def test_a_config_file_that_is_not_there_or_no_yaml(photos: Path, tmp_path: Path) -> None:
    assert "config.yaml" in refused(tmp_path, photos, "--config", tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text("cluster: [")
    assert "not readable as YAML" in refused(tmp_path, photos, "--config", tmp_path / "config.yaml")


def test_no_network_for_weights(photos: Path, tmp_path: Path) -> None:
    """Nothing listens where the proxy is said to be."""
    unreachable = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    env = environment(TORCH_HOME=str(tmp_path / "torch"), IMAGETRACKS_CACHE=str(tmp_path / "cache"), **unreachable)
    words = run_arguments(photos, tmp_path / "ws", "--set", "fingerprint.extractor=torchvision/squeezenet1_1")
    told = message_of(imagetracks(*words, env=env), 2)
    assert "cannot download" in told
    assert str(tmp_path / "torch") in told


@pytest.fixture
def workspace(photos: Path, tmp_path: Path) -> Path:
    """Nearly one: an identity, and a lease that was given back."""
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws/imagetracks.json").write_text(json.dumps({"format": 1, "collection": str(photos)}))
    return tmp_path / "ws"


def test_a_workspace_of_another_collection(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    told = message_of(imagetracks(*run_arguments(tmp_path / "others", workspace)), 2)
    assert "belongs to the collection" in told


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ('{"format": 99, "collection": "x"}', "layout 99"),
        ('{"format"', "is damaged"),
        ("[]", "is damaged"),
    ],
)
def test_a_workspace_of_a_newer_version_or_none_at_all(photos: Path, workspace: Path, identity: str, said: str) -> None:
    (workspace / "imagetracks.json").write_text(identity)
    assert said in message_of(imagetracks(*run_arguments(photos, workspace)), 2)


def test_a_reader_of_a_newer_workspace(workspace: Path) -> None:
    (workspace / "imagetracks.json").write_text('{"format": 99, "collection": "x"}')
    assert "layout 99" in message_of(imagetracks("status", "-w", workspace), 2)


def test_a_folder_with_other_things_in_it_and_a_file(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/dear.txt").touch()
    assert "is not empty (dear.txt)" in message_of(imagetracks(*run_arguments(photos, tmp_path / "letters")), 2)
    told = message_of(imagetracks(*run_arguments(photos, tmp_path / "letters/dear.txt")), 2)
    assert "is a file" in told


# -- what the system refuses, by the system itself: mounts of a namespace of their own


def mounted(mount: str, words: list[object]) -> "subprocess.CompletedProcess[str]":
    """Run the command where ``mount`` was done, which ends with the process."""
    line = f"{mount} && exec {shlex.join([str(BIN / 'imagetracks'), *map(str, words)])}"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", line],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
    )


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return subprocess.run(tried, check=False, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not can_mount(), reason="mounting takes a privilege; two tests below do without")


@needs_mounts
def test_a_read_only_workspace(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    read_only = f"mount --bind -o ro {tmp_path}/place {tmp_path}/place"
    told = message_of(mounted(read_only, run_arguments(photos, tmp_path / "place/ws")), 2)
    assert "is read-only" in told
    assert "place/ws" in told


@needs_mounts
def test_a_read_only_workspace_with_nothing_to_do_is_no_mistake(photos: Path, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "ws")
    read_only = f"mount --bind -o ro {tmp_path} {tmp_path}"
    for words in (run_arguments(photos, tmp_path / "ws"), ["status", "-w", tmp_path / "ws"]):
        done = mounted(read_only, words)
        assert done.returncode == 0, done.stderr


@needs_mounts
def test_a_picture_that_cannot_be_written(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "ws")
    read_only = f"mount --bind -o ro {tmp_path} {tmp_path}"
    told = message_of(mounted(read_only, ["picture", "-w", tmp_path / "ws", tmp_path / "tracks.png"]), 2)
    assert "tracks.png" in told


@needs_mounts
@pytest.mark.parametrize("kilobytes", [4, 24, 60])
def test_a_full_disk(photos: Path, finished: Path, tmp_path: Path, kilobytes: int) -> None:
    """It fills up at the first write, while images are kept, and while dates are committed."""
    (tmp_path / "place").mkdir()
    (tmp_path / "kept").mkdir()
    small = f"mount -t tmpfs -o size={kilobytes}k none {tmp_path}/place"
    words = [str(BIN / "imagetracks"), *map(str, run_arguments(photos, tmp_path / "place/ws"))]
    keep = f"{shlex.join(words)}; code=$?; cp -r {tmp_path}/place/. {tmp_path}/kept; exit $code"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{small} && {{ {keep}; }}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
    )
    told = message_of(done, 2)
    assert "no space left" in told
    # With room, the next run goes on from what was kept.
    assert imagetracks(*run_arguments(photos, tmp_path / "kept/ws")).returncode == 0
    assert tables(tmp_path / "kept/ws") == tables(finished)


# -- the same where nothing can be mounted


def test_a_workspace_where_writing_is_not_permitted(photos: Path, tmp_path: Path) -> None:
    bound = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override"]  # the superuser may write anywhere
    if bound and shutil.which(bound[0]) is None:
        pytest.skip("nothing is forbidden to the superuser, and there is no setpriv to give that up")
    (tmp_path / "place").mkdir(mode=0o555)
    command = [*bound, BIN / "imagetracks", *run_arguments(photos, tmp_path / "place/ws")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environment())
    assert "permission denied" in message_of(done, 2)
    assert not (tmp_path / "place/ws").exists()


def test_a_file_that_may_not_grow(photos: Path, finished: Path, tmp_path: Path) -> None:
    """As on a full disk: the fragment of the images is larger than any file may be, the lease is not."""
    line = f"ulimit -f 4; exec {shlex.join(map(str, [BIN / 'imagetracks', *run_arguments(photos, tmp_path / 'ws')]))}"
    command = ["sh", "-c", line]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environment())
    assert "no space left" in message_of(done, 2)
    run_local(photos, tmp_path / "ws")
    assert tables(tmp_path / "ws") == tables(finished)


@pytest.mark.parametrize("word", ["run", "status", "picture", "evaluate", "sweep"])
def test_every_command_says_where_it_found_no_workspace(tmp_path: Path, word: str) -> None:
    more: dict[str, Callable[[], list[object]]] = {
        "run": lambda: ["-c", tmp_path / "none"],
        "picture": lambda: [tmp_path / "x.png"],
        "evaluate": lambda: ["--truth", tmp_path / "truth.csv"],
    }
    told = message_of(imagetracks(word, "-w", tmp_path / "none", *more.get(word, list)()), 2)
    assert str(tmp_path / "none") in told
