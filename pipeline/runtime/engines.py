"""Choosing and starting an engine."""

import os
import secrets
from collections.abc import Callable

from pipeline.errors import UserError
from pipeline.resources import Resources
from pipeline.runtime.engine import Engine, LocalEngine


def engine_maker(name: str, address: str | None, resources: Resources) -> Callable[[], Engine]:
    """How to start the engine when the first work turns up.

    Raises:
        UserError: no such engine.
    """

    def ray() -> Engine:
        join = address or os.environ.get("RAY_ADDRESS")
        _prepare_ray()
        if join in (None, "local"):
            _prepare_own_ray(resources)
        from pipeline.runtime.ray_engine import RayEngine

        return RayEngine(resources, join)

    def local() -> Engine:
        return LocalEngine(resources.threads)

    makers: dict[str, Callable[[], Engine]] = {"ray": ray, "local": local}
    if name not in makers:
        raise UserError(f"--engine {name}: expected ray or local")
    return makers[name]


def _prepare_ray() -> None:
    """Settings of this process; Ray reads them when it is imported, so this comes first.

    What Ray would write to the terminal is its own log: that actors are restarted, that a worker died.  The run says
    itself what failed for good.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def _prepare_own_ray(resources: Resources) -> None:
    """Settings of a Ray that this process starts."""
    os.environ.setdefault("RAY_task_oom_retries", str(resources.retries))  # Ray's default has no end
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's default of 15 starves it on a shared machine
    if "RAY_AUTH_TOKEN" not in os.environ:  # a token for this process's own Ray: nothing is written to ~/.ray
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(24))
