"""A hyperparameter with a value for each leaf: by a predicate, or by the layer that the leaf is in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from jax.tree_util import Partial

from jaxopt_edu.core.arguments import checked_function
from jaxopt_edu.core.by_leaf import SHARE, Layerwise, Rules, Where, is_by_leaf
from jaxopt_edu.core.checks import FINITE, Limit, checked_number, short
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.transform import Hyperparameter, as_schedule, is_pytree

Predicate = Callable[[str, Any], bool] | str | Sequence[str]


@with_hints
def where(predicate: Predicate, where: Hyperparameter, otherwise: Hyperparameter) -> Callable[..., Any]:
    """One value for the leaves that a predicate means, another one for the rest.

    It stands wherever a page or a wrapper takes a number for every leaf, in optimizers that are others'
    arguments too, and its numbers are leaves of the optimizer: `weight_decay.where` and
    `weight_decay.otherwise` for `replace`, sweeps and tables. What needs one number of the whole tree (the
    distance that Prodigy begins with, the radius of `sam`, a number of steps) refuses it, and so do optax's
    own rules, which `partition` gives to some leaves only.

    Args:
        predicate: which leaves; static. A pattern of names such as "*/bias" (as in `partition`: * stands for
            anything, / included, and a pattern means what it matches and all that lies below), or several; or
            a function of (name, leaf), where leaf has a shape and a dtype, such as `matrices_only`. It is
            called while tracing, and compared by identity: two lambdas make two programs. An optimizer that
            sees a part of the tree (in `partition`, or as `others`) asks of that part.
        where: the value there; a number, a schedule, or another `where`.
        otherwise: the value of all other leaves, likewise.

    Returns:
        A hyperparameter, a pytree whose leaves are the numbers; the optimizer that takes it checks their
        range.

    Raises:
        TypeError: predicate is neither, or a value is no number and no schedule.
        ValueError: there is no pattern, or a number is not finite. While it runs: a pattern means no leaf.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = jo.adamw(0.1, weight_decay=where("*/bias", 0.0, otherwise=0.5))
    >>> params = {"dense": {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}}
    >>> nothing = {"dense": {"kernel": jnp.zeros((1, 1)), "bias": jnp.zeros(1)}}
    >>> updates, _ = opt.update(nothing, opt.init(params), params)
    >>> round(float(updates["dense"]["kernel"][0, 0]), 6), float(updates["dense"]["bias"][0]) == 0
    (-0.05, True)
    >>> opt = jo.replace(opt, **{"weight_decay.otherwise": 0.25})
    >>> jo.hyperparameters(opt)["weight_decay"].keywords["otherwise"]
    0.25
    """
    numbers = {"where": where, "otherwise": otherwise}
    checked = {name: _checked("where", name, value, FINITE) for name, value in numbers.items()}
    return Partial(Where(as_rules("where", "predicate", predicate)), **checked)


@with_hints
def layerwise(layers: Sequence[str], value: Hyperparameter, decay: Hyperparameter) -> Callable[..., Any]:
    """A value that falls from layer to layer, from the output down to the input: for fine-tuning.

        value at layer k of n = value · decay^(n − 1 − k),  k = 0, …, n − 1

    What is pretrained is the more general the nearer it is to the input, and is to move the less. Two numbers
    say how much, however many layers there are; both are leaves of the optimizer, `learning_rate.value` and
    `learning_rate.decay`.

    Args:
        layers: a pattern of names for each layer, from the input to the output, such as ["embed", "blocks/0",
            "blocks/1", "head"]; static. The first that means a leaf counts, and each leaf needs one. Layers
            that are stacked in one leaf cannot be told apart.
        value: the value of the last layer; a number, a schedule or a `where`.
        decay: what is left of it one layer further down; in [0, 1], or a schedule.

    Returns:
        A hyperparameter, a pytree whose leaves are the numbers; it stands where `where` does.

    Raises:
        TypeError: layers is no list of texts, or a number is none.
        ValueError: there are no layers, or a number is out of range. While it runs: a pattern means no leaf,
            or a leaf is in no layer.

    References:
        Howard & Ruder, Universal Language Model Fine-tuning for Text Classification, 2018, arXiv:1801.06146.
        Clark et al., ELECTRA: Pre-training Text Encoders as Discriminators, 2020, arXiv:2003.10555.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = jo.sgd(layerwise(["embed", "blocks/0", "blocks/1", "head"], value=0.8, decay=0.5))
    >>> params = {"embed": jnp.ones(1), "blocks": [jnp.ones(1), jnp.ones(1)], "head": jnp.ones(1)}
    >>> updates, _ = opt.update(params, opt.init(params), params)
    >>> [round(float(u[0]), 4) for u in (updates["embed"], *updates["blocks"], updates["head"])]
    [-0.1, -0.2, -0.4, -0.8]
    """
    if isinstance(layers, str) or not _are_texts(layers):
        raise TypeError(
            f"layerwise: layers = {short(layers)}; it must be a list of patterns, one for each layer, as in "
            '["embed", "blocks/0", "blocks/1", "head"].'
        )
    if not len(layers):
        raise ValueError("layerwise: layers is empty; give a pattern for each layer, from the input on.")
    numbers = {
        "value": _checked("layerwise", "value", value, FINITE),
        "decay": _checked("layerwise", "decay", decay, SHARE),
    }
    return Partial(Layerwise(tuple(layers)), **numbers)


FACTORIES: Mapping[str, Callable[..., Any]] = {"where": where, "layerwise": layerwise}


def remade(value: Partial, numbers: Mapping[str, Any]) -> Any:
    """A hyperparameter of the same leaves with other numbers.

    Args:
        value: what `where` or `layerwise` gave.
        numbers: all of its numbers, by name.

    Returns:
        The new one, its numbers checked.
    """
    return FACTORIES[value.func.__name__](**value.func.constants, **numbers)


def as_rules(owner: str, name: str, predicate: Any) -> Rules:
    """Which leaves are meant, in one of the two forms that `by_leaf.meant` takes.

    Args:
        owner: the function's name, for the errors.
        name: the argument's name.
        predicate: a pattern, a list of patterns, or a function of (name, leaf).

    Returns:
        The function, or a tuple of patterns.

    Raises:
        TypeError: it is neither.
        ValueError: the list is empty.
    """
    if isinstance(predicate, str):
        return (predicate,)
    if callable(predicate) and not is_pytree(predicate):
        checked_function(owner, name, predicate, "name", "leaf")
        function: Any = predicate
        return function
    if not _are_texts(predicate):
        raise TypeError(
            f"{owner}: {name} = {short(predicate)} says not which leaves; it must be a pattern of names, as "
            'in "*/bias", a list of patterns, or a function of (name, leaf).'
        )
    if not len(predicate):
        raise ValueError(f"{owner}: {name} is an empty list, which means no leaf; give a pattern.")
    return tuple(predicate)


def _are_texts(value: Any) -> TypeGuard[Sequence[str]]:
    return isinstance(value, Sequence) and all(isinstance(each, str) for each in value)


def _checked(owner: str, name: str, value: Any, limit: Limit) -> Any:
    if is_by_leaf(value):
        return value
    if callable(value) and not isinstance(value, type):
        return as_schedule(value)
    return checked_number(owner, name, value, limit)
