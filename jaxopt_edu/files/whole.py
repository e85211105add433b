"""Files and folders that are written whole or not at all."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from jaxopt_edu.files.trouble import explained


def check_folder(path: str | os.PathLike[str], marker: str) -> Path:
    """Refuse a place where `whole_folder` could not write, before any work is done.

    Args:
        path: the folder to be written.
        marker: name of the file by which a folder written earlier is known.

    Returns:
        The path, made absolute.

    Raises:
        OSError: the parent is missing or not writable, or something else stands there already; says which.
    """
    folder = Path(path).absolute()
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {folder.name}: there is no folder {folder.parent}; make it first."
        )
    if os.path.lexists(folder) and not folder.is_dir():
        raise FileExistsError(
            f"cannot write the folder {folder}: a file of that name exists; choose another."
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file():
        raise FileExistsError(
            f"cannot write the folder {folder}: it holds other things (there is no {marker} in it), "
            "which would be lost; choose another name."
        )
    try:
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as error:
        raise PermissionError(
            f"cannot write into {folder.parent} ({error.strerror}); choose another."
        ) from None
    return folder


@contextmanager
def whole_folder(path: str | os.PathLike[str], marker: str) -> Iterator[Path]:
    """Fill a folder out of sight and put it in its place only when it is complete.

    Args:
        path: the folder to be written; one written earlier is replaced as a whole.
        marker: name of a file that the caller writes into it, by which it is known later.

    Yields:
        An empty folder to write into.

    Raises:
        OSError: as `check_folder`.

    >>> with tempfile.TemporaryDirectory() as place:
    ...     with whole_folder(f"{place}/out", "table.json") as folder:
    ...         _ = (folder / "table.json").write_text("[]")
    ...     os.listdir(f"{place}/out")
    ['table.json']
    """
    final = check_folder(path, marker)
    work = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    draft, old = work / "new", work / "old"
    try:
        draft.mkdir()
        yield draft
        for file in draft.rglob("*"):
            flush(file)
        flush(draft)
        if final.exists():
            os.rename(final, old)
        os.rename(draft, final)
        flush(final.parent)
    finally:
        # Stopped between the two renames: what stood there before comes back.
        if old.exists() and not final.exists():
            os.rename(old, final)
        shutil.rmtree(work, ignore_errors=not final.parent.is_dir())


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file whole: a reader sees the old one or the new one, never half of one.

    Args:
        path: the file to be written; an existing one stays as it was if anything fails.

    Yields:
        A binary file to write into, which then takes the place of `path`.

    Raises:
        OSError: the folder is missing or cannot be written to; names both.

    >>> with tempfile.TemporaryDirectory() as place:
    ...     with whole_file(f"{place}/numbers.bin") as file:
    ...         _ = file.write(bytes(3))
    ...     os.path.getsize(f"{place}/numbers.bin")
    3
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # Not tempfile: its files are private to the user, and would stay so under the final name.
        with open(draft, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        flush(path.parent)
    except OSError as error:
        raise explained(error, path) from error
    finally:
        # A folder that could not be written to has no draft, and may not even be a folder.
        if draft.parent.is_dir():
            draft.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have what a file or a folder holds put on the disk before anything else happens.

    Args:
        path: the file or the folder.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
