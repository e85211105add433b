"""A sweep's journal: a line for everything that was done, each with its checksum."""

import json
import os
import warnings
import zlib
from pathlib import Path
from typing import Any

from jaxopt_edu.files import explained

JOURNAL = "journal.jsonl"


def append(path: Path, event: dict[str, Any]) -> None:
    """Add a line; it is on the disk when this returns.

    Args:
        path: the sweep's folder.
        event: JSON.

    Raises:
        OSError: it cannot be written; names the file.
    """
    text = json.dumps(event, ensure_ascii=False)
    try:
        with open(path / JOURNAL, "ab") as file:
            file.write(f"{zlib.crc32(text.encode()):08x} {text}\n".encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise explained(error, path / JOURNAL) from error


def mend(path: Path) -> None:
    """Cut off a last line that a kill left unfinished.

    Args:
        path: the sweep's folder.
    """
    file = path / JOURNAL
    if not file.is_file():
        return
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with open(file, "r+b") as opened:
            opened.truncate(whole)
            os.fsync(opened.fileno())


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal that are whole; others are named in a warning.

    Args:
        path: the sweep's folder.

    Returns:
        The events, in order.
    """
    file = path / JOURNAL
    if not file.is_file():
        return []
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    events = []
    for number, line in enumerate(whole.splitlines(), start=1):
        checksum, _, text = line.partition(b" ")
        if f"{zlib.crc32(text):08x}".encode() == checksum:
            events.append(json.loads(text))
        else:
            warnings.warn(
                f"{file}: line {number} is damaged; what it tells of is run again.",
                RuntimeWarning,
                stacklevel=3,
            )
    return events
