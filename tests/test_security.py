"""No secret is kept or shown, nothing but tensors is unpickled, and nothing needs the network."""

import ast
import functools
import gzip
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
import yaml

from pipeline.cli import app, guarded
from pipeline.config import load_config
from pipeline.errors import UserError
from pipeline.plain_yaml import Loader
from pipeline.runtime.manifest import read_manifest
from pipeline.schemas import IMAGES
from pipeline.stages.ingest_params import SourceParams
from pipeline.storage import open_filesystem, redact, refuse_keys, without_secrets
from pipeline.workspace import Place, Workspace
from tests.collections import Collection
from tests.commands import BIN, environment, imagetracks, run_arguments
from tests.proxy import Proxy, Seen, proxied
from tests.runtime.runs import tables
from tests.s3_server import s3_server

ROOT = Path(__file__).parent.parent
PLANTED = "Pl4nted5ecret"


@pytest.mark.parametrize(
    ("uri", "kept"),
    [
        (f"https://u:{PLANTED}@host/a/b.jpg", "https://host/a/b.jpg"),
        (f"https://host/b.jpg?id=7&X-Amz-Signature={PLANTED}&X-Amz-Date=1&size=2", "https://host/b.jpg?id=7&size=2"),
        (f"https://host/b.jpg?sv=1&sig={PLANTED}&se=2", "https://host/b.jpg"),
        (f"http://host/b.jpg?access_token={PLANTED}&page=2", "http://host/b.jpg?page=2"),
        ("https://host/b.jpg?", "https://host/b.jpg"),
        ("s3://bucket/a?b=c#d.jpg", "s3://bucket/a?b=c#d.jpg"),
        ("file:///a b/c@d?.jpg", "file:///a b/c@d?.jpg"),
    ],
)
def test_what_signs_a_request_is_no_part_of_a_uri(uri: str, kept: str) -> None:
    assert without_secrets(uri) == kept
    assert without_secrets(kept) == kept


def test_values_of_secret_variables_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "DB_PASSWORD", "AZURE_STORAGE_ACCOUNT_KEY", "SENTRY_DSN")
    azure = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "DATABASE_URL", "PROD_DATABASE_URL")
    for name in (*names, *azure, "SSH_PRIVATE_KEY", "KEY_PASSPHRASE"):
        monkeypatch.setenv(name, f"{PLANTED}-{name}")
        assert redact(f"refused: {PLANTED}-{name} is wrong") == "refused: *** is wrong"
    monkeypatch.setenv("SHORT_TOKEN", "x")
    assert redact("exit") == "exit"


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://k:{PLANTED}@bucket/photos",
        f"s3://{PLANTED}@bucket/photos",
        f"s3://AKIA:{PLANTED}/with/slashes@bucket/photos",
        f"gs://k:{PLANTED}@bucket",
        f"sftp://k:{PLANTED}@host/photos",
        f"memory://k:{PLANTED}@x/photos",
        f"simplecache::s3://k:{PLANTED}@bucket/photos",
    ],
)
def test_keys_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(UserError, match="keys belong in the environment") as caught:
        open_filesystem(uri)
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/a:b@c/d",
        "file:///a:b@c/d",
        "s3://bucket/a:b@c.jpg",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/name/key.jpg",
        "abfs://container@account.dfs.core.windows.net/photos",
        "https://u:p@host/x",
        "github://org:repo@sha/photos",
        "hdfs://host:8020/photos",
    ],
)
def test_what_is_no_key_is_not_refused(uri: str) -> None:
    refuse_keys(uri)


@pytest.mark.slow
def test_keys_in_a_uri_are_refused_wherever_one_is_given(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    keyed = f"s3://k:{PLANTED}@bucket/x"
    made = Collection(tmp_path / "photos")
    made.add(0, "2024-05-01", 0, "0.jpg")
    (tmp_path / "m.csv").write_text(f"uri\n0.jpg\n{keyed}\n")
    for words in (
        run_arguments(keyed, tmp_path / "ws"),
        run_arguments(made.root, keyed),
        run_arguments(made.root, tmp_path / "ws", "--manifest", keyed + ".csv"),
        run_arguments(made.root, tmp_path / "ws", "--manifest", tmp_path / "m.csv"),
        run_arguments(made.root, tmp_path / "ws", "--config", keyed),
        run_arguments(made.root, tmp_path / "ws", "--set", f"fingerprint.weights={keyed}"),
        ["status", "-w", keyed],
        ["evaluate", "-w", tmp_path / "ws", "--truth", keyed],
        ["evaluate", "-w", tmp_path / "ws", "--truth", "t.csv", "--truth-events", keyed],
    ):
        assert said(capfd, *words) == (2, "keys belong in the environment")


def said(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[object, str]:
    """Exit code of a command in this process, and the words that matter; the planted secret is nowhere."""
    with pytest.raises(SystemExit) as end:
        guarded(lambda: app(list(map(str, words))))
    shown = "".join(capfd.readouterr())
    assert PLANTED not in shown
    assert "Traceback" not in shown
    return end.value.code, "keys belong in the environment" if "keys belong in the environment" in shown else shown


def test_a_bug_is_told_without_secrets(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", PLANTED)

    def bug() -> None:
        try:
            raise KeyError(f"https://host/x?sig={PLANTED}-1")
        except KeyError as error:
            raise ZeroDivisionError(f"{PLANTED} is not [bold]there") from error

    with pytest.raises(SystemExit) as end:
        guarded(bug)
    shown = "".join(capfd.readouterr())
    assert end.value.code == 1
    assert "ZeroDivisionError: *** is not [bold]there" in shown
    assert "KeyError: 'https://host/x?***'" in shown
    assert PLANTED not in shown


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (f"https://u:{PLANTED}@host/ws?sig={PLANTED}", "https://host/ws/images"),
        (f"ftp://u:{PLANTED}@host/ws", "ftp://***@host/ws/images"),
        ("s3://bucket/ws/", "s3://bucket/ws/images"),
        ("/a?b/ws", "/a?b/ws/images"),
    ],
)
def test_where_a_table_lies_is_shown_without_secrets(uri: str, shown: str) -> None:
    place = Place(fsspec.filesystem("memory"), "/ws", uri)
    assert Workspace(place, "photos", exists=True).table_uri(IMAGES) == shown


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Collection]]:
    """Photographs on a web server, and the folder in which they lie."""
    made = Collection(tmp_path / "served")
    for subject in range(2):
        made.add(subject, "2024-05-01", 0, f"{subject}.jpg")
    handler = functools.partial(Quiet, directory=str(made.root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", made
        server.shutdown()
        thread.join()


def planted_in(folder: Path) -> list[str]:
    """Files that hold the secret as it is, or Parquet in which some value of a column does."""
    found = [str(path) for path in folder.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]
    for name, dates in tables(folder).items():
        found += [name for rows in dates.values() if PLANTED in str(rows.to_pylist())]
    return found


@pytest.mark.slow
def test_signed_uris_of_a_manifest_are_read_and_not_kept(web: tuple[str, Collection], tmp_path: Path) -> None:
    host, made = web
    (tmp_path / "home").mkdir()
    said = []
    ids = []
    for day in range(2):  # a new signature every day, and a name that was never there
        signed = f"X-Amz-Signature={PLANTED}{day}&X-Amz-Date={day}"
        places = [f"http://user:{PLANTED}@{host}/{key}?{signed}" for key in (*made.identity, "gone.jpg")]
        (tmp_path / "m.csv").write_text("uri\n" + "\n".join(places) + "\n")
        words = run_arguments(tmp_path / "home", tmp_path / "ws", "--manifest", tmp_path / "m.csv")
        refused = imagetracks(*words)
        assert refused.returncode == (2, 0)[day]  # by the second day it is known, as a row that failed
        done = imagetracks(*words, "--set", "ingest.on_absent=keep")
        assert done.returncode == 0, done.stderr
        said += [refused.stdout, refused.stderr, done.stdout, done.stderr]
        images = pa.concat_tables(tables(tmp_path / "ws")["images"].values())
        ids.append(sorted(images["image_id"].to_pylist()))
        reasons = dict(zip(images["uri"].to_pylist(), images["reason"].to_pylist(), strict=True))
        assert reasons == {
            **{f"http://{host}/{key}": None for key in made.identity},
            f"http://{host}/gone.jpg": "not_found",
        }
    assert ids[0] == ids[1]
    shown = imagetracks("status", "-w", tmp_path / "ws")
    assert PLANTED not in "".join([*said, shown.stdout, shown.stderr])
    assert planted_in(tmp_path / "ws") == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz"])
def test_a_signed_manifest_is_read_once_and_its_signature_not_shown(web: tuple[str, Collection], name: str) -> None:
    host, made = web
    text = b"path\n0.jpg\n1.jpg\n"
    (made.root / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    signed = f"?sig={PLANTED}&se=*.[a]/x.y"
    found = read_manifest(f"http://u:{PLANTED}@{host}/{name}{signed}", SourceParams())
    assert found.places == ["0.jpg", "1.jpg"]
    for wrong in (f"http://u:{PLANTED}@{host}/none.csv{signed}", f"http://u:{PLANTED}@{host}/0.jpg{signed}"):
        with pytest.raises(UserError, match=r"there is nothing at the manifest|has the suffix \.jpg") as caught:
            read_manifest(wrong, SourceParams())
        assert PLANTED not in str(caught.value)
    (made.root / "c.yaml").write_text("link: {max_gap: 3}\n")
    assert load_config(f"http://{host}/c.yaml{signed}").link.max_gap == 3


@pytest.mark.slow
@pytest.mark.parametrize("refused", ["an image", "everything"])
def test_what_a_store_repeats_of_a_key_is_not_shown(refused: str, tmp_path: Path) -> None:
    """S3 answers some refusals with what was sent to it; a token is sent with each request."""
    made = Collection(tmp_path / "photos")
    for subject in range(2):
        made.add(subject, "2024-05-01", 0, f"{subject}.jpg")
    with s3_server(tmp_path) as s3, proxied(s3.endpoint) as proxy:
        s3.filesystem.mkdir("bucket")
        s3.filesystem.pipe({f"bucket/photos/{key}": (made.root / key).read_bytes() for key in made.identity})
        proxy.says = f"the token {PLANTED}-token of the key {PLANTED}-key"
        proxy.judge = lambda seen: judge(refused, proxy, seen)
        env = environment(
            AWS_ENDPOINT_URL=proxy.endpoint,
            AWS_SECRET_ACCESS_KEY=f"{PLANTED}-secret",
            AWS_SESSION_TOKEN=f"{PLANTED}-token",
            AWS_ACCESS_KEY_ID=f"{PLANTED}-key",
        )
        done = imagetracks(*run_arguments("s3://bucket/photos", tmp_path / "ws"), env=env)
    assert proxy.done
    assert done.returncode == (0 if refused == "an image" else 2), done.stderr
    assert PLANTED not in done.stdout + done.stderr
    if refused == "an image":
        images = pa.concat_tables(tables(tmp_path / "ws")["images"].values())
        assert sorted(map(str, images["reason"].to_pylist())) == ["None", "permission_denied"]
        assert planted_in(tmp_path / "ws") == []


def judge(refused: str, proxy: Proxy, seen: Seen) -> str | None:
    del proxy
    return "AccessDenied" if refused == "everything" or seen.path.endswith("/0.jpg") else None


OFFLINE = ["unshare", "--net", sys.executable, "-m", "tests.offline"]


def can_be_offline(tmp_path: Path) -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    tried = [*OFFLINE, str(tmp_path / "tried"), "true"]
    return subprocess.run(tried, check=False, capture_output=True, cwd=ROOT).returncode == 0


@pytest.mark.ray
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_nothing_phones_home(engine: str, tmp_path: Path) -> None:
    """In a namespace whose way out ends in a device that is read: not one packet, and nothing minds.

    Ray asks the machine's own metadata service which cloud this is, also where its usage statistics are off.
    """
    if not can_be_offline(tmp_path):
        pytest.skip("a network namespace and a tun device take privileges that this user does not have")
    made = Collection(tmp_path / "photos")
    made.add(0, "2024-05-01", 0)
    words = ["run", "-c", made.root, "-w", tmp_path / "ws", "--engine", engine, "--set", "resources.num_cpus=1"]
    command = [*OFFLINE, tmp_path / "packets", BIN / "imagetracks", *words]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=400, env=environment(), cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    asked = {"169.254.169.254", "metadata.google.internal"} if engine == "ray" else set()
    assert set((tmp_path / "packets").read_text().split()) <= asked
    assert len(tables(tmp_path / "ws")["tracks"]) == 1


@pytest.mark.slow
def test_a_packet_would_be_seen(tmp_path: Path) -> None:
    if not can_be_offline(tmp_path):
        pytest.skip("a network namespace and a tun device take privileges that this user does not have")
    code = """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.7", 9))
question = bytes(12) + b"\\x04home\\x07example\\0"
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(question, ("198.51.100.8", 53))
"""
    command = [*OFFLINE, tmp_path / "packets", sys.executable, "-c", code]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    assert (tmp_path / "packets").read_text().split() == ["198.51.100.7", "home.example"]


@pytest.mark.ray
def test_ray_reports_nothing_and_shows_no_dashboard() -> None:
    code = """
import json
from pipeline.resources import Resources
from pipeline.runtime.engines import engine_maker

engine = engine_maker("ray", None, Resources(num_cpus=1))()
from ray._common.usage import usage_lib
from ray._private.worker import global_worker
print(json.dumps([usage_lib.usage_stats_enabled(), global_worker.node.webui_url or ""]))
engine.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '[false, ""]'


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a dotted name in the package."""
    for path in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> Any:
    return next(
        (one.value.value for one in call.keywords if one.arg == name and isinstance(one.value, ast.Constant)), None
    )


@pytest.mark.slow
def test_nothing_is_opened_that_could_run_code() -> None:
    opened = list(calls())
    names = {name for name, _ in opened}
    forbidden = {"eval", "exec", "compile", "os.system", "yaml.unsafe_load", "joblib.load", "dill.load"}
    assert not names & (
        forbidden | {f"{kind}.{verb}" for kind in ("pickle", "cloudpickle") for verb in ("load", "loads")}
    )
    assert all(keyword(call, "weights_only") is True for name, call in opened if name.endswith("torch.load"))
    assert all(ast.unparse(call.args[1]) == "Loader" for name, call in opened if name == "yaml.load")
    assert issubclass(Loader, (yaml.SafeLoader, yaml.CSafeLoader))
    assert {"torch.load", "yaml.load"} <= names
    assert not [call for name, call in opened if keyword(call, "allow_pickle") or keyword(call, "shell")]
