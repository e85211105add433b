"""What was found, and how it reads."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 100
SHOWN = 6  # names in a list


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: what it is called, such as "dead".
        layers: those where it is so.
        of: how many layers there are.
        first_step: the first reading that shows it.
        last_step: the last one.
        quantity: what was measured, such as "update ratio".
        measured: the median where it is so; the largest for what grows.
        threshold: what it was compared with.
        meaning: what it means.
        advice: what to try.
    """

    name: str
    layers: tuple[str, ...]
    of: int
    first_step: int
    last_step: int
    quantity: str
    measured: float
    threshold: float
    meaning: str
    advice: str

    def __str__(self) -> str:
        """Five lines or so."""
        steps = f"step {self.last_step}"
        if self.first_step != self.last_step:
            steps = f"steps {self.first_step} to {self.last_step}"
        where = f"all {self.of} layers" if len(self.layers) == self.of > 1 else listed(self.layers)
        head = f"{self.name}: {where} ({steps})"
        number = f"{self.quantity} {self.measured:.3g}, threshold {self.threshold:.3g}"
        return "\n".join(
            [
                *_wrapped(head, ""),
                *_wrapped(f"{number}. {self.meaning}", "    "),
                *_wrapped(f"Try: {self.advice}", "    "),
            ]
        )


@dataclass(frozen=True)
class Diagnosis:
    """What was found; printed, a report.

    Attributes:
        findings: in the order of `diagnose`'s list; none of a run without a fault that it knows.
        layers: how many were looked at.
        first_step: that of the first reading.
        last_step: that of the last one.
    """

    findings: tuple[Finding, ...]
    layers: int
    first_step: int
    last_step: int

    def __str__(self) -> str:
        """A line for the whole, and a paragraph for each finding."""
        count = len(self.findings)
        said = "nothing found" if not count else "1 finding" if count == 1 else f"{count} findings"
        looked = f"{said} in {self.layers} layers, readings of steps {self.first_step} to {self.last_step}"
        return "\n\n".join([f"{looked}{':' if count else '.'}", *map(str, self.findings)])


def listed(names: Sequence[str]) -> str:
    """Names with commas, the first few of many.

    >>> listed(["a", "b"]), listed([str(i) for i in range(9)])
    ('a, b', '0, 1, 2, 3, 4, 5, … (9 in all)')
    """
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown}, … ({len(names)} in all)"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent or "    ")
