"""The IDX reader: every array comes back, and every kind of damage is named."""

import gzip
import math
import struct

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from jaxopt_edu.problems.idx import read_idx


def idx_bytes(shape, *, type_code=8, elements=None):
    if elements is None:
        elements = bytes(index % 256 for index in range(math.prod(shape)))
    return bytes([0, 0, type_code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + elements


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@hypothesis.given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    compressed=st.booleans(),
    data=st.data(),
)
def test_arrays_come_back(folder, shape, compressed, data):
    size = math.prod(shape)
    elements = data.draw(st.binary(min_size=size, max_size=size))
    content = idx_bytes(shape, elements=elements)
    path = folder / ("array.gz" if compressed else "array")
    path.write_bytes(gzip.compress(content, mtime=0) if compressed else content)
    array = read_idx(path, axes=len(shape))
    assert array.dtype == np.uint8
    assert array.shape == tuple(shape)
    assert array.tobytes() == elements


def test_first_axis_varies_slowest(tmp_path):
    (tmp_path / "array").write_bytes(idx_bytes((2, 3)))
    np.testing.assert_array_equal(read_idx(tmp_path / "array", axes=2), [[0, 1, 2], [3, 4, 5]])


def test_path_may_be_a_string(tmp_path):
    (tmp_path / "array").write_bytes(idx_bytes((2,)))
    np.testing.assert_array_equal(read_idx(str(tmp_path / "array"), axes=1), [0, 1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header of 8 bytes, but this file has only 0"),
        (b"\x00\x00\x08", "has only 3"),
        (b"\x89PNG\r\n", "starts with the bytes 00 00, but this one starts with 89 50"),
        (idx_bytes((3,), type_code=0x0D), "unsigned bytes .type code 0x08., found type code 0x0d"),
        (idx_bytes((3, 1)), "array with 1 axes .*, found 2"),
        (idx_bytes((3,))[:6], "header of an array with 1 axes has 8 bytes, but the file ends after 6"),
        (idx_bytes((0,)), r"announces shape \(0,\), which holds nothing"),
        (idx_bytes((3,))[:-1], r"shape \(3,\) needs 3 bytes after the header, but 2 follow: .* truncated"),
        (idx_bytes((3,)) + b"\n", "needs 3 bytes after the header, but 4 follow: there are trailing bytes"),
        (idx_bytes((2**32 - 1,), elements=b"abc"), "needs 4294967295 bytes .* truncated"),
        (gzip.compress(idx_bytes((3,)), mtime=0), "gzip-compressed, but the name does not end in .gz"),
    ],
)
def test_damage_is_named(tmp_path, content, message):
    path = tmp_path / "labels-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path, axes=1)
    assert str(error.value).startswith(f"{path}: ")


INTACT = gzip.compress(idx_bytes((300,)), mtime=0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        idx_bytes((3,)),
        INTACT[:-12],
        INTACT[:12] + b"\xff\xff\xff\xff" + INTACT[16:],
        INTACT[:-8] + b"\x00\x00\x00\x00" + INTACT[-4:],
        INTACT + b"garbage",
    ],
    ids=["empty", "not gzip", "truncated", "damaged inside", "wrong checksum", "trailing bytes"],
)
def test_damaged_gzip_is_named(tmp_path, content):
    path = tmp_path / "labels-idx1-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"labels-idx1-ubyte\.gz: .*fetch it again"):
        read_idx(path, axes=1)


@pytest.mark.parametrize("name", ["absent", "absent.gz"])
def test_missing_file_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"{name}: there is no such file"):
        read_idx(tmp_path / name, axes=1)


def test_folder_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_idx(tmp_path, axes=1)
