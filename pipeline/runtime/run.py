"""A run: every stage in order, each doing only what is stale."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pipeline.config import Config
from pipeline.errors import UserError
from pipeline.failures import explain
from pipeline.runtime.context import Context, Reporter
from pipeline.runtime.engine import Engine
from pipeline.runtime.fingerprints import run_fingerprints
from pipeline.runtime.fit import run_projection
from pipeline.runtime.ingest import run_ingest
from pipeline.runtime.naming import finish, run_naming
from pipeline.runtime.steps import run_stage
from pipeline.runtime.verdicts import run_verdicts, warn_of_unknown
from pipeline.runtime.vocabulary import run_vocabularies
from pipeline.stages.catalog import NAMED_STAGES, UNNAMED_STAGES
from pipeline.stages.fingerprint import extractor_digest, min_side
from pipeline.storage import redact
from pipeline.workspace import collection_name, open_workspace


@dataclass(frozen=True)
class Request:
    """What a person asked for; ``dates`` are the first and last to work on (both included), None: no bound."""

    collection: str
    workspace: str
    manifest: str | None = None
    dates: tuple[str | None, str | None] = (None, None)
    refit: bool = False


def run(request: Request, config: Config, make_engine: Callable[[], Engine], reporter: Reporter) -> Context:
    """Bring the workspace up to date with the collection; ``Context.done`` says what was computed.

    Raises:
        ImagetracksError: for a person to read; what was committed before stays.
    """
    name = f"the workspace {redact(request.workspace)}"
    try:
        return _run(request, config, make_engine, reporter)
    except Exception as error:
        told = explain(error, name)
        if told is None or told is error:
            raise
        raise told from error


def _run(request: Request, config: Config, make_engine: Callable[[], Engine], reporter: Reporter) -> Context:
    _check_extractors(config)
    collection, resources = collection_name(request.collection), config.resources
    workspace = open_workspace(request.workspace, collection, resources.retries, resources.lease_seconds)
    context = Context(workspace, config, make_engine, reporter, request.dates)
    try:
        unclean = workspace.left_unclean()
        if unclean:
            workspace.sweep()
        finish(context)
        run_ingest(context, request.collection, request.manifest)
        run_vocabularies(context, request.refit)
        run_fingerprints(context)
        run_projection(context, request.refit)
        run_verdicts(context)
        for stage in UNNAMED_STAGES:
            run_stage(context, stage)
        warn_of_unknown(context)
        run_naming(context)
        for stage in NAMED_STAGES:
            run_stage(context, stage)
        if unclean:
            workspace.drop_fragments()
        if context.done:
            workspace.put_report(context.run, context.report())
    except BaseException as error:
        lost = workspace.lease.lost() if isinstance(error, Exception) else None
        with suppress(Exception):  # what stopped the run is what is told
            context.close(clean=False)
        if lost is not None:  # whoever took over may have deleted what was being read
            raise lost from error
        raise
    context.close()
    return context


def _check_extractors(config: Config) -> None:
    """What can be told before hours of ingest: weights that cannot be read, enlarged pixels (DESIGN.md §5)."""
    for fingerprint in config.fingerprint.tables():
        extractor_digest(fingerprint)
    needed, given = min_side(config.fingerprint), config.ingest.image_px
    names = ", ".join([config.fingerprint.name, *config.fingerprint.also])
    if given != "original" and given < needed:
        raise UserError(
            f"fingerprint.extractor {names} needs {needed} pixels on the shorter side, and "
            f"ingest.image_px keeps {given}\nset ingest.image_px={needed} or more (the images are then read again), "
            "or choose another extractor"
        )
