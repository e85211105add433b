"""Files with one bit turned round."""

from collections.abc import Iterator, Sequence
from pathlib import Path


def flips(path: Path, bits: Sequence[int] | None = None) -> Iterator[int]:
    """Turn one bit of a file after the other, and have it whole again at the end.

    Args:
        path: the file.
        bits: which; None for all.

    Yields:
        The bit that is the wrong way round now.
    """
    whole = path.read_bytes()
    changed = bytearray(whole)
    try:
        for bit in range(8 * len(whole)) if bits is None else bits:
            changed[bit // 8] ^= 1 << bit % 8
            with open(path, "r+b") as file:
                file.write(changed)
            yield bit
            changed[bit // 8] ^= 1 << bit % 8
    finally:
        path.write_bytes(whole)
