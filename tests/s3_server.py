"""A real S3-speaking server as a process of its own, whose requests are counted.

``python -m tests.s3_server PORT COUNT`` is that process; it begins with the bucket ``many``, which has so many objects.
"""

import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import boto3
import s3fs

from pipeline.s3 import S3

ROOT = Path(__file__).parent.parent
_REQUEST = re.compile(r'"(?:\x1b\[[0-9;]*m)*(GET|HEAD|PUT|POST|DELETE) (\S*) HTTP')
"""The server's log has colours where an answer is not the usual 200."""


@dataclass(frozen=True)
class S3Server:
    """A moto server; ``filesystem`` is one of the tests' own, not the one under test."""

    endpoint: str
    log: Path

    @property
    def filesystem(self) -> s3fs.S3FileSystem:
        account = {"key": "x", "secret": "x"}  # moto takes any
        return s3fs.S3FileSystem(endpoint_url=self.endpoint, **account, skip_instance_cache=True)

    @contextmanager
    def counted(self, below: str = "") -> Iterator[Counter[str]]:
        """Requests of a block of code, of all objects or those below a place: GET, HEAD, LIST, PUT, …"""
        before = len(_REQUEST.findall(self.log.read_text()))
        counts: Counter[str] = Counter()
        yield counts
        for method, target in _REQUEST.findall(self.log.read_text())[before:]:
            if f"/{below}" in target:
                counts["LIST" if "list-type=2" in target else method] += 1

    @contextmanager
    def reader(self) -> Iterator[dict[str, str]]:
        """Credentials of somebody who may list and read, no more; the server looks at them for so long."""
        iam = boto3.client("iam", endpoint_url=self.endpoint)
        name = f"reader-{secrets.token_hex(4)}"
        may = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}
        iam.create_user(UserName=name)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self._set_requests_before_authentication("0")
        try:
            yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        finally:
            self._set_requests_before_authentication("inf")

    def _set_requests_before_authentication(self, count: str) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc)
        connection.request("POST", "/moto-api/reset-auth", count)
        assert connection.getresponse().status == 200
        connection.close()


def many_keys(count: int) -> list[str]:
    """Keys of the bucket ``many``, with every sign that URLs have trouble with."""
    return [f"{n % 3}/{n:05} +%20#=é日.jpg" for n in range(count)]


@contextmanager
def s3_server(folder: Path, keys_per_page: int = 1000, many: int = 0) -> Iterator[S3Server]:
    """Start a server, point the environment at it, and end it by its own handle."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "s3.log"
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", __name__, str(port), str(many)]
        paged = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(keys_per_page)}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=paged, cwd=ROOT)
        try:
            _wait(port, process)
            forget_connections()
            with patch.dict(os.environ, environment):
                yield S3Server(endpoint, log)
        finally:
            forget_connections()
            process.terminate()
            process.wait(20)


def serve(port: str, many: int) -> None:
    """Fill the bucket from within, a thousand times as fast as by requests, and serve for ever."""
    from moto.s3.models import s3_backends
    from moto.server import main
    from werkzeug.serving import WSGIRequestHandler

    WSGIRequestHandler.disable_nagle_algorithm = True  # an answer in two pieces waits 40 ms for the first one's receipt
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket("many", "us-east-1")
    for key in many_keys(many):
        backend.put_object("many", key, b"x")
    main(["-H", "127.0.0.1", "-p", port])


def forget_connections() -> None:
    """Filesystems are kept by their options, and read the environment when they are made."""
    s3fs.S3FileSystem.clear_instance_cache()
    S3.clear_instance_cache()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the S3 server did not start")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
