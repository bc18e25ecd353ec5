"""Names that come from content and keys, never from positions, counters or clocks (DESIGN.md rule 2)."""

from hashlib import blake2b

DIGEST_BYTES = 16
"""128 bits: the chance that any two of 10^9 images share an id is below 10^-20 (birthday bound)."""


def image_id(key: str) -> str:
    """32 hex digits of BLAKE2b over an image's key relative to the collection root, or its id column's text."""
    return blake2b(key.encode(), digest_size=DIGEST_BYTES).hexdigest()


def content_hash(data: bytes) -> str:
    """32 hex digits of BLAKE2b over an object's bytes."""
    return blake2b(data, digest_size=DIGEST_BYTES).hexdigest()
