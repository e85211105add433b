"""Chapter 9, the lab: everything that its controls can choose, run beforehand in one sweep a method.

A situation is a surface, a start on it, a rotation and an amount of noise; a setting is a method's
hyperparameters. Every method runs with all its settings in all situations, in one compiled program: a `vmap`
over settings inside one over situations, in which `jax.lax.switch` chooses the surface.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.editing import hyperparameters, stack
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import adadelta, adagrad, adam, momentum, nesterov, rmsprop, sgd
from jaxopt_edu.problems import Surface, beale, bowl, himmelblau, rosenbrock, saddle
from jaxopt_edu.training import descend, start

STEPS = 48
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
MOMENTA = (0.5, 0.9, 0.99)
DECAYS = (0.9, 0.99, 0.999)
ANGLES = (0, 45)  # degrees
NOISES = (0.0, 0.3)  # standard deviation of the noise, of the gradient's length at the start

SURFACES = (
    dataclasses.replace(bowl, domain=((-9.0, 9.0), (-6.0, 6.0))),
    beale,
    rosenbrock,
    himmelblau,
    saddle,
)
STARTS = {
    "bowl": (bowl.start, (5.0, -4.0)),
    "beale": (beale.start, (-1.5, -1.0)),
    "rosenbrock": (rosenbrock.start, (0.5, 2.5)),
    "himmelblau": (himmelblau.start, (0.0, 4.0)),
    "saddle": (saddle.start, (-1.5, 0.1)),
}


class Method(NamedTuple):
    """One method of the lab.

    Attributes:
        name: as it is shown.
        factory: makes the optimizer.
        momentum: the hyperparameter that the momentum slider sets; "" for none.
        decay: the hyperparameter that the decay slider sets; "" for none.
        fixed: hyperparameters without a control that are not the default.
    """

    name: str
    factory: Callable[..., Optimizer]
    momentum: str = ""
    decay: str = ""
    fixed: Mapping[str, float] = MappingProxyType({})

    def settings(self) -> list[Optimizer]:
        """All settings, the learning rate changing slowest and the decay fastest."""
        momenta = [{self.momentum: value} for value in MOMENTA] if self.momentum else [{}]
        decays = [{self.decay: value} for value in self.decays()] or [{}]
        return [
            self.factory(learning_rate=rate, **self.fixed, **one, **other)
            for rate, one, other in itertools.product(RATES, momenta, decays)
        ]

    def decays(self) -> tuple[float, ...]:
        """The values of its decay, increasing: the slider's and its own default; none without a decay."""
        return tuple(sorted({*DECAYS, self.default(self.decay)})) if self.decay else ()

    def default(self, name: str) -> float:
        """The default of one of its hyperparameters."""
        return hyperparameters(self.factory())[name]

    def remembers(self) -> tuple[str, ...]:
        """The names of the arrays in the method's state, without the count of steps."""
        state: Any = self.factory().init(jnp.zeros(2))
        return state._fields[1:]


METHODS = (
    Method("SGD", sgd),
    Method("Momentum", momentum, momentum="momentum"),
    Method("Nesterov", nesterov, momentum="momentum"),
    Method("AdaGrad", adagrad),
    # With the default ε = 1e-6 it would hardly leave the start in so few steps.
    Method("Adadelta", adadelta, decay="rho", fixed={"eps": 0.01}),
    Method("RMSProp", rmsprop, decay="decay"),
    Method("Adam", adam, momentum="b1", decay="b2"),
)


class Lab(NamedTuple):
    """What ran.

    Attributes:
        runs: for each method a float32 array of shape (surfaces, starts, angles, noises, settings, channels,
            STEPS + 1). The channels are x, y, f(x, y), then the two numbers of each array of the state.
    """

    runs: dict[str, np.ndarray]


def run_lab(*, seed: int = 0, advance: Callable[[str], Any] = lambda name: None) -> Lab:
    """Run everything.

    Args:
        seed: of the noise.
        advance: called after each method with its name.

    Returns:
        What ran.
    """
    shape = (len(SURFACES), 2, len(ANGLES), len(NOISES))
    situations = [
        (which, middle_of(surface), math.radians(angle), begin, noise)
        for which, surface in enumerate(SURFACES)
        for begin, angle, noise in itertools.product(STARTS[surface.name], ANGLES, NOISES)
    ]
    columns = [jnp.asarray(column) for column in zip(*situations, strict=True)]
    draws = jax.random.normal(jax.random.key(seed), (STEPS, 2))
    runs = {}
    for method in METHODS:
        made = np.asarray(_sweep(stack(method.settings()), *columns, draws))
        runs[method.name] = made.reshape(*shape, *made.shape[1:])
        advance(method.name)
    return Lab(runs)


def middle_of(surface: Surface) -> tuple[float, float]:
    """The middle of a surface's window, around which it is rotated.

    Args:
        surface: any.

    Returns:
        x and y.
    """
    (left, right), (bottom, top) = surface.domain
    return (left + right) / 2, (bottom + top) / 2


def rotated(surface: Surface, angle: float) -> Surface:
    """A surface, its start and its minima turned around the middle of its window, which stays as it is.

    Args:
        surface: any.
        angle: degrees, counterclockwise.

    Returns:
        The turned surface.

    >>> turned = rotated(saddle, 90)
    >>> [round(part, 6) for part in turned.start], round(float(turned.function(jnp.array([1.0, 0.0]))), 6)
    ([-0.001, -1.5], -1.0)
    """
    if angle == 0:
        return surface
    middle, radians = jnp.asarray(middle_of(surface)), jnp.asarray(math.radians(angle))

    def turn(point: tuple[float, float]) -> tuple[float, float]:
        x, y = _turned(jnp.asarray(point), middle, radians)
        return float(x), float(y)

    return dataclasses.replace(
        surface,
        function=lambda point: surface.function(_turned(point, middle, -radians)),
        minima=tuple(turn(minimum) for minimum in surface.minima),
        start=turn(surface.start),
    )


def _turned(point: jax.Array, middle: jax.Array, angle: jax.Array) -> jax.Array:
    (x, y), cosine, sine = point - middle, jnp.cos(angle), jnp.sin(angle)
    return middle + jnp.stack([cosine * x - sine * y, sine * x + cosine * y])


@jax.jit
def _sweep(
    settings: Optimizer,
    which: jax.Array,
    middles: jax.Array,
    angles: jax.Array,
    starts: jax.Array,
    noises: jax.Array,
    draws: jax.Array,
) -> jax.Array:
    """Run every setting in every situation: (situations, settings, channels, STEPS + 1)."""

    def situation(which, middle, angle, begin, noise):
        def f(point: jax.Array) -> jax.Array:
            home = _turned(point, middle, -angle)
            return jax.lax.switch(which, [surface.function for surface in SURFACES], home)

        first = _turned(begin, middle, angle)
        scale = noise * jnp.linalg.norm(jax.grad(f)(first)) / math.sqrt(2)
        # The noise is turned with the surface: to a method that knows no axes nothing has changed.
        errors = scale * jax.vmap(_turned, (0, None, None))(draws, jnp.zeros(2), angle)

        def run(optimizer: Optimizer) -> jax.Array:
            begun = start(optimizer, first)
            _, _, records = descend(
                lambda point, error: f(point) + jnp.dot(error, point),
                optimizer,
                begun,
                errors,
                record=lambda carry: carry,
            )
            points, state, _ = jax.tree.map(
                lambda one, rest: jnp.concatenate([one[None], rest]), begun, records
            )
            columns = [points, jax.vmap(f)(points)[:, None], *state[1:]]
            return jnp.concatenate(columns, axis=1).T

        return jax.vmap(run)(settings)

    return jax.vmap(situation)(which, middles, angles, starts, noises)
