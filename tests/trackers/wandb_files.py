"""Read the file that wandb writes offline: records of its own protocol, in the log format of LevelDB.

After seven bytes of its own the file is blocks of 32 KiB; in them each piece of a record has four bytes of
checksum, two of length and one that says whether it is a whole record or its first, middle or last piece.
"""

import struct
from importlib import import_module
from pathlib import Path

BLOCK, HEAD = 32768, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path):
    record = import_module("wandb.proto.wandb_internal_pb2").Record
    content, at, gathered = path.read_bytes(), HEAD, b""
    while at + HEAD <= len(content):
        if BLOCK - at % BLOCK < HEAD:
            at += BLOCK - at % BLOCK
            continue
        _, length, piece = struct.unpack_from("<IHB", content, at)
        gathered += content[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if piece in (WHOLE, LAST):
            yield record.FromString(gathered)
            gathered = b""
