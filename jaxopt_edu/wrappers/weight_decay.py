"""Weight decay: every step takes a share of the parameters away, whatever the gradients are.

A penalty ½λ‖w‖² in the loss is divided by √v̂ in Adam, averaged by momentum and made a sign by Lion like
the rest of the gradient. Decay that is apart from the gradient means the same for every optimizer:

    u ← optimizer.update(g)
    w ← w + u − rate · w             (where the mask is true; w on the right is the old parameter)

with rate = the share of a parameter that a step takes away. It costs no memory, and as many operations as
the parameters have numbers.

`adamw(learning_rate=η, weight_decay=λ)` is `weight_decay(adam(learning_rate=η), rate=η·λ)`: in torch and
optax (`add_decayed_weights` before the learning rate) the share is ηλ, so that a schedule of η decays it,
too. Here it is a number of its own, as in the paper: to let it follow a schedule, give rate that schedule.

Biases and norms are usually left out: `weight_decay(opt, rate, mask=matrices_only)`.

Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.arguments import checked_function
from jaxopt_edu.core.checks import NON_NEGATIVE, check_given, check_matches, check_state, short
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.paths import is_meant, leaf_name, leaf_names
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, is_pytree
from jaxopt_edu.core.trees import ValueInForce, first_count, map_rule, next_count
from jaxopt_edu.wrappers.order import check_inside

if TYPE_CHECKING:
    import chex

Mask = Callable[[str, Any], bool] | Mapping[str, bool] | Any


class WeightDecayState(NamedTuple):
    """The optimizer's state, and the count that a schedule of the rate is asked at."""

    count: jax.Array  # the number of updates made; int32, shape ()
    inner: Any  # the optimizer's state


def weight_decay(
    optimizer: optax.GradientTransformation, rate: Hyperparameter, mask: Mask | None = None
) -> Optimizer:
    """Take a share of the parameters away at every step, w ← w + u − rate · w.

    Args:
        optimizer: any optax transform; u is its update.
        rate: the share that a step takes away; finite, ≥ 0, or a schedule. AdamW's is η λ.
        mask: which leaves decay; None for all. `matrices_only` leaves out biases, norms and whatever else has
            fewer than two axes. Else patterns with True or False, as in {"*/bias": False, "*": True}, of
            which the first that matches a leaf's name counts, as for `partition`; or a pytree of booleans; or
            a function of (name, leaf), where leaf has a shape and a dtype.

    Returns:
        A transform whose update needs `params`. Its state is WeightDecayState(count, inner).

    Raises:
        TypeError: optimizer is not an optax transform, rate is no number, or the mask has no booleans.
        ValueError: rate is out of range, or optimizer cannot stand inside.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = weight_decay(jo.sgd(learning_rate=0.5), rate=0.25, mask={"*/bias": False, "*": True})
    >>> params = {"kernel": jnp.array([4.0]), "bias": jnp.array([4.0])}
    >>> updates, state = opt.update({"kernel": jnp.ones(1), "bias": jnp.ones(1)}, opt.init(params), params)
    >>> updates["kernel"].tolist(), updates["bias"].tolist()
    ([-1.5], [-0.5])

    References:
        Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019, arXiv:1711.05101.
    """
    check_inside("weight_decay", optimizer, "updates_are_final", "rests_between_steps", "scales_the_loss")
    constant = _constant(mask)
    rules = constant if constant is None or callable(constant) else tuple(constant.items())
    return compose(
        weight_decay,
        init,
        WeightDecayStep(rules),
        [optimizer],
        constants={"mask": constant},
        limits={"rate": NON_NEGATIVE},
        rate=rate,
    )


def matrices_only(name: str, leaf: Any) -> bool:
    """A mask that leaves out biases, norms and whatever else has fewer than two axes.

    Args:
        name: the leaf's, such as "dense/kernel"; not looked at.
        leaf: anything with a shape.

    Returns:
        Whether the leaf has two axes or more. The biases of stacked layers have two: leave them out by name.

    >>> import jax.numpy as jnp
    >>> matrices_only("kernel", jnp.ones((2, 3))), matrices_only("bias", jnp.ones(3))
    (True, False)
    """
    return len(leaf.shape) > 1


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> WeightDecayState:
    """Before the first step."""
    return WeightDecayState(first_count(params), inits[0](params))


@dataclass(frozen=True)
class WeightDecayStep:
    """One step: the optimizer's update, and the decay beside it."""

    decays = True
    rules: Any  # None, a function of (name, leaf), or pairs of a pattern and a boolean

    @property
    def names_leaves(self) -> bool:
        """Whether leaves are told apart."""
        return self.rules is not None

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("weight_decay", state, WeightDecayState)
        return (state.inner,)

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        rate: ValueInForce,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", WeightDecayState]:
        """The updates, less a share of the parameters."""
        check_given("weight_decay", params)
        (inner,) = self.inner_states(state, 1)
        check_matches("gradient", updates, "parameter", params)
        updates, inner = update_functions[0](updates, inner, params, **extra)
        steps, treedef = jax.tree.flatten(updates)
        decays = self.reaches(params)
        # A tree, since a rate may be told by the leaf's name.
        chosen, read = (
            treedef.unflatten([leaf if on else None for leaf, on in zip(leaves, decays, strict=True)])
            for leaves in (steps, jax.tree.leaves(params))
        )
        decayed = treedef.flatten_up_to(map_rule(rule, chosen, params=read, rate=rate))
        moved = [new if on else u for u, new, on in zip(steps, decayed, decays, strict=True)]
        return treedef.unflatten(moved), WeightDecayState(next_count(state.count), inner)

    def reaches(self, params: "chex.ArrayTree") -> tuple[bool, ...]:
        """For each leaf, in the tree's order, whether it decays."""
        leaves, treedef = jax.tree.flatten(params)
        kinds = tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
        return _decayed(self.rules, treedef, kinds if callable(self.rules) else ())


def rule(u: jax.Array, w: jax.Array, *, rate: jax.Array) -> jax.Array:
    """The update for one array."""
    return u - rate * w


def _constant(mask: Any) -> Any:
    if mask is None:
        return None
    if callable(mask) and not is_pytree(mask):
        checked_function("weight_decay", "mask", mask, "name", "leaf")
        return mask
    paths = jax.tree_util.tree_flatten_with_path(mask)[0]
    pairs = mask.items() if _is_flat(mask) else [(leaf_name(path) or "*", on) for path, on in paths]
    for pattern, on in pairs:
        if not isinstance(on, bool):
            raise TypeError(
                f"weight_decay: mask = {short(mask)} has {short(on)} for {pattern}; it needs True or False, "
                'as in {"*/bias": False, "*": True}.'
            )
    return OrderedDict((str(pattern), on) for pattern, on in pairs)


def _is_flat(mask: Any) -> bool:
    return isinstance(mask, Mapping) and all(isinstance(on, bool) for on in mask.values())


@functools.lru_cache(maxsize=64)
def _decayed(rules: Any, treedef: Any, kinds: tuple[Any, ...]) -> tuple[bool, ...]:
    if rules is None:
        return (True,) * treedef.num_leaves
    leaves = leaf_names(treedef.unflatten(range(treedef.num_leaves)))
    if callable(rules):
        return tuple(
            bool(rules(leaf, jax.ShapeDtypeStruct(*kind))) for leaf, kind in zip(leaves, kinds, strict=True)
        )
    found = {leaf: [on for pattern, on in rules if is_meant(leaf, pattern)] for leaf in leaves}
    if without := [leaf for leaf, meant in found.items() if not meant]:
        raise ValueError(
            f"weight_decay: the mask says nothing of the leaf {without[0] or '(the whole tree)'}; a pattern "
            '"*" at the end means all that the others leave.'
        )
    for pattern, _ in rules:
        if leaves and not any(is_meant(leaf, pattern) for leaf in leaves):
            raise ValueError(
                f"weight_decay: the mask's pattern {pattern!r} means no leaf; there are {short(leaves)}."
            )
    return tuple(meant[0] for meant in found.values())
