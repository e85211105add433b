"""Kinds of arguments that several commands take."""

import argparse


def positive(word: str) -> int:
    """Read a whole number above 0.

    Args:
        word: from the command line.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    try:
        number = int(word)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number above 0")
    return number
