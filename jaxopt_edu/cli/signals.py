"""Ctrl-C and SIGTERM end a command at once, past all that puts away what is half written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Ended(KeyboardInterrupt):
    """A signal has come.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def signals_end() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM end what is done here, drafts removed; for what has nothing to keep."""

    def came(number: int, frame: FrameType | None) -> NoReturn:
        raise Ended(number)

    here = threading.current_thread() is threading.main_thread()  # no other can hear of signals
    numbers = (signal.SIGINT, signal.SIGTERM) if here else ()
    before = {number: signal.signal(number, came) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
