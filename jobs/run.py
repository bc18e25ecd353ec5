"""``python -m jobs.run``: started by ``ray job submit`` and schedulers; the options are ``imagetracks run``'s."""

import typer

from pipeline.cli import end_with, run


def main() -> None:
    """Run the pipeline; in a Ray job it joins the cluster that runs the job."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    end_with(app)


if __name__ == "__main__":
    main()
