"""How rivals are timed: in turns, several times over, each turn long enough to be told from the clock."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

TURN = 0.03  # seconds that a turn should take at least


class Rival(NamedTuple):
    """Something to be timed against others."""

    run: Callable[[int], None]  # makes so many steps, and waits for them
    compile_seconds: float  # tracing and compiling; 0 for what is not compiled


def in_turns(
    rivals: Mapping[str, Rival], repeats: int, advance: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Seconds a step of every turn of every rival; all rivals have their turn before any has its next."""
    steps = {}
    for name, rival in rivals.items():
        rival.run(1)
        begun = time.perf_counter()
        rival.run(1)
        steps[name] = max(1, round(TURN / (time.perf_counter() - begun)))
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, rival in rivals.items():
            begun = time.perf_counter()
            rival.run(steps[name])
            seconds[name].append((time.perf_counter() - begun) / steps[name])
        advance()
    return seconds


def ratio(times: Sequence[float], to: Sequence[float]) -> float:
    """The median of the turns' ratios: what a noisy neighbour does in one turn, it does to both."""
    return statistics.median(mine / theirs for mine, theirs in zip(times, to, strict=True))


def spread(times: Sequence[float], unit: float) -> str:
    """The fastest and the slowest turn."""
    return f"{min(times) / unit:,.3g}–{max(times) / unit:,.3g}"
