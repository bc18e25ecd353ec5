"""An HTTP proxy before the S3 server that does what networks and busy stores do to requests, as a test orders."""

import http.client
import http.server
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

ERROR = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{code}, {says}</Message></Error>"
STATUS = {"SlowDown": 503, "InternalError": 500, "AccessDenied": 403}
HANGS, LATE = 5.0, 3.0


@dataclass(frozen=True)
class Seen:
    """A request, before it is answered."""

    method: str
    path: str
    at: float

    def is_image(self) -> bool:
        return self.method == "GET" and self.path.endswith(".jpg")

    def is_write(self) -> bool:
        return self.method in ("PUT", "POST", "DELETE")


Verdict = Callable[[Seen], str | None]
"""What happens to a request: None passes; an error code is answered; or

``reset``: the connection is reset before the request is passed on; ``lost``: it is passed on, and reset before the
answer; ``cut``: half of the answer's body; ``hang``: nothing for some seconds; ``late``: it is passed on after some
seconds, whether or not its sender still waits.
"""


def now_and_then(share: float, seed: int, *fates: str) -> Verdict:
    """A seeded share of all requests meets one of the fates."""
    dice, lock = random.Random(seed), threading.Lock()

    def judge(_: Seen) -> str | None:
        with lock:
            return dice.choice(fates) if dice.random() < share else None

    return judge


@dataclass
class Proxy:
    """``judge`` decides each request's fate; ``seen`` keeps them all, ``done`` those that met one."""

    endpoint: str
    judge: Verdict = lambda _: None
    says: str = "says the test"
    seen: list[Seen] = field(default_factory=list)
    done: list[tuple[str, Seen]] = field(default_factory=list)

    def heal(self) -> None:
        self.judge = lambda _: None
        self.seen.clear()
        self.done.clear()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer in two pieces would wait 40 ms for the first one's receipt
    server: "_Server"

    def handle_any(self) -> None:
        body = self._body()
        seen = Seen(self.command, unquote(self.path), time.monotonic())
        self.server.proxy.seen.append(seen)
        fate = self.server.proxy.judge(seen)
        if fate is not None:
            self.server.proxy.done.append((fate, seen))
        if fate == "reset":
            self._reset()
        elif fate == "hang":
            time.sleep(HANGS)
            self._reset()
        elif fate == "late":
            time.sleep(LATE)
            self._pass_on(body, None)
        elif fate in STATUS:
            self._answer(STATUS[fate], [("Content-Type", "application/xml")], self._error(fate))
        else:
            self._pass_on(body, fate)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815  (the base class's names)

    def _error(self, code: str) -> bytes:
        return ERROR.format(code=code, says=self.server.proxy.says).encode()

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _pass_on(self, body: bytes, fate: str | None) -> None:
        connection = http.client.HTTPConnection(self.server.upstream)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
        connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        if fate == "lost":
            self._reset()
            return
        kept = [
            (name, value)
            for name, value in response.getheaders()
            if name.lower() not in ("transfer-encoding", "content-length", "connection")
            or (name.lower() == "content-length" and self.command == "HEAD")
        ]
        self._answer(response.status, kept, data, cut=fate == "cut")

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True

    def _reset(self) -> None:
        self.close_connection = True
        # Lingering for no time at all sends RST in place of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  (the base class's name)
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.proxy = Proxy(f"http://127.0.0.1:{self.server_address[1]}")

    def handle_error(self, *_: object) -> None:
        pass  # clients that give up are what this is for


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """A proxy before ``upstream``, on a thread a connection."""
    with _Server(upstream) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()
