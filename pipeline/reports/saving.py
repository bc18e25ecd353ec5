"""Writing a picture into the file that a person named."""

from pathlib import Path

from PIL import Image

from pipeline.errors import UserError


def check_folder(file: Path) -> None:
    """Say before the work is done that its picture could not be written.

    Raises:
        UserError: the file's folder is not there.
    """
    if not file.absolute().parent.is_dir():
        raise UserError(f"cannot write the picture {file}: there is no folder {file.parent}; make it first")


def save(picture: Image.Image, file: Path, example: str) -> None:
    """Write a picture in the format that the file's name tells.

    Args:
        picture: what was drawn.
        file: where to; a file that is there is replaced.
        example: a name that would do, for the message.

    Raises:
        UserError: no such format, or the file cannot be written.
    """
    try:
        picture.save(file)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write the picture {file}: {error}; give a file like {example}") from None
