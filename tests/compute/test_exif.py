import random
import struct
import time

import pytest

from pipeline.compute.exif import NO_EXIF, Exif, read_exif
from tests.pictures import exif


def test_reads_what_pillow_writes() -> None:
    block = exif(
        orientation=6,
        gps={29: "2024:01:05", 7: (9.0, 15.0, 30.5)},
        t36867="2024:01:05 10:15:30",
        t37521="123",
        t36881="+01:00",
        t36868="2024:01:06 10:15:30",
        t37522="4",
        t36882="-07:00",
        t306="2031:01:01 00:00:00",
    ).tobytes()
    assert read_exif(block) == Exif(
        6,
        "2024:01:05 10:15:30",
        "123",
        "+01:00",
        "2024:01:06 10:15:30",
        "4",
        "-07:00",
        "2024:01:05",
        (9.0, 15.0, 30.5),
    )


def directory(order: str, entries: list[bytes]) -> bytes:
    return struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0\0\0\0"


@pytest.mark.parametrize(("order", "magic"), [("<", b"II*\0"), (">", b"MM\0*")])
def test_reads_both_byte_orders(order: str, magic: bytes) -> None:
    orientation = struct.pack(order + "HHIHH", 274, 3, 1, 8, 0)
    block = magic + struct.pack(order + "I", 8) + directory(order, [orientation])
    assert read_exif(block).orientation == 8
    assert read_exif(b"Exif\0\0" + block).orientation == 8


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_out_of_range_is_upright(value: int) -> None:
    entry = struct.pack("<HHIHH", 274, 3, 1, value, 0)
    assert read_exif(b"II*\0" + struct.pack("<I", 8) + directory("<", [entry])).orientation == 1


def test_the_first_of_a_repeated_tag_counts() -> None:
    entries = [struct.pack("<HHIHH", 274, 3, 1, value, 0) for value in (3, 6)]
    assert read_exif(b"II*\0" + struct.pack("<I", 8) + directory("<", entries)).orientation == 3


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"II*\0", b"II*\0\xff\xff\xff\xff", b"garbage" * 10, b"MM\0*\0\0\0\x08"]
)
def test_nonsense_is_no_exif(block: bytes) -> None:
    assert read_exif(block) == NO_EXIF


def test_a_directory_that_points_at_itself_ends() -> None:
    pointer = struct.pack("<HHII", 0x8769, 4, 1, 8)
    assert read_exif(b"II*\0" + struct.pack("<I", 8) + directory("<", [pointer])) == NO_EXIF


def test_a_rational_over_zero_is_no_gps_time() -> None:
    time_entry = struct.pack("<HHII", 7, 5, 3, 8 + 18 + 18)
    first = directory("<", [struct.pack("<HHII", 0x8825, 4, 1, 8 + 18)])
    block = (
        b"II*\0" + struct.pack("<I", 8) + first + directory("<", [time_entry]) + struct.pack("<6I", 1, 1, 1, 0, 1, 1)
    )
    assert read_exif(block).gps_time is None


def test_a_block_that_claims_65535_long_entries_costs_next_to_nothing() -> None:
    entry = struct.pack("<HHII", 36867, 2, 2**32 - 1, 0)
    pointer = struct.pack("<HHII", 0x8769, 4, 1, 8)
    block = b"II*\0" + struct.pack("<IH", 8, 65535) + pointer + entry * 65534
    start = time.process_time()
    found = read_exif(block)
    assert time.process_time() - start < 0.1
    assert found.original is None or len(found.original) <= 64


def test_mutated_blocks_never_raise() -> None:
    whole = exif(orientation=6, gps={29: "2024:01:05", 7: (9.0, 15.0, 30.5)}, t36867="2024:01:05 10:15:30").tobytes()
    rng = random.Random(0)
    for _ in range(3000):
        block = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            block[rng.randrange(6, len(block))] = rng.randrange(256)
        found = read_exif(bytes(block[: rng.randint(0, len(block))]))
        assert 1 <= found.orientation <= 8
