"""The IDX format in which MNIST and its relatives are published: a short header, then raw bytes.

A file is two zero bytes, one byte for the element type (0x08: unsigned byte), one byte for the number of
axes, one big-endian 32-bit size per axis, and the elements with the last axis varying fastest.

References:
    Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits", 1998.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

UNSIGNED_BYTE = 0x08


def read_idx(path: str | Path, *, axes: int) -> np.ndarray:
    """Read one IDX file of unsigned bytes.

    Args:
        path: the file; it is decompressed when its name ends in `.gz`.
        axes: how many axes the array has to have: 3 for images, 1 for labels.

    Returns:
        A read-only uint8 array with that many axes, none of them empty.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an intact IDX file of unsigned bytes with `axes` axes.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "labels-idx1-ubyte"
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([7, 2, 1]))
        ...     print(read_idx(path, axes=1))
        [7 2 1]
    """
    path = Path(path)
    content = _content(path)
    header_size = 4 + 4 * axes
    if content[:2] == b"\x1f\x8b":
        raise ValueError(
            f"{path}: the content is gzip-compressed, but the name does not end in .gz; "
            "rename the file so that it does, or decompress it."
        )
    if len(content) < 4:
        raise ValueError(
            f"{path}: an IDX file starts with a header of {header_size} bytes, but this file has only "
            f"{len(content)}; fetch it again."
        )
    if content[:2] != b"\x00\x00":
        raise ValueError(
            f"{path}: an IDX file starts with the bytes 00 00, but this one starts with "
            f"{content[:2].hex(' ')}; check that it is the file it is named after."
        )
    if content[2] != UNSIGNED_BYTE:
        raise ValueError(
            f"{path}: expected unsigned bytes (type code 0x08), found type code 0x{content[2]:02x}; "
            "convert the file to unsigned bytes."
        )
    if content[3] != axes:
        raise ValueError(
            f"{path}: expected an array with {axes} axes (images have 3, labels 1), found {content[3]}; "
            "check that images and labels have not been exchanged."
        )
    if len(content) < header_size:
        raise ValueError(
            f"{path}: the header of an array with {axes} axes has {header_size} bytes, but the file ends "
            f"after {len(content)}; fetch it again."
        )
    shape = struct.unpack(f">{axes}I", content[4:header_size])
    if 0 in shape:
        raise ValueError(f"{path}: the header announces shape {shape}, which holds nothing; fetch it again.")
    expected = math.prod(shape)
    found = len(content) - header_size
    if found != expected:
        damage = "the file is truncated" if found < expected else "there are trailing bytes"
        raise ValueError(
            f"{path}: shape {shape} needs {expected} bytes after the header, but {found} follow: {damage}; "
            "fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; check the path.")
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as stream:
            return stream.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}: expected an intact gzip file, found a damaged one ({error}); fetch it again, or drop "
            ".gz from the name if it is already decompressed."
        ) from error
