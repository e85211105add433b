"""Checksums over what is written: JSON carries its own, other files have theirs in a list beside them."""

import hashlib
import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MANIFEST = "SHA256SUMS"
BLOCK = 1 << 24


def seal_json(content: dict[str, Any], form: int, *, indent: int | None = None) -> bytes:
    """JSON with its format's number and a checksum over everything else.

    Args:
        content: what it holds; JSON.
        form: the number of the format.
        indent: spaces of indentation; None for one line.

    Returns:
        The text, as UTF-8; `open_json` reads it, and so does everything that reads JSON.

    >>> seal_json({"steps": 3}, 2)
    b'{"format": 2, "checksum": "df0086ca", "steps": 3}\\n'
    """
    whole = {"format": form} | content
    head = {"format": form, "checksum": _checksum(whole)}
    return f"{json.dumps(head | content, ensure_ascii=False, indent=indent)}\n".encode()


def open_json(text: bytes, form: int) -> dict[str, Any]:
    """Read what `seal_json` wrote; of format 1, which had neither number nor checksum, all is taken as it is.

    Args:
        text: the JSON.
        form: the number of the newest format that the caller can read.

    Returns:
        The content, without number and checksum.

    Raises:
        ValueError: it is no JSON, the checksum is another, or the format is a later one.

    >>> open_json(seal_json({"steps": 3}, 2), 2)
    {'steps': 3}
    """
    try:
        content = json.loads(text)
    # Braces nested a thousand deep are a RecursionError.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"it is a JSON {type(content).__name__}, not an object")
    if "format" not in content and "checksum" not in content:
        return content
    said = content.pop("checksum", None)
    if said != (found := _checksum(content)):
        raise ValueError(f"its checksum is {found}, but {said} is written in it")
    if content["format"] > form:
        raise ValueError(
            f"it is of format {content['format']}, and this jaxopt_edu reads formats up to {form}: install a "
            "later one"
        )
    del content["format"]
    return content


def checksum_of(path: str | os.PathLike[str]) -> int:
    """The CRC-32 of a file, read in blocks.

    Args:
        path: the file.

    Returns:
        The number.
    """
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def list_checksums(folder: Path, names: Iterable[str]) -> bytes:
    """List files with their SHA-256, as `sha256sum -c` reads it.

    Args:
        folder: where they are.
        names: their names.

    Returns:
        The list's text, to be written whole as MANIFEST.
    """
    return "".join(f"{_digest(folder / name)}  {name}\n" for name in names).encode()


def check_manifest(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Compare files with the list of their checksums.

    Args:
        folder: where the files and the list are.
        names: the files that have to be listed.

    Returns:
        What is wrong, by the file's name; empty if nothing is, and where there is no list at all, as in
        folders of format 1.
    """
    if not (folder / MANIFEST).is_file():
        return {}
    wrong, listed = {}, {}
    *lines, rest = (folder / MANIFEST).read_bytes().split(b"\n")
    if rest:
        wrong[MANIFEST] = "has no end to its last line"
    for number, line in enumerate(lines, start=1):
        digest, separator, name = line.partition(b"  ")
        if not separator or len(digest) != 64:
            wrong[MANIFEST] = f"its line {number} is damaged"
        listed[name.decode(errors="replace")] = digest.decode(errors="replace")
    for name in dict.fromkeys([*names, *listed]):
        if name not in listed:
            wrong[name] = f"is not listed in {MANIFEST}, which may be damaged itself"
        elif not (folder / name).is_file():
            wrong[name] = f"is missing, or its line in {MANIFEST} is damaged"
        elif _digest(folder / name) != listed[name]:
            wrong[name] = f"has changed since it was written, or its line in {MANIFEST} is damaged"
    return wrong


def _checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x}"


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
