"""One writer a workspace: a lease with a holder and an expiry, renewed while the run lasts.

    WORKSPACE/_lease/00000007.json    the seventh lease of this workspace; the highest number is the one that counts

A number is taken once and for ever: who wants to write creates the next one, which of several that try at once only
one can (a conditional put).  So taking a free lease, breaking an expired one and noticing that one's own was broken
are the same question, whose number is highest; no clock decides it.  Clocks decide only when a lease may be broken:
not before it has expired, or its process is known to be gone from this very machine.  The last lease stays, and tells
the next run whether the last one ended well (otherwise it sweeps first).
"""

import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import BusyError
from pipeline.storage import FileSystem, create, put_atomic

SECONDS = 120
"""How long a lease lasts; renewed four times as often, it outlives clocks that differ by a minute."""

_RENEWALS = 4

_ACTIVE: set[str] = set()
"""Runs of this process that hold a lease: the pid alone would take a run that has failed for one that goes on."""


@dataclass(frozen=True)
class Holder:
    """Who holds, or held, a lease.

    ``machine`` and ``pid`` are for people.  ``place`` and ``started`` tell whether the process still is:
    a pid means something on one boot of one machine, within one namespace, until the number is used again.
    ``until`` is Unix time.  ``state``: ``held``; ``clean``, given back at the end of a run; ``unclean``, given back by
    one that failed or was stopped.
    """

    number: int
    run: str
    machine: str
    pid: int
    place: str
    started: str
    until: float
    state: Literal["held", "clean", "unclean"] = "held"

    def is_active(self) -> bool:
        """Whether the run may still be writing: it holds the lease, in time, and is not known to be dead."""
        return self.state == "held" and time.time() < self.until and not self.is_gone()

    def is_gone(self) -> bool:
        """Whether its process is known to be dead; one elsewhere never is."""
        if not self.place or self.place != _place():
            return False
        if self.pid == os.getpid() and self.started == _started(self.pid):
            return self.run not in _ACTIVE
        return _started(self.pid) != self.started


class Lease:
    """This run's claim to a workspace."""

    def __init__(self, filesystem: FileSystem, folder: str, name: str, seconds: float = SECONDS) -> None:
        """Nothing is asked for or written yet.

        Args:
            filesystem: where it lies.
            folder: of the leases.
            name: of the workspace, for messages.
            seconds: after which it expires unless renewed.
        """
        self.filesystem, self.folder, self.name, self.seconds = filesystem, folder, name, seconds
        self.run = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"
        self._seen: Holder | None = None
        self._looked = False
        self._own: Holder | None = None
        self._lost: BusyError | None = None
        self._deadline = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @property
    def taken(self) -> bool:
        """Whether this run has taken it; ``check`` says whether it still has it."""
        return self._own is not None

    def look(self) -> Holder | None:
        """The last lease, None if there never was one; what is planned from here on is planned under it.

        Raises:
            BusyError: another run holds it.
        """
        self._seen, self._looked = self._latest(), True
        if self._seen is not None and self._seen.is_active():
            raise self._busy(self._seen)
        return self._seen

    def take(self) -> None:
        """Take the lease and renew it from now on, in a thread.

        Raises:
            BusyError: another run holds it, or had it since ``look``: what was planned may be outdated.
        """
        if not self._looked:
            self.look()
        self._claim((self._seen.number if self._seen else 0) + 1, self._seen)
        _ACTIVE.add(self.run)
        threading.Thread(target=self._keep, name="lease", daemon=True).start()

    def check(self) -> float:
        """To be called before every commit: returns only while the lease is held.

        Returns:
            The seconds, at least a fourth of what it lasts, within which a write has to be done or given up.

        Raises:
            BusyError: it was lost; nothing may be written any more.
            OSError: the store does not say.
        """
        with self._lock:
            if self._lost is not None:
                raise self._lost
            left = self._deadline - _clock()
            if left <= 0:
                self._take_again()
            elif left < self.seconds / _RENEWALS:
                self._renew()
            return self._deadline - _clock()

    def lost(self) -> BusyError | None:
        """Whether it was lost, now asked for in any case: what failed may have failed because of that."""
        with self._lock:
            if self._lost is None and self._own is not None:
                with suppress(Exception):
                    latest = self._latest()
                    if latest is None or latest.run != self.run:
                        self._lose(latest)
            return self._lost

    def release(self, clean: bool) -> None:
        """Give it back; ``clean`` if the run came to its end.  A lease that was lost is left to who has it.

        Where the run before did not end but was cut off, it may wake up and leave what it had begun: then the next
        run is to look for that too.
        """
        self._stop.set()
        clean = clean and (self._seen is None or self._seen.state != "held" or self._seen.is_gone())
        with self._lock:
            own, self._own = self._own, None
            _ACTIVE.discard(self.run)
            if own is not None and self._lost is None:
                self._put(replace(own, until=time.time(), state="clean" if clean else "unclean"))

    # -- inside; all that changes ``_own`` and ``_deadline`` under the lock, or before the thread starts

    def _claim(self, number: int, broken: Holder | None) -> None:
        started = _clock()
        own = Holder(
            number, self.run, socket.gethostname(), os.getpid(), _place(), _started(os.getpid()), self._expiry()
        )
        with suppress(FileExistsError):  # ours, if only the answer to our first try was lost
            create(self.filesystem, self._path(number), _json(own))
        self._insist(own, broken)
        self._own, self._deadline = own, started + self.seconds
        older = [self._path(one) for one in self._numbers() if one < number]
        if older:
            self.filesystem.rm(older)

    def _insist(self, own: Holder, broken: Holder | None) -> None:
        """Refuse to have a lease whose number is not the highest, or that another has, or that broke a live one."""
        latest = self._latest()
        if latest is None or latest.run != self.run:
            if latest is not None and latest.number > own.number:
                self._withdraw(own)
            raise self._busy(latest)
        # Renewed since it was looked at: its holder lives and was about to be robbed.
        before = self._read(broken.number) if broken is not None and broken.state == "held" else None
        if before is not None and broken is not None and before.until > broken.until:
            self._withdraw(own)
            raise self._busy(before)

    def _withdraw(self, own: Holder) -> None:
        found = self._read(own.number)
        if found is not None and found.run == self.run:
            self.filesystem.rm_file(self._path(own.number))

    def _keep(self) -> None:
        """The thread: what fails here is tried again, and told by ``check``."""
        while not self._stop.wait(self.seconds / _RENEWALS):
            with self._lock, suppress(Exception):
                if self._own is not None and self._lost is None and self._deadline > _clock():
                    self._renew()

    def _renew(self) -> None:
        """Put it again with a later expiry.

        The look at the numbers comes after the put: who breaks the lease either is seen by it, or sees this put.
        """
        assert self._own is not None  # noqa: S101  # for the type checker
        started = _clock()
        found = self._read(self._own.number)
        if found is None or found.run != self.run:
            raise self._lose(self._latest())
        own = replace(self._own, until=self._expiry())
        self._put(own)
        latest = self._latest()
        if latest is None or latest.run != self.run:
            raise self._lose(latest)
        self._own, self._deadline = own, started + self.seconds

    def _take_again(self) -> None:
        """After the expiry (the machine slept): still ours if nobody had it since, and then under a new number."""
        latest = self._latest()
        if latest is None or latest.run != self.run:
            raise self._lose(latest)
        self._claim(latest.number + 1, None)

    def _lose(self, to: Holder | None) -> BusyError:
        """It is lost for good."""
        who = f"run {to.run} ({to.machine}, process {to.pid})" if to is not None else "another run"
        self._lost = BusyError(
            f"this run has lost the workspace {self.name} to {who}: it did not renew its lease for {self.seconds:g} s\n"
            "it stopped before it could write over the other's work; what it had committed stays. Run again later"
        )
        return self._lost

    def _busy(self, holder: Holder | None) -> BusyError:
        if holder is None or not holder.is_active():
            return BusyError(
                f"another run has just written to the workspace {self.name}, while this one was planning\n"
                "nothing was changed by this one; run again"
            )
        until = time.strftime("%H:%M:%S", time.gmtime(holder.until))
        return BusyError(
            f"the workspace {self.name} is being written to by run {holder.run} on {holder.machine}, process "
            f"{holder.pid}, whose lease lasts until {until} UTC and is renewed while it runs\n"
            "wait for its end, or stop it; a run that was killed loses its lease by itself"
        )

    def _expiry(self) -> float:
        return round(time.time() + self.seconds, 3)

    def _latest(self) -> Holder | None:
        for _ in range(3):  # the highest may be replaced by a higher one while it is read
            numbers = self._numbers()
            if not numbers:
                return None
            found = self._read(numbers[-1])
            if found is not None:
                return found
        raise BusyError(f"the lease of the workspace {self.name} changes hands faster than it can be read; run again")

    def _numbers(self) -> list[int]:
        try:
            found = self.filesystem.ls(self.folder, detail=False)
        except FileNotFoundError:
            return []
        names = [path.rsplit("/", 1)[-1] for path in found]
        return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdigit())

    def _read(self, number: int) -> Holder | None:
        try:
            data = self.filesystem.cat_file(self._path(number))
        except FileNotFoundError:
            return None
        try:
            return Holder(**{**json.loads(data), "number": number})
        except (ValueError, TypeError):  # half of one: its writer died, or does not know of hard links
            return Holder(number, "unknown", "unknown", 0, "", "", 0.0)

    def _put(self, holder: Holder) -> None:
        put_atomic(self.filesystem, self._path(holder.number), _json(holder))

    def _path(self, number: int) -> str:
        return f"{self.folder}/{number:08}.json"


def _json(holder: Holder) -> bytes:
    value: dict[str, Any] = asdict(holder)
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _clock() -> float:
    """Seconds that go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _place() -> str:
    """Where a pid means the same: this boot of this machine, this namespace of pids."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    return ""


def _started(pid: int) -> str:
    """When a process was started, in the kernel's ticks since boot; empty if there is none, or only its remains."""
    try:
        # The name of the program comes second, in brackets, and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
