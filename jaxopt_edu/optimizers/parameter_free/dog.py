"""DoG, distance over gradients: SGD whose rate is how far it has come over the size of all gradients.

For a convex loss the best constant rate of SGD is the distance from the start to the minimum over the root
of the sum of squared gradients. The minimum is unknown, but the largest distance gone so far is a guess that
only grows, and it grows fast while it is too small. One number for the whole tree, and no rate to tune.

    r̄ ← max(r̄, ‖w − w₀‖, ρ (1 + ‖w₀‖))
    G ← G + ‖g‖²
    w ← w − η r̄ / √(G + ε) g

with η = learning_rate (1 in the paper, which advises against another), ρ = reps_rel, ε = eps, r̄₀ = G₀ = 0;
w₀ is what `init` was given, w on the right is the old parameter, and norms are over all parameters.

What it repairs: the search for a rate. What it costs: w₀, one array of memory (as momentum's), and two
sums over all parameters before the first of them can move. Its rate falls as 1/√t and no faster, so its last
point is noisy: the authors evaluate an average, as `averaged(dog(), decay=0.999)` does. ρ only has to be
too small: 1e-6, or 1e-4 with batch normalization. Where all gradients are 0 nothing moves.

The official `dog.DoG(reps_rel, lr, eps)` and `optax.contrib.dog(η, ("heuristic", ρ), eps)` are the same
formula. optax keeps r̄ and G in the parameters' dtype: in bfloat16 G stops at 256 where gradients of length 1
follow each other. A decay is not built in: theirs is a term of the loss. `half_state` refuses it, since
bfloat16 would round w₀, and `packed`, since its rule looks at all parameters.

Ivgi, Hinder & Carmon 2023, DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size Schedule,
arXiv:2302.12022.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
from jaxopt_edu.core.reductions import tree_norm, tree_sum, tree_zero
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, copies, first_count, map_rule, next_count

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {"learning_rate": NON_NEGATIVE, "reps_rel": NON_NEGATIVE, "eps": NON_NEGATIVE}
SPACE: dict[str, Distribution] = {"reps_rel": loguniform(1e-8, 1e-3)}


class DogState(NamedTuple):
    """What DoG remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    first: "chex.ArrayTree"  # w₀, where the parameters started; as params, ≥ float32
    size: jax.Array  # ‖w₀‖; ≥ float32, shape ()
    distance: jax.Array  # r̄, the largest distance from there; ≥ float32, shape ()
    squares: jax.Array  # G, the sum of all squared gradients; ≥ float32, shape ()


@with_hints
def dog(
    learning_rate: Hyperparameter = 1.0, reps_rel: Hyperparameter = 1e-6, eps: Hyperparameter = 1e-8
) -> Optimizer:
    """Distance over gradients, w ← w − η max‖w − w₀‖ / √Σ‖g‖² g.

    Args:
        learning_rate: η, times the rate that it finds; 1 is right; finite, ≥ 0, or a schedule.
        reps_rel: ρ, the distance to begin with as a share of 1 + ‖w₀‖, which has to be small; with 0 nothing
            ever moves; finite, ≥ 0, or a schedule.
        eps: ε, added to the sum of squared gradients; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its three hyperparameters. Its state is
        DogState(count, first, size, distance, squares). Its update needs the parameters, and its init their
        numbers.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt, params = jo.dog(), {"w": jnp.array([3.0, -4.0])}
    >>> state = opt.init(params)
    >>> for _ in range(100):
    ...     updates, state = opt.update(params, state, params)  # the gradient of ½‖w‖²
    ...     params = optax.apply_updates(params, updates)
    >>> round(float(state.distance))  # that to the minimum
    5

    References:
        Ivgi, Hinder & Carmon, DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size Schedule, 2023,
        arXiv:2302.12022.
    """
    return build(
        dog,
        DogState,
        init,
        update,
        LIMITS,
        traits=("measures_from_the_start",),
        learning_rate=learning_rate,
        reps_rel=reps_rel,
        eps=eps,
    )


def init(params: "chex.ArrayTree") -> DogState:
    """At the start: no distance, no gradient seen."""
    first = copies("dog", params)
    return DogState(
        count=first_count(params),
        first=first,
        size=tree_norm(first),
        distance=tree_zero(params),
        squares=tree_zero(params),
    )


def update(
    gradients: "chex.ArrayTree",
    state: DogState,
    params: "chex.ArrayTree",
    *,
    learning_rate: ValueInForce,
    reps_rel: ValueInForce,
    eps: ValueInForce,
) -> tuple["chex.ArrayTree", DogState]:
    """The rate from the whole tree, and one step of the rule on every leaf."""
    dtype = state.distance.dtype
    gone = squared_root(tree_sum(squared_distance, state.first, params))
    begun = reps_rel.astype(dtype) * (1 + state.size)
    distance = jnp.maximum(state.distance, jnp.maximum(gone, begun))
    squares = state.squares + tree_sum(squared_magnitude, gradients).astype(dtype)
    rate = divide(distance, squared_root(squares + eps.astype(dtype)))
    updates = map_rule(rule, gradients, learning_rate=learning_rate, rate=rate)
    return updates, state._replace(count=next_count(state.count), distance=distance, squares=squares)


def rule(g: jax.Array, *, learning_rate: jax.Array, rate: jax.Array) -> jax.Array:
    """The update for one array."""
    return -learning_rate * rate * g


def squared_distance(first: jax.Array, w: jax.Array) -> jax.Array:
    """|w − w₀|² for one array."""
    return squared_magnitude(w - first)
