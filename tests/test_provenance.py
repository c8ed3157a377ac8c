"""Hashes that name what a result was made from: when two are equal, and when they must not be."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import numpy as np

from cropmap.provenance import content_hash, file_hash, files_hash, value_hash


def test_every_part_is_preceded_by_its_length() -> None:
    """Three as eight bytes, then the text: what is hashed can be written down by hand."""
    expected = hashlib.sha256(b"\0\0\0\0\0\0\0\x03abc" + b"\0\0\0\0\0\0\0\x01d").hexdigest()
    assert content_hash("abc", "d") == expected[:16]
    assert content_hash("abc", "d", length=64) == expected


def test_two_splits_of_one_text_differ() -> None:
    splits = [("abc",), ("ab", "c"), ("a", "bc"), ("a", "b", "c"), ("abc", ""), ("", "abc")]
    assert len({content_hash(*parts) for parts in splits}) == len(splits)


def test_text_and_its_bytes_are_one_part() -> None:
    assert content_hash("é") == content_hash("é".encode()) != content_hash("é".encode("latin-1"))


def test_an_array_is_its_bytes() -> None:
    array = np.array([1, 2], dtype="<i2")
    assert content_hash(array) == content_hash(b"\x01\0\x02\0")
    assert content_hash(array) != content_hash(array.astype("<i4")), "the same numbers, four bytes each"


def test_a_value_has_one_hash_whatever_the_order_of_its_keys() -> None:
    assert value_hash({"a": 1, "b": [2, 3]}) == value_hash({"b": [2, 3], "a": 1})
    assert value_hash([2, 3]) != value_hash([3, 2]), "the order of a list is part of it"
    assert value_hash({"day": date(2018, 3, 1)}) == value_hash({"day": "2018-03-01"})
    assert value_hash("1") != value_hash(1)


def test_files_count_by_name_and_content_and_not_by_the_order_they_are_found_in(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("a.py", "b.py", "c.py"))
    one.write_bytes(b"abc")
    two.write_bytes(b"def")
    three.write_bytes(b"abc")
    assert file_hash(one) == "ba7816bf8f01cfea", "the published digest of abc (FIPS 180-2)"
    assert file_hash(one) == file_hash(three)
    assert files_hash([one, two]) == files_hash([two, one])
    assert files_hash([one]) != files_hash([three]), "a module under another name is another one"
