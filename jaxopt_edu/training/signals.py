"""Ctrl-C and SIGTERM wait for a safe point."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import jax


class Pending:
    """Which signal has come and waits to be obeyed."""

    number: int | None = None


@contextmanager
def signals_wait(owner: str, until: str) -> Iterator[Pending]:
    """Let the first Ctrl-C or SIGTERM wait for a safe point; the second ends the program as ever.

    Only in the main thread of a single process, and only where nobody else handles the signal.

    Args:
        owner: who says so.
        until: what it waits for.

    Yields:
        Whether one has come.
    """
    pending = Pending()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
        for number, default in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGTERM, signal.SIG_DFL),
        ):
            if signal.getsignal(number) == default:
                before[number] = default

    def came(number: int, frame: FrameType | None) -> None:
        pending.number = number
        for each, handler in before.items():
            signal.signal(each, handler)
        name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        sys.stderr.write(f"{owner}: {name}: stopping {until}; once more stops at once.\n")

    for number in before:
        signal.signal(number, came)
    try:
        yield pending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(owner: str, number: int, told: str, result: Any) -> NoReturn:
    """Obey a signal that waited.

    Args:
        owner: who says so.
        number: the signal's.
        told: where it stopped, and what is kept.
        result: what there is so far; None for nothing that could be handed over.

    Raises:
        KeyboardInterrupt: for Ctrl-C, with the result as its attribute `result`.
        SystemExit: for SIGTERM, with status 143.
    """
    if number == signal.SIGINT:
        has = "" if result is None else "; the exception's .result has the parameters"
        # Python's own: a script that ends with any other type, a subclass too, has not the exit status 130.
        error = KeyboardInterrupt(f"{owner} stopped {told}{has}.")
        vars(error)["result"] = result
        raise error
    sys.stderr.write(f"{owner}: SIGTERM: stopped {told}.\n")
    raise SystemExit(128 + number)
