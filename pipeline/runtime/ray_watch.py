"""A Ray that this process has started, watched: where one of its servers dies, Ray ends the driver without a word.

It does so some 15 seconds later, from C++, whatever Python does.  So who drives the run looks for itself, says what
happened, and ends; what was committed stays, as after any kill.
"""

import os
import sys
import threading

from ray._private.worker import global_worker

_SECONDS = 0.5
_SERVERS = frozenset({"raylet", "gcs_server"})
"""Without these nothing goes on; of agents and monitors Ray can do without."""

_FAILED = 1


class Watch:
    """A thread that looks now and then whether Ray's servers live."""

    def __init__(self) -> None:
        """Begin; Ray was started by this process."""
        self._stop = threading.Event()
        threading.Thread(target=self._look, args=(global_worker.node,), name="ray", daemon=True).start()

    def stop(self) -> None:
        """To be called before Ray is shut down."""
        self._stop.set()

    def _look(self, node: object) -> None:
        while not self._stop.wait(_SECONDS):
            dead = sorted(_SERVERS & {name for name, _ in node.dead_processes()})  # type: ignore[attr-defined]  # untyped
            if dead and not self._stop.is_set():
                # os.write: the main thread may hold stderr's lock, and will not come back to give it up.
                os.write(sys.stderr.fileno(), _message(dead).encode())
                os._exit(_FAILED)


def _message(dead: list[str]) -> str:
    return (
        f"\nimagetracks: Ray has died on this machine ({', '.join(dead)} was killed, or ran out of memory)\n"
        "what was committed stays, and the next run goes on from there\n"
    )
