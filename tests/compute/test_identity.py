from hashlib import blake2b

from pipeline.compute.identity import content_hash, image_id
from pipeline.compute.reasons import PERMANENT, TRANSIENT, Flaw, Reason, describe, is_transient


def test_ids_are_32_hex_digits_of_blake2b_over_the_key() -> None:
    assert image_id("a/ü.jpg") == blake2b("a/ü.jpg".encode(), digest_size=16).hexdigest()
    assert len(image_id("")) == 32
    assert content_hash(b"\0") == blake2b(b"\0", digest_size=16).hexdigest()


def test_every_reason_is_either_transient_or_permanent_and_has_a_sentence() -> None:
    assert set(TRANSIENT) | set(PERMANENT) == set(Reason)
    assert not set(TRANSIENT) & set(PERMANENT)
    assert all(describe(reason).endswith(".") for reason in Reason)


def test_store_reasons_are_tried_again_and_content_reasons_are_not() -> None:
    assert is_transient("not_found")
    assert is_transient(Reason.TIMED_OUT)
    assert not is_transient("truncated")


def test_a_flaws_detail_is_one_short_line() -> None:
    flaw = Flaw(Reason.CORRUPT, "a\nb\t" + "x" * 1000)
    assert flaw.detail.startswith("a b x")
    assert len(flaw.detail) == 200
