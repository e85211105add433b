"""How rivals are timed: in turns, several times over, each turn long enough to be told from the clock."""

import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

TURN = 0.03  # seconds that a turn should take at least


class Rival(NamedTuple):
    """Something to be timed against others."""

    run: Callable[[int], None]  # makes so many steps, and waits for them
    compile_seconds: float  # tracing and compiling; 0 for what is not compiled
    renew: Callable[[], None] = lambda: None  # before each turn: work on, on other memory


def orders(names: Iterable[str], repeats: int) -> Iterator[list[str]]:
    """In which order the rivals have their turns: another one each time.

    Who always comes after the same rival meets its caches, and its threads still waiting for work.
    """
    chance, order = random.Random(0), list(names)
    for _ in range(repeats):
        chance.shuffle(order)
        yield list(order)


def in_turns(
    rivals: Mapping[str, Rival], repeats: int, advance: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Seconds a step of every turn of every rival; all rivals have their turn before any has its next.

    A turn begins with a step that does not count, on other memory than the turn before: where arrays happen
    to lie makes up to a fifth of a difference, which would otherwise stay for a whole run.
    """
    steps = {}
    for name, rival in rivals.items():
        rival.run(1)
        begun = time.perf_counter()
        rival.run(1)
        steps[name] = max(1, round(TURN / (time.perf_counter() - begun)))
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for order in orders(rivals, repeats):
        for name in order:
            rivals[name].renew()
            rivals[name].run(1)
            begun = time.perf_counter()
            rivals[name].run(steps[name])
            seconds[name].append((time.perf_counter() - begun) / steps[name])
        advance()
    return seconds


class Ratio(NamedTuple):
    """How many times as long one takes as another: the turns' ratios, of which half lie in between."""

    lower: float
    median: float
    upper: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lower:.2f}–{self.upper:.2f})"


def ratio(times: Sequence[float], to: Sequence[float]) -> Ratio:
    """The quartiles of the turns' ratios: what a noisy neighbour does in one turn, it does to both."""
    ratios = [mine / theirs for mine, theirs in zip(times, to, strict=True)]
    return Ratio(*(statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3))


def spread(times: Sequence[float], unit: float) -> str:
    """The fastest and the slowest turn."""
    return f"{min(times) / unit:,.3g}–{max(times) / unit:,.3g}"
