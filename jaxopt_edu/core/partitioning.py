"""Several optimizers for one tree of parameters: each leaf goes to the one that its label names."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import check_matches, check_state, short
from jaxopt_edu.core.composition import bearer, compose
from jaxopt_edu.core.foreign import as_transform, is_transform
from jaxopt_edu.core.paths import is_meant, leaf_name, leaf_names
from jaxopt_edu.core.transform import Optimizer, is_pytree

if TYPE_CHECKING:
    import chex

Labels = Callable[[str, Any], str] | Mapping[str, str] | Any

# What speaks of the whole tree would not fit a part of it.
OF_THE_WHOLE = ("value_fn", "grad_fn")


class PartitionState(NamedTuple):
    """The states of all optimizers, each for its own leaves."""

    inner: dict[str, Any]  # by name; where a state mirrors the parameters, leaves of the others are None


def partition(optimizers: Mapping[str, optax.GradientTransformation], labels: Labels) -> Optimizer:
    """Train each leaf with the optimizer that its label names, and stay a pytree of all their numbers.

    Each optimizer sees the tree with None for the leaves of the others, so whatever it computes of its tree
    (a norm to clip by, say) it computes of its own leaves.

    Args:
        optimizers: by name; any optax transforms. Their numbers are called "name.learning_rate".
        labels: which leaf goes where, in one of three ways.
            Patterns with labels, as in {"*/bias": "plain", "*": "matrices"}: leaves have the names that
            stored files and errors use, such as "dense/bias"; * stands for anything, / included (see
            `fnmatch`), and a pattern means what it matches and all that lies below. The first one counts.
            A pytree of labels, such as {"dense": {"kernel": "matrices", "bias": "plain"}} or {"dense":
            "matrices"}; of whatever containers, it is read by names, too.
            A function of (name, leaf), where leaf has a shape and a dtype. It is called while tracing, and
            compared by identity: two lambdas make two programs.

    Returns:
        A transform whose leaves are the leaves of all optimizers; its state is PartitionState(inner).

    Raises:
        TypeError: an optimizer is none, or a label or a name is not a text.
        ValueError: there are no optimizers, a name contains a dot, or an optimizer scales the loss. While it
            runs: a pattern means no leaf, a leaf has no label, or one that is no optimizer's name; names it.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = partition({"slow": jo.sgd(0.01), "fast": jo.sgd(1.0)}, {"*/bias": "slow", "*": "fast"})
    >>> params = {"dense": {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}}
    >>> updates, state = opt.update(params, opt.init(params), params)
    >>> float(updates["dense"]["kernel"][0, 0]), round(float(updates["dense"]["bias"][0]), 4)
    (-1.0, -0.01)
    >>> jo.hyperparameters(jo.replace(opt, **{"slow.learning_rate": 0.5}))
    {'slow.learning_rate': 0.5, 'fast.learning_rate': 1.0}
    """
    if not isinstance(optimizers, Mapping) or not optimizers:
        raise ValueError(
            f"partition: optimizers = {optimizers!r} should be a dict of at least one optimizer by name, as "
            'in partition({"slow": sgd(0.01), "fast": sgd(0.1)}, labels).'
        )
    for name in optimizers:
        if not isinstance(name, str):
            raise TypeError(f"partition: the name {name!r} of an optimizer is no text.")
        if not name or "." in name:
            raise ValueError(
                f"partition: the name {name!r} of an optimizer comes before a dot in the names of its "
                "numbers: it has no dot itself, and is not empty."
            )
    for optimizer in optimizers.values():
        if is_transform(optimizer) and (inside := bearer(as_transform(optimizer), "scales_the_loss")):
            raise ValueError(
                f"partition: {inside} scales the loss, and so the gradients of all leaves; write {inside}("
                "partition(…))."
            )
    if isinstance(labels, str) and labels not in optimizers:
        raise ValueError(
            f"partition: labels = {short(labels)} is no optimizer's name; there are "
            f"{_listed(list(optimizers))}."
        )
    constant = _constant(labels)
    rules = constant if callable(constant) else tuple(constant.items())
    step = PartitionStep(tuple(optimizers), rules)
    return compose(partition, PartitionInit(step), step, optimizers, constants={"labels": constant})


@dataclass(frozen=True)
class PartitionStep:
    """One step: every optimizer's for its own leaves."""

    names_leaves = True

    names: tuple[str, ...]
    rules: Any  # a function of (name, leaf), or pairs of a pattern and a label

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizers' states, in their order."""
        check_state("partition", state, PartitionState)
        return tuple(state.inner[name] for name in self.names)

    def __call__(
        self, update_functions: Any, updates: Any, state: Any, params: Any, **extra: Any
    ) -> tuple["chex.ArrayTree", PartitionState]:
        """The updates of all optimizers in one tree."""
        states = self.inner_states(state, len(self.names))
        if params is not None:
            check_matches("gradient", updates, "parameter", params)
        gradients, given = self.parts(updates, updates), self.parts(updates, params)
        extra = {name: value for name, value in extra.items() if name not in OF_THE_WHOLE}
        grads = self.parts(updates, extra.pop("grad", None))
        made = {}
        inner = {}
        for name, own in zip(self.names, states, strict=True):
            further = extra if grads[name] is None else extra | {"grad": grads[name]}
            made[name], inner[name] = update_functions[name](gradients[name], own, given[name], **further)
        return self.joined(updates, made), PartitionState(inner)

    def evaluated_at(
        self, asks: Sequence[Callable], state: PartitionState, params: "chex.ArrayTree"
    ) -> "chex.ArrayTree":
        """The points of all optimizers in one tree."""
        parts = self.parts(params, params)
        states = self.inner_states(state, len(self.names))
        points = {
            name: ask(own, parts[name]) for name, ask, own in zip(self.names, asks, states, strict=True)
        }
        return self.joined(params, points)

    def labels(self, tree: "chex.ArrayTree") -> tuple[str, ...]:
        """The label of every leaf, in the tree's order."""
        leaves, treedef = jax.tree.flatten(tree)
        kinds = (
            tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves) if callable(self.rules) else ()
        )
        return _labels(self.names, self.rules, treedef, kinds)

    def parts(self, like: "chex.ArrayTree", tree: Any) -> dict[str, Any]:
        """A tree for each optimizer, with None for the leaves of the others; None of None."""
        if tree is None:
            return dict.fromkeys(self.names)
        labels, treedef = self.labels(like), jax.tree.structure(like)
        leaves = treedef.flatten_up_to(tree)
        return {
            name: treedef.unflatten(
                [leaf if label == name else None for leaf, label in zip(leaves, labels, strict=True)]
            )
            for name in self.names
        }

    def joined(self, like: "chex.ArrayTree", parts: Mapping[str, Any]) -> "chex.ArrayTree":
        """The tree whose parts they are."""
        treedef = jax.tree.structure(like)
        columns = {name: treedef.flatten_up_to(part) for name, part in parts.items()}
        return treedef.unflatten([columns[label][i] for i, label in enumerate(self.labels(like))])


@dataclass(frozen=True)
class PartitionInit:
    """Before the first step."""

    step: PartitionStep

    def __call__(self, inits: Mapping[str, Callable], params: "chex.ArrayTree") -> PartitionState:
        """Each optimizer's own state, for its own leaves."""
        parts = self.step.parts(params, params)
        return PartitionState({name: inits[name](parts[name]) for name in self.step.names})


def _constant(labels: Labels) -> Any:
    if callable(labels) and not is_pytree(labels):
        return labels
    if isinstance(labels, Mapping) and all(isinstance(label, str) for label in labels.values()):
        pairs = [(str(pattern), label) for pattern, label in labels.items()]
    else:
        pairs = [
            (leaf_name(path) or "*", label) for path, label in jax.tree_util.tree_flatten_with_path(labels)[0]
        ]
    for pattern, label in pairs:
        if not isinstance(label, str):
            raise TypeError(
                f"partition: in labels, that of {pattern} is {short(label)}; it must be a text, an "
                "optimizer's name."
            )
    if not pairs:
        raise ValueError(
            f'partition: labels = {short(labels)} names no optimizer; a pattern for all is {{"*": "name"}}.'
        )
    return OrderedDict(pairs)


@functools.lru_cache(maxsize=64)
def _labels(names: tuple[str, ...], rules: Any, treedef: Any, kinds: tuple[Any, ...]) -> tuple[str, ...]:
    leaves = leaf_names(treedef.unflatten(range(treedef.num_leaves)))
    if callable(rules):
        shapes = [jax.ShapeDtypeStruct(*kind) for kind in kinds]
        labels = [rules(leaf, shape) for leaf, shape in zip(leaves, shapes, strict=True)]
    else:
        meant = [[label for pattern, label in rules if is_meant(leaf, pattern)] for leaf in leaves]
        for pattern, _ in rules:
            if leaves and not any(is_meant(leaf, pattern) for leaf in leaves):
                raise ValueError(
                    f"partition: the pattern {pattern!r} means no leaf; there are {_listed(leaves)}."
                )
        labels = [found[0] if found else None for found in meant]
    for leaf, label in zip(leaves, labels, strict=True):
        if label not in names:
            problem = "has no label" if label is None else f"has the label {label!r}, which no optimizer has"
            raise ValueError(
                f"partition: leaf {leaf or '(the whole tree)'} {problem}; the optimizers are "
                f'{", ".join(names)}. A pattern "*" at the end means all that the others leave.'
            )
    return tuple(map(str, labels))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12])
    return f"{shown}, … ({len(names)} in all)" if len(names) > 12 else shown
