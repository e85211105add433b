"""Nothing in a file makes the reader take more memory than what is wanted, or than the file has bytes."""

import io
import json
import tracemalloc
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.storage import load_with_extra, read, read_leaves
from jaxopt_edu.storage.npz import FORMAT
from tests.damage import flips

LIKE = {"w": np.zeros(4, np.float32)}
MANY = 200_000_000


def written(path, members, compression=zipfile.ZIP_STORED, **changes):
    manifest = {"structure": str(jax.tree.structure(LIKE)), "dtypes": {"w": "float32"}, "extra": []} | changes
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, content in members.items():
            with archive.open(name, "w") as member:
                for part in content:
                    member.write(part)


def header(shape, dtype="<f4"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def compressed_zeros(path):
    """A file of 200 kB that holds 200 MB."""
    zeros = [header((MANY // 4,)), *[bytes(10**6)] * (MANY // 10**6)]
    written(path, {"w.npy": zeros}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**6


def a_header_that_lies(path):
    written(path, {"w.npy": [header((MANY,)), bytes(16)]})


def a_size_that_lies(path):
    written(path, {"w.npy": [header((4,)), bytes(16)]})
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = MANY.to_bytes(4, "little")
    path.write_bytes(content)


def a_hundred_names_for_one_part(path):
    names = [f"extra:{number}" for number in range(100)]
    written(path, {"w.npy": [header((4,)), bytes(16)], "x.npy": [header((10**5,)), bytes(4 * 10**5)]})
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.getinfo("x.npy")
        for name in names:
            twin = zipfile.ZipInfo(f"{name}.npy")
            for field in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(twin, field, getattr(first, field))
            archive.filelist.append(twin)
        archive._didModify = True  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "make", [compressed_zeros, a_header_that_lies, a_size_that_lies, a_hundred_names_for_one_part]
)
@pytest.mark.parametrize(
    "reader",
    [lambda path: jo.load(path, LIKE), read, read_leaves],
    ids=["load", "read", "read_leaves"],
)
def test_a_bomb_is_refused_before_it_swells(tmp_path, make, reader):
    path = tmp_path / "bomb.npz"
    make(path)
    tracemalloc.start()
    try:
        if make is a_header_that_lies and reader is read:
            assert reader(path) == {}  # it does not ask for that array
        else:
            with pytest.raises(ValueError, match=r"bomb\.npz is damaged or was not written by jaxopt_edu"):
                reader(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_large_leaf_is_not_read_where_a_small_one_is_wanted(tmp_path):
    path = tmp_path / "large.npz"
    jo.save(path, {"w": np.zeros(10**7, np.float32)})
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"leaf w is float32\[10000000\], but float32\[4\] is wanted"):
            jo.load(path, LIKE)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_later_format_is_refused(tmp_path):
    content = [header((4,)), bytes(16)]
    written(tmp_path / "later.npz", {"w.npy": content}, format=FORMAT + 1)
    with pytest.raises(ValueError, match=rf"of format {FORMAT + 1}, and formats up to {FORMAT} are known"):
        jo.load(tmp_path / "later.npz", LIKE)


def test_format_1_is_read(tmp_path):
    written(tmp_path / "first.npz", {"w.npy": [header((4,)), np.arange(4, dtype=np.float32).tobytes()]})
    np.testing.assert_array_equal(jo.load(tmp_path / "first.npz", LIKE)["w"], np.arange(4))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.array(2.5),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True]),
        np.array([1j]),
    ],
    ids=["empty", "scalar", "fortran", "bool", "complex"],
)
def test_arrays_of_all_kinds_come_back(tmp_path, array):
    jo.save(tmp_path / "a.npz", {"a": array}, extra={"b": array})
    tree, extra = load_with_extra(tmp_path / "a.npz", {"a": np.zeros_like(array)})
    for found in (tree["a"], extra["b"]):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)


def test_every_bit_of_a_small_file(tmp_path):
    path = tmp_path / "small.npz"
    jo.save(path, {"w": jnp.array(0.908)})
    like, refusals = {"w": jnp.zeros(())}, []
    for _ in flips(path):
        try:
            assert float(jo.load(path, like)["w"]) == float(jnp.array(0.908))
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > 4 * path.stat().st_size
    assert all("small.npz" in said for said in refusals)
