"""What is known about one optimizer from outside the package."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.optimizers import ELEMENTWISE, STORY

Array = np.ndarray


class Row(NamedTuple):
    """One optimizer and its oracles. A family's rows are in the file of its name."""

    name: str
    factory: Callable[..., jo.Optimizer]
    state_type: type
    memory: tuple[str, ...]  # the state's fields that mirror the parameters, in the formula's order
    hyperparameters: dict[str, float]
    # (t, g, *memory, **hyperparameters) -> (update, *memory); with w after g if the rule reads the parameters
    formula: Callable[..., tuple[Array, ...]]
    optax: Any  # the factory, where the formulas agree; None if nowhere
    torch: Any  # (list of torch parameters, **hyperparameters) -> torch optimizer; None if there is none
    reads_params: bool = False  # its update needs the parameters
    start: dict[str, float] = {}  # what the memory holds at first where that is not 0  # noqa: RUF012
    flat: tuple[str, ...] = ()  # hyperparameters by which the derivative is 0, as a sign's is
    waits: int = 0  # how often a coordinate's gradient is only looked at before it moves
    real: tuple[str, ...] = ()  # the memory that is real for complex parameters, as squares are
    evaluated_elsewhere: bool = False  # its result is at another point than the one that it holds
    static: dict[str, Any] = {}  # arguments that are no numbers  # noqa: RUF012
    further: tuple[str, ...] = ()  # fields of the state that come after those of memory
    hidden: int = 0  # what the formula remembers besides, as the last of its memory
    whole: bool = False  # its formula is for all parameters at once, of which it takes a number
    # Contract tests, or half_state, that have no meaning for it, and why.
    refused: dict[str, str] = {}  # noqa: RUF012

    def build(self, **changes: Any) -> jo.Optimizer:
        """The optimizer with the table's hyperparameters, or with some of them changed."""
        return self.make(**self.hyperparameters | changes)

    def make(self, **values: Any) -> jo.Optimizer:
        """The optimizer with these hyperparameters, and the factory's defaults for the others."""
        return self.factory(**self.static | values)

    @property
    def still(self) -> dict[str, float]:
        """Changes by which no gradient is no step: without a decay of the parameters."""
        return {"weight_decay": 0.0} if "weight_decay" in self.hyperparameters else {}

    def fractions(self) -> list[str]:
        """The hyperparameters that must stay below 1."""
        known = ("b1", "b2", "b3", "momentum", "rho", "decay")
        return [name for name in self.hyperparameters if name in known]

    def step(self, t: int, g: Array, w: Array, memory: Sequence[Array], **values: Any) -> tuple[Array, ...]:
        """The formula's update and memory for gradients g at the parameters w."""
        return self.formula(t, g, *((w,) if self.reads_params else ()), *memory, **values)

    def first_memory(self, shape: tuple[int, ...] = ()) -> list[Array]:
        """The memory before the first step."""
        own = [np.full(shape, self.start.get(name, 0.0)) for name in self.memory]
        return own + [np.zeros(shape)] * self.hidden

    @property
    def elementwise(self) -> bool:
        """Whether its rule treats every number alike."""
        return self.factory in ELEMENTWISE

    @property
    def in_story(self) -> bool:
        """Whether it is one of the textbook's seven, whose every test runs by default."""
        return self.factory in STORY
