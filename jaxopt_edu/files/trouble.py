"""What the operating system has against a file, told with the file's name and a way on."""

import errno
import os
import secrets
from pathlib import Path

ADVICE = {
    errno.ENOSPC: "the disk is full: make room on it, or choose a folder on another",
    errno.EDQUOT: "your quota on this disk is used up: remove something, or choose a folder on another",
    errno.EFBIG: "the file is larger than this file system or your limits (ulimit -f) allow",
    errno.EROFS: "this file system is read-only: choose a folder on another",
    errno.EACCES: "you may not write there: change the folder's permissions, or choose another",
    errno.EPERM: "you may not write there: change the folder's permissions, or choose another",
    errno.ENOENT: "the folder is not there: make the folder, or choose another",
    errno.ENOTDIR: "a part of this path is a file: choose another folder",
    errno.EIO: "the disk reports a fault: save elsewhere, and have it looked at",
    errno.ESTALE: "the network folder has gone away: mount it again",
    errno.ENAMETOOLONG: "the name is too long for this file system: choose a shorter one",
}


def explained(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """An error of writing a file, with the file's name, what happened, and what to do.

    Args:
        error: what the operating system raised.
        path: the file that was to be written.

    Returns:
        An error of the same number, and so of the same kind.

    >>> print(explained(OSError(errno.ENOSPC, "No space left on device"), "/runs/a.npz"))
    [Errno 28] cannot write 'a.npz' into the folder '/runs' (No space left on device): the disk is full: \
make room on it, or choose a folder on another
    """
    path = Path(path)
    advice = ADVICE.get(error.errno or 0, "choose a folder that you may write to")
    told = f"cannot write {path.name!r} into the folder {str(path.parent)!r} ({error.strerror}): {advice}"
    return OSError(error.errno, told) if error.errno else OSError(f"{told} ({error})")


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Find out before any work is done whether a folder can be written to, by writing a small file and
    removing it.

    Args:
        folder: an existing folder.

    Raises:
        OSError: it cannot; says why, and what to do.
    """
    probe = Path(folder) / f".probe.{secrets.token_hex(8)}"
    try:
        try:
            with open(probe, "xb") as file:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
        finally:
            if probe.parent.is_dir():
                probe.unlink(missing_ok=True)
    except OSError as error:
        raise explained(error, probe.with_name("a first small file")) from error


def make_folder(path: Path) -> None:
    """Make a folder if it is missing, and find out whether it can be written to.

    Args:
        path: the folder.

    Raises:
        OSError: it cannot; says why, and what to do.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explained(error, path) from error
    check_writable(path)
