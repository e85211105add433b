"""A file that grows by whole lines."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from jaxopt_edu.files import explained, make_folder, whole_file

STEP = "step"


def begin(owner: str, path: Path, step: int | None) -> list[str]:
    """Prepare a file for a run.

    Args:
        owner: who writes it, for the error.
        path: the file; its folder is made if it is missing.
        step: None for a new run, which wants a file of its own.

    Returns:
        The lines that are there; one that was cut off in the middle is none.

    Raises:
        FileExistsError: there is a run in the file already, and a new one is to begin.
        OSError: the folder cannot be written to.
    """
    make_folder(path.parent)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text and step is None:
        raise FileExistsError(
            f"{owner}: {path} holds a run already: choose another path, remove it, or go on with resume=True."
        )
    return text.split("\n")[:-1]


def append(path: Path, line: str) -> None:
    """Add one line, or nothing.

    Raises:
        OSError: it cannot be written; the file is as it was before.
    """
    try:
        with open(path, "ab", buffering=0) as file:
            before, rest = file.tell(), f"{line}\n".encode()
            try:
                while rest:  # on a full disk the first write may take a part of it
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(before)
                raise
    except OSError as error:
        raise explained(error, path) from error


def rewrite(path: Path, lines: Iterable[str]) -> None:
    """Write all lines anew, whole.

    Raises:
        OSError: it cannot be written; the file is as it was before.
    """
    with whole_file(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def set_apart(numbers: Mapping[str, float], own: Iterable[str]) -> dict[str, float]:
    """Numbers by names that are none of the file's own.

    >>> set_apart({"step": 0.5, "loss": 0.1}, ["step"])
    {'metric.step': 0.5, 'loss': 0.1}
    """
    taken = set(own)
    return {f"metric.{name}" if name in taken else name: float(value) for name, value in numbers.items()}
