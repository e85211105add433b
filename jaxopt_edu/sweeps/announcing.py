"""What a sweep says of itself before it begins, and on its way."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxopt_edu.core.reading import kind
from jaxopt_edu.core.transform import Optimizer


class Reporter:
    """Adds up what groups report, for the progress bar."""

    bar: Callable[[int, float], None]

    def __init__(self, mode: str) -> None:
        self.sign = 1 if mode == "min" else -1
        self.steps, self.best = 0, np.inf

    def __call__(self, steps: int, value: float) -> None:
        """Some steps were made, of which the best value is this."""
        self.steps += steps
        self.best = np.fmin(self.best, self.sign * value)
        self.bar(self.steps, self.sign * self.best)


def announcement(optimizers: list[Optimizer], kinds: list[list[int]], seeds: Sequence[int]) -> str:
    """How many runs there will be, and of what, in one line.

    Args:
        optimizers: all settings.
        kinds: the places of those of one structure.
        seeds: of each setting.

    Returns:
        Such as "adam: 64 settings × 5 seeds = 320 runs in 1 program".
    """
    sizes = {len(places) for places in kinds}
    names = ", ".join(dict.fromkeys(kind(optimizers[places[0]]) for places in kinds))
    if len(sizes) == 1:
        settings = (
            f"{len(kinds)} optimizers × {sizes.pop()} settings"
            if len(kinds) > 1
            else f"{sizes.pop()} settings"
        )
    else:
        settings = f"{len(optimizers)} settings of {len(kinds)} optimizers"
    programs = "1 program" if len(kinds) == 1 else f"{len(kinds)} programs"
    runs = len(optimizers) * len(seeds)
    return f"{names}: {settings} × {len(seeds)} seeds = {runs:,} runs in {programs}"
