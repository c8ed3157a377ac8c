"""The digest within an object: where it stands, what it is over, and what it finds.

The expected digests are the published test vectors of SHA-256 (FIPS 180-2, appendix B) for "abc" and the empty text.
"""

from __future__ import annotations

import hashlib
import io

import pytest

from cropmap.digests import LENGTH, DigestError, check, opened, seal, sealed

OF_ABC = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
OF_NOTHING = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def parquet(footer: bytes, body: bytes = b"rows", *, stated: int | None = None) -> bytes:
    """PAR1, rows, footer, its length in four bytes, PAR1: what every reader of Parquet relies on."""
    length = len(footer) if stated is None else stated
    return b"PAR1" + body + footer + length.to_bytes(4, "little") + b"PAR1"


def test_the_line_stands_at_the_end_and_is_over_what_stands_before_it() -> None:
    assert sealed(b"abc") == b'abc\n{"sha256": "' + OF_ABC + b'"}\n'
    assert sealed(b"") == b'\n{"sha256": "' + OF_NOTHING + b'"}\n'
    assert opened(sealed(b"abc")) == (b"abc", True)
    assert opened(sealed(b"")) == (b"", True)


def test_in_parquet_it_stands_before_the_footer_and_stays_there() -> None:
    footer = b"a footer of 20 bytes"
    data = parquet(footer)
    whole = sealed(data)
    digest = hashlib.sha256(data).hexdigest().encode()  # of all bytes beside the line
    tail = footer + (20).to_bytes(4, "little") + b"PAR1"
    assert whole == b"PAR1rows" + b'\n{"sha256": "' + digest + b'"}\n' + tail
    assert opened(whole) == (whole, True), "a reader finds the footer by its length, from the end"


@pytest.mark.parametrize("at", [0, 2, LENGTH // 2, -4])
def test_one_changed_byte_is_found(at: int) -> None:
    """In the content, at its end, and in the digest itself."""
    damaged = bytearray(sealed(b"abc"))
    damaged[at] = ord("0") if damaged[at] != ord("0") else ord("1")
    with pytest.raises(DigestError, match="not the one that it was written with"):
        opened(bytes(damaged))


def test_a_changed_byte_behind_the_line_is_found_too() -> None:
    whole = sealed(parquet(b"a footer of 20 bytes"))
    damaged = whole.replace(b"a footer", b"A footer")
    with pytest.raises(DigestError):
        opened(damaged)


@pytest.mark.parametrize(
    "data",
    [
        b"abc",
        b"",
        sealed(b"abc")[:-1],  # cut off: its line is none
        sealed(b"abc") + b"\n",  # something stands behind it
        sealed(b"abc").replace(b"ba78", b"BA78"),  # the digits of a digest are small
    ],
)
def test_what_has_no_line_is_taken_as_it_is(data: bytes) -> None:
    assert opened(data) == (data, False)


@pytest.mark.parametrize(
    "data",
    [
        b"PAR1PAR1",  # begins and ends as Parquet does, and is too short to be any
        parquet(b"short", stated=10_000),  # a footer longer than the file
        b"PAR1" + b"x" * 20,  # the end is missing
    ],
)
def test_what_only_looks_like_parquet_gets_its_line_at_the_end(data: bytes) -> None:
    assert sealed(data).startswith(data + b"\n")
    assert opened(sealed(data)) == (data, True)


def test_a_footer_that_fills_the_file_is_one() -> None:
    """4 bytes of head, 4 of footer, 8 of tail: the footer begins right behind the head, and the line between them."""
    whole = sealed(parquet(b"foot", body=b""))
    assert whole.startswith(b'PAR1\n{"sha256"')
    assert opened(whole) == (whole, True)


@pytest.mark.parametrize("data", [b"", b"abc", parquet(b"a footer of 20 bytes"), parquet(b"", stated=400), b"PAR1PAR1"])
def test_a_file_is_sealed_and_checked_as_its_bytes_are(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cropmap.digests.PIECE", 3)
    file = io.BytesIO(data)
    assert check(file) == (len(data), False)
    seal(file)
    assert file.getvalue() == sealed(data)
    assert check(file) == (len(opened(sealed(data))[0]), True)
    for at in (0, len(sealed(data)) - 20):
        damaged = bytearray(sealed(data))
        damaged[at] ^= 1
        try:
            read, vouched = opened(bytes(damaged))
        except DigestError:
            with pytest.raises(DigestError):
                check(io.BytesIO(damaged))
        else:
            assert check(io.BytesIO(damaged)) == (len(read), vouched)
