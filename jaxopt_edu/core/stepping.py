"""One step of an optimizer whose state is what its rule remembers of each array."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxopt_edu.core.trees import ValueInForce, WeightSum, map_rule, next_count

if TYPE_CHECKING:
    import jax


def step_leaves(
    rule: Callable[..., Any], gradients: Any, state: Any, *, params: Any = None, **values: Any
) -> tuple[Any, Any]:
    """One step of a rule on every leaf.

    Args:
        rule: written for one array, as for `map_rule`.
        gradients: pytree of floating or complex arrays; None is an empty subtree.
        state: a NamedTuple: the count, and then trees that mirror the gradients, in the order in which the
            rule is given their arrays and returns them.
        params: the parameters, for a rule that reads them.
        **values: hyperparameters in force and other numbers, as for `map_rule`.

    Returns:
        The updates, and the state of the next step.

    >>> import jax.numpy as jnp
    >>> from jaxopt_edu.optimizers import MomentumState
    >>> state = MomentumState(count=jnp.int32(0), velocity={"w": jnp.ones(1)})
    >>> rule = lambda g, velocity: (-g, velocity + g)
    >>> updates, state = step_leaves(rule, {"w": jnp.ones(1)}, state)
    >>> int(state.count), float(state.velocity["w"][0])
    (1, 2.0)
    """
    count, *memory = state
    made = map_rule(rule, gradients, *memory, params=params, **values)
    updates, *memory = made if memory else (made,)
    return updates, type(state)(next_count(count), *memory)


def weight_sums(t: "jax.Array", **decays: ValueInForce) -> dict[str, WeightSum]:
    """What averages of zeros at first are divided by, so that they are averages of what was seen.

    Args:
        t: the number of this step, 1 at the first; int32, shape ().
        **decays: what each average keeps at a step.

    Returns:
        For b1 an entry one_minus_b1_t, 1 − b₁ᵗ, and so on: values for `map_rule`.

    >>> import jax.numpy as jnp
    >>> from jaxopt_edu.core import FRACTION
    >>> sums = weight_sums(jnp.int32(2), b1=ValueInForce(0.5, FRACTION))
    >>> {name: float(total.astype(jnp.float32)) for name, total in sums.items()}
    {'one_minus_b1_t': 0.75}
    """
    return {f"one_minus_{name}_t": WeightSum(decay, t) for name, decay in decays.items()}
