"""Weights from files: tensors only, all of them, and nothing that runs when opened."""

import pickle
import socket
from threading import Thread

import fsspec
import pytest
import torch
from safetensors.torch import save_file

from pipeline.compute.extractors import weights
from pipeline.errors import UserError

pytestmark = pytest.mark.slow  # importing torch takes seconds


def network():
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGETRACKS_CACHE", str(tmp_path / "cache"))
    state = network().state_dict()
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    ("said", "words"),
    [(b"", "timed out"), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "4 bytes of 9 came")],
    ids=["silent", "cut short"],
)
def test_a_server_that_is_silent_or_stops_early_is_given_up(tmp_path, monkeypatch, said, words):
    monkeypatch.setattr(weights, "_SILENCE", 0.2)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    where = tmp_path / "weights" / "w.pth"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with server.accept()[0] as client:
                client.recv(2**16)
                client.sendall(said)
                if not said:
                    client.recv(1)  # until the other side has gone

        Thread(target=answer, daemon=True).start()
        with pytest.raises(UserError, match=f"cannot download .*{words}.*; put the file at {where}"):
            weights.download(f"http://127.0.0.1:{server.getsockname()[1]}/w.pth", where, "torchvision/vgg16")
    assert list(where.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_round_trip(files, name):
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    weights.load_into(other, weights.read_tensors(str(files / name)), name)
    for key, value in network().state_dict().items():
        assert torch.equal(other.state_dict()[key], value)


def test_a_uri_is_fetched_once_for_each_state_of_the_object(files):
    uri = "memory://weights-test/a.pth"
    with fsspec.open(uri, "wb") as file:
        file.write((files / "a.pth").read_bytes())
    assert weights.content_hash(uri) == weights.content_hash(str(files / "a.pth"))
    assert set(weights.read_tensors(uri)) == set(network().state_dict())
    with fsspec.open(uri, "wb") as file:
        file.write(b"other bytes")
    assert weights.content_hash(uri) != weights.content_hash(str(files / "a.pth"))


class Hostile:
    def __reduce__(self):
        return (open, ("opened", "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickled_object_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pth"
    torch.save({"weight": Hostile()}, path)
    with pytest.raises(UserError, match="tensors only"):
        weights.read_tensors(str(path))
    path.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(UserError, match="tensors only"):
        weights.read_tensors(str(path))
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("content", [{"state_dict": {"w": torch.ones(2)}, "epoch": 3}, [torch.ones(2)], torch.ones(2)])
def test_something_else_than_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match="tensors by name"):
        weights.read_tensors(str(tmp_path / "a.pth"))


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_bytes_that_are_no_weights_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(UserError, match=r"fingerprint\.weights"):
        weights.read_tensors(str(tmp_path / name))


@pytest.mark.parametrize("source", ["nowhere.pth", "memory://nowhere/a.pth", "nosuchprotocol://a/b.pth"])
def test_a_missing_file_is_named(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    for read in (weights.content_hash, weights.read_tensors):
        with pytest.raises(UserError, match=source):
            read(source)


def test_weights_of_another_network_are_refused_with_what_differs(files):
    other = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 1))
    with pytest.raises(UserError, match=r"missing 2\.bias, 2\.weight; 0\.bias \(4,\) instead of \(5,\)"):
        weights.load_into(other, weights.read_tensors(str(files / "a.pth")), "a.pth")
    with pytest.raises(UserError, match=r"not in the network 1\.bias"):
        weights.load_into(torch.nn.Sequential(torch.nn.Linear(3, 4)), weights.read_tensors(str(files / "a.pth")), "a")
