"""Monitored steps: for each layer, numbers that say how it trains, while the updates stay what they are.

A loss that does not fall says nothing of the reason. A few norms do: a layer whose update is a millionth of
its weights stands still, one whose gradient is exactly 0 is cut off, and an average that points nowhere near
the gradient has gone stale. For each layer, at every `every`-th step:

    ‖g‖, ‖u‖, ‖w‖                    (gradient, update and parameters before the step)
    cosine = −⟨u, g⟩ / (‖u‖ ‖g‖)     (1 for SGD, √(1 − β²) for a momentum β among nothing but noise)
    clipped = ‖g′‖ < ‖g‖             (g′: the gradient behind the first transforms of a chain)
    below_eps = share of √v̂ < ε      (among coordinates with v > 0, for adam and its kin)

and of these the ratio ‖u‖/‖w‖ and the effective learning rate ‖u‖/‖g‖. The state carries means since the
last multiple of `window` steps. It costs no array of the parameters' size. The update is kept in memory
where a compiled step would have added it at once: a write and a read of as many bytes as the parameters have.
Updates are the optimizer's own to the bit; in a compiled loop up to a rounding, since XLA may make one
operation of a product and a sum whose product need not be kept. `fit` carries many small leaves one by one
then, and not end to end.

The cosine is that of the whole update with the gradient, which every optimizer has, and not that of an
average: one of its own would cost an array.

torch and optax have no such transform; loops of one's own log these norms.

The ratio's healthy size, about 1e-3, is Karpathy's (CS231n, Neural Networks Part 3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import Limit, check_given, check_matches, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, first_count, next_count
from jaxopt_edu.wrappers.layers import Rules, as_rules, layers_of
from jaxopt_edu.wrappers.measuring import Measures, measures, watched
from jaxopt_edu.wrappers.order import check_inside
from jaxopt_edu.wrappers.whole import check_whole

if TYPE_CHECKING:
    import chex

WHOLE = Limit(1.0, float("inf"), "a whole number of at least 1")
LIMITS: dict[str, Limit] = {"every": WHOLE, "window": WHOLE}


class MonitorState(NamedTuple):
    """The optimizer's state, and what was measured of its steps."""

    count: jax.Array  # the number of updates made; int32, shape ()
    means: Measures  # since the last multiple of window; float32, shape (layers,) each
    inner: Any  # the optimizer's state


def monitor(
    optimizer: optax.GradientTransformation,
    layers: int | Sequence[str] | None = None,
    every: Hyperparameter = 10,
    window: Hyperparameter = 100,
) -> Optimizer:
    """Measure each layer's gradient, update and parameters, and change nothing.

    `readings` reads the measures, as a table when printed; `fit` keeps them as curves in its history, which
    `diagnose` puts into words and `plots.layers` draws.

    Args:
        optimizer: any optax transform; its updates are not changed. Around a chain it also sees whether
            transforms without a state that come first, such as `optax.clip_by_global_norm`, make the
            gradient shorter.
        layers: what counts as a layer: None for each leaf; how many parts of a leaf's name, as 2 for
            "blocks/0" of "blocks/0/kernel"; or patterns, as in ["embed", "blocks/0", "*"] (see `partition`),
            of which the first that means a leaf counts.
        every: steps from one measure to the next; whole, ≥ 1, or a schedule. Under `vmap` all steps are
            measured, and those in between thrown away.
        window: steps after which the means begin anew; whole, ≥ 1, or a schedule. The first step of each is
            measured. `fit` reads at the end of its stretches, by default of as many steps.

    Returns:
        A transform whose update needs `params`. Its state is MonitorState(count, means, inner).

    Raises:
        TypeError: optimizer is not an optax transform, a number is none, or layers are no patterns.
        ValueError: a number is out of range, or optimizer cannot stand inside.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = monitor(jo.sgd(learning_rate=0.5))
    >>> params = {"bias": jnp.array([0.0]), "kernel": jnp.array([3.0, 4.0])}
    >>> gradients = {"bias": jnp.array([0.0]), "kernel": jnp.array([0.0, 2.0])}
    >>> updates, state = opt.update(gradients, opt.init(params), params)
    >>> found = jo.readings(opt, state, params)
    >>> found.layers, found.values["update_ratio"].tolist()
    (('bias', 'kernel'), [[nan, 0.20000000298023224]])

    References:
        Karpathy, CS231n, Neural Networks Part 3: Learning and Evaluation, 2015.
    """
    check_inside("monitor", optimizer, "rests_between_steps", "scales_the_loss")
    for name, value in (("every", every), ("window", window)):
        if not callable(value):
            check_whole("monitor", name, value)
    rules = as_rules("monitor", layers)
    return compose(
        monitor,
        MonitorInit(rules),
        MonitorStep(rules),
        [optimizer],
        constants={"layers": rules},
        limits=LIMITS,
        every=every,
        window=window,
    )


@dataclass(frozen=True)
class MonitorInit:
    """Before the first step: nothing measured."""

    rules: Rules

    def __call__(self, inits: Sequence[Callable], params: "chex.ArrayTree") -> MonitorState:
        """The optimizer's own state, and zeros."""
        count = first_count(params)
        size = len(layers_of("monitor", self.rules, params).names)
        # An array each, since a state may be donated.
        zeros = [jnp.zeros(size, jnp.float32) for _ in Measures._fields]
        return MonitorState(count, Measures(*zeros), inits[0](params))


@dataclass(frozen=True)
class MonitorStep:
    """One step: the optimizer's own, and now and then a look at it."""

    names_leaves = True
    keeps_measures = True

    rules: Rules

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("monitor", state, MonitorState)
        return (state.inner,)

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        every: ValueInForce,
        window: ValueInForce,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", MonitorState]:
        """The optimizer's updates."""
        check_given("monitor", params)
        (inner,) = self.inner_states(state, 1)
        check_matches("gradient", updates, "parameter", params)
        step = watched(update_functions[0], updates, inner, params, **extra)
        place = state.count % window.astype(jnp.int32)
        stride = every.astype(jnp.int32)

        def look() -> Measures:
            layers = layers_of("monitor", self.rules, params)
            found = measures(update_functions[0], layers, updates, inner, params, step)
            # A loss that depends on the updates does not depend on what is measured of them.
            found = jax.lax.stop_gradient(found)
            n = (place // stride + 1).astype(jnp.float32)
            # Not through a mean that may be infinite or NaN.
            mean = lambda old, new: jnp.where(n == 1, new, (old * (n - 1) + new) / n)  # noqa: E731
            return jax.tree.map(mean, state.means, found)

        means = jax.lax.cond(place % stride == 0, look, lambda: state.means)
        return step.updates, MonitorState(next_count(state.count), means, step.state)
