"""Why an image has no result: one fixed vocabulary, split by when it is worth another try (DESIGN.md rule 5)."""

from enum import StrEnum

DETAIL_LENGTH = 200
"""Characters of a decoder's or a store's own words that are kept beside a reason."""


class Reason(StrEnum):
    """A reason as it stands in a table's ``reason`` column."""

    # transient: tried again at the next run
    NOT_FOUND = "not_found"
    PERMISSION_DENIED = "permission_denied"
    TIMED_OUT = "timed_out"
    IO_ERROR = "io_error"
    CHANGED = "changed"
    OUT_OF_MEMORY = "out_of_memory"
    # permanent: tried again when the content or the settings change, or on request
    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    DECODER_CRASHED = "decoder_crashed"
    EXTRACTOR_FAILED = "extractor_failed"
    BAD_REGION = "bad_region"
    NO_FACE = "no_face"


TRANSIENT: dict[Reason, str] = {
    Reason.NOT_FOUND: "The object was listed or named in the manifest and is not there.",
    Reason.PERMISSION_DENIED: "The store refused to hand out the object.",
    Reason.TIMED_OUT: "The store did not answer in time, after several tries.",
    Reason.IO_ERROR: "The object could not be read, after several tries.",
    Reason.CHANGED: "The object's size is not what the listing said: it changed after it was listed.",
    Reason.OUT_OF_MEMORY: "The worker had no memory left to decode it.",
}
"""Reasons that lie in the store or the machine, each with one sentence."""

PERMANENT: dict[Reason, str] = {
    Reason.EMPTY: "The object has no bytes.",
    Reason.NOT_AN_IMAGE: "The bytes are not an image, whatever the name says.",
    Reason.UNSUPPORTED_FORMAT: "An image of a format, or with pixels of a kind, that is not read.",
    Reason.TRUNCATED: "The image ends before its last pixel.",
    Reason.CORRUPT: "The image is damaged and cannot be decoded.",
    Reason.TOO_LARGE: "The object has more bytes than ingest.max_bytes.",
    Reason.TOO_MANY_PIXELS: "The image has more pixels than ingest.max_pixels.",
    Reason.DECODER_CRASHED: "Decoding it killed the process that did it, or took longer than resources.decode_seconds.",
    Reason.BAD_REGION: "Half of the region's box, or more, lies outside the photograph.",
    Reason.NO_FACE: "No face of the least size and score was found.",
    Reason.EXTRACTOR_FAILED: "The image decodes, but the extractor gave no finite vector for it, or died of it.",
}
"""Reasons that lie in the content, each with one sentence."""


class Flaw(Exception):  # noqa: N818  (what is wrong with one image; not an error of the run)
    """One image cannot be used.

    Attributes:
        reason: from the fixed vocabulary.
        detail: what the decoder or the store said, at most ``DETAIL_LENGTH`` characters.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = " ".join(detail.split())[:DETAIL_LENGTH]


def flaw_from(text: str) -> Flaw:
    """A flaw that was written as text.

    Raises:
        ValueError: the reason is not in the vocabulary.
    """
    reason, _, detail = text.partition(": ")
    return Flaw(Reason(reason), detail)


def is_transient(reason: str) -> bool:
    """Whether a row with this reason is tried again at the next run though nothing changed.

    Raises:
        ValueError: ``reason`` is not in the vocabulary.
    """
    return Reason(reason) in TRANSIENT


def describe(reason: str) -> str:
    """The sentence that explains ``reason`` to a person.

    Raises:
        ValueError: ``reason`` is not in the vocabulary.
    """
    return (TRANSIENT | PERMANENT)[Reason(reason)]
