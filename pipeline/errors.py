"""The errors a person may meet; everything else is a bug and may show a traceback.

A message says three things: what was found, what was expected, what to do next.  The command line prints it
without a traceback and leaves with ``exit_code``.
"""


class ImagetracksError(Exception):
    """Base of every error that is meant for a person."""

    exit_code = 1


class UserError(ImagetracksError):
    """A mistake in the command, the configuration, the manifest or the permissions: nothing was started or lost."""

    exit_code = 2


class DamagedError(UserError):
    """A file of a workspace is gone or is not what was written; ``imagetracks sweep`` drops what it belongs to."""


def damaged(path: str, found: object) -> DamagedError:
    """The error that says so of a file."""
    return DamagedError(
        f"{path} is damaged or gone ({' '.join(str(found).split())[:200]})\n"
        "if no other run was writing just now, run `imagetracks sweep --check --workspace …`: "
        "it drops what is damaged, and the next run computes that again"
    )


class SchemaError(ImagetracksError):
    """A table does not have the columns, types, keys or order that :mod:`pipeline.schemas` declares."""


class CommitError(ImagetracksError):
    """A commit was refused because its parts do not hold what they were to hold; the old content stays."""


class TooManyFailuresError(ImagetracksError):
    """More images failed for good than ``resources.max_failed_fraction`` allows; what was committed stays."""


class BusyError(ImagetracksError):
    """Another run writes to the workspace, or has taken it over; trying again later may go (EX_TEMPFAIL)."""

    exit_code = 75


class WorkerDiedError(ImagetracksError):
    """Work was given up because its process died each time it was tried; what was committed stays.

    Attributes:
        keys: Of the calls that have no result.
    """

    def __init__(self, message: str, keys: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys
