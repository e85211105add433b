"""One writer for a folder: a lock that the operating system takes away with the process that held it."""

import errno
import json
import os
import socket
import sys
import time
import warnings
import weakref
from datetime import datetime
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".writer.lock"
WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class FolderLock:
    """The right to write into a folder, which one process has at a time; readers need none.

    It is `flock` on a small file in the folder that tells who holds it, so it ends with the process, however
    that ends, and keeps out other machines too where the network's file system passes locks on: NFS does
    (unless it is mounted with `nolock` or `local_lock`), SMB and CephFS do, Lustre where it is mounted with
    `flock`. Where there are no locks, as on Windows and on some FUSE mounts, a RuntimeWarning says so, and it
    is up to the user to start no second run.

    Args:
        folder: an existing folder.
        who: what is said first in errors, such as "fit".
        name: the file's name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     first = FolderLock(place, "fit")
    ...     first.take()
    ...     try:
    ...         FolderLock(place, "fit").take()
    ...     except BlockingIOError as error:
    ...         print("is being written to" in str(error))
    ...     first.release()
    True
    """

    def __init__(self, folder: str | os.PathLike[str], who: str, name: str = LOCK) -> None:
        self.folder = Path(folder)
        self.who = who
        self.path = self.folder / name
        self._descriptor: int | None = None

    def take(self) -> None:
        """Become the folder's writer.

        Raises:
            BlockingIOError: another process is; says which, since when, and what can be done.
            OSError: the folder cannot be written to.
        """
        if fcntl is None:
            self._warn("this system has no flock")
            return
        while self._descriptor is None:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise BlockingIOError(errno.EAGAIN, self._refusal()) from None
            except OSError as error:
                os.close(descriptor)
                if error.errno not in WITHOUT_LOCKS:
                    raise
                self._warn(f"this file system has no locks ({error.strerror})")
                return
            # The one before may have removed the file after it was opened here; then it is another one now.
            if _is_at(descriptor, self.path):
                self._descriptor = descriptor
            else:
                os.close(descriptor)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(_about_this_process()).encode(), 0)
        HELD.add(self)

    def outlives_its_holder(self) -> bool:
        """Wait until nobody holds the lock any more.

        Returns:
            Whether its holder ended without releasing it, killed for example. False at once where there is no
            lock to wait for.
        """
        if fcntl is None:
            return False
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            file = os.fstat(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            # From here on it is urgent: each call that gives the interpreter away may wait for its return.
            return os.path.samestat(os.stat(self.path), file)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            return False  # whoever took it has been warned
        finally:
            os.close(descriptor)

    def check(self) -> None:
        """Make sure before a write that the folder is still there and still this process's.

        Raises:
            FileNotFoundError: it was deleted, or made again, since the lock was taken.
        """
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"{self.who}: the folder {self.folder} was deleted while this run was writing into it, and "
                "what it held is lost; nothing more is written. Begin anew, or put a copy of it back and "
                "resume."
            )
        if self._descriptor is not None and not _is_at(self._descriptor, self.path):
            raise FileNotFoundError(
                f"{self.who}: the folder {self.folder} is not the one this run began with: its {LOCK} was "
                "removed or is another's, so another run may be writing there; nothing more is written."
            )

    def release(self) -> None:
        """Let the next one write; nothing happens if the lock is not held."""
        if self._descriptor is None:
            return
        try:
            if _is_at(self._descriptor, self.path):
                self.path.unlink()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close the file, without touching what is on the disk."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None
        HELD.discard(self)

    def _warn(self, why: str) -> None:
        warnings.warn(
            f"{self.who}: {self.folder} is not locked against a second writer, for {why}: start no other run "
            "that writes there.",
            RuntimeWarning,
            stacklevel=4,
        )

    def _refusal(self) -> str:
        holder = _holder(self.path)
        if holder is None:
            return (
                f"{self.who}: another process is writing into {self.folder}; wait until it ends, or choose "
                "another folder."
            )
        here = holder["host"] == socket.gethostname()
        itself = here and holder["pid"] == os.getpid()
        which = "this very process" if itself else f"process {holder['pid']} on {holder['host']}"
        stop = "" if itself else f", or stop it (kill {holder['pid']}{'' if here else ' there'})"
        return (
            f"{self.who}: {self.folder} is being written to by {which} ({holder['command']}), since "
            f"{holder['since']}: wait until it ends{stop}, then go on with resume=True; or choose another "
            "folder."
        )


# A lock belongs to all processes that have its file open: a forked child, such as a data loader's, would keep
# it after its parent's death.
HELD: "weakref.WeakSet[FolderLock]" = weakref.WeakSet()


def _forget_in_child() -> None:
    for lock in list(HELD):
        lock.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def _about_this_process() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "command": " ".join(sys.argv)[:200] or "an interactive session",
        "since": datetime.now().astimezone().isoformat(" ", "seconds"),
    }


def _holder(path: Path) -> dict[str, Any] | None:
    # It writes who it is just after it has taken the lock.
    for _ in range(20):
        try:
            found = json.loads(path.read_bytes())
            return {name: found[name] for name in ("host", "pid", "command", "since")}
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(0.05)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))
