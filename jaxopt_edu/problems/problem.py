"""A problem as a value: what to train, on what, judged how, and what is known about it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import Any, Literal, NamedTuple

import jax

from jaxopt_edu.core.checks import POSITIVE, checked_number, checked_whole, short
from jaxopt_edu.core.transform import is_pytree
from jaxopt_edu.fingerprints import fingerprint, program_fingerprint


class Fingerprint(NamedTuple):
    """By what a problem is known again.

    Attributes:
        data: of every bit of what is trained on and judged by; 16 hexadecimal digits.
        computation: of the traced programs of init, loss and evaluate, which JAX's version may change.
    """

    data: str
    computation: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something to train, and everything that a fair comparison on it needs to know.

    Optimizers are chosen by one number, `metric`, and judged by another that nothing was chosen by, "test".

    Attributes:
        name: what it is called; a variant is called as it is made, `digits_mlp(width=64)`.
        why: one sentence, why it is there.
        init: `init(key) -> params`.
        loss: `loss(params, batch)`, a real scalar; what is descended.
        data: a pytree of arrays with a leading example axis, or `sample(key) -> batch`, or None.
        evaluate: `evaluate(params)`, a dict of scalars, among them `metric` and "test".
        steps: how many steps a whole run has.
        batch_size: examples in a batch of arrays; None for all of them, and where data is none.
        metric: the name in what evaluate gives by which settings are chosen.
        mode: whether its lowest ("min") or highest ("max") value is the best.
        trivial: the metric's value for `trivial_is`, which whatever learns has to beat.
        trivial_is: what needs no training, in words.
        optimum: the best value that the metric can have, where that is known; else None.
        target: a value of the metric that a well tuned run reaches, or None.
        reference: where the problem comes from.
        version: changes whenever results do.

    Example:
        >>> import jaxopt_edu as jo
        >>> problem = jo.problems.quadratic_deep()
        >>> result = jo.sweep(problem, [jo.sgd(0.01), jo.sgd(0.02)], steps=20)
        >>> result.best().mean < problem.trivial
        True
    """

    why: str
    init: Callable[[jax.Array], Any]
    loss: Callable[[Any, Any], jax.Array]
    data: Any
    evaluate: Callable[[Any], dict[str, jax.Array]]
    steps: int
    trivial: float
    trivial_is: str
    batch_size: int | None = None
    metric: str = "validation"
    mode: Literal["min", "max"] = "min"
    optimum: float | None = None
    target: float | None = None
    reference: str = ""
    version: int = 1
    name: str = "problem"

    def __post_init__(self) -> None:
        """Refuse what no run could use."""
        for name in ("init", "loss", "evaluate"):
            if not callable(getattr(self, name)):
                raise TypeError(f"Problem: {name} = {short(getattr(self, name))}; it must be a function.")
        for name in ("steps", "version"):
            checked_whole("Problem", name, getattr(self, name), 1)
        if self.batch_size is not None:
            checked_whole("Problem", "batch_size", self.batch_size, 1)
        if not isinstance(self.name, str) or not self.name or "/" in self.name:
            raise ValueError(f"Problem: name = {self.name!r}; it must be a word, without a slash.")
        if self.mode not in ("min", "max"):
            raise ValueError(f'Problem: mode = {self.mode!r}; it must be "min" or "max".')

    @property
    def setup(self) -> dict[str, Any]:
        """What `sweep` and `fit` are given by name besides steps, seeds and keys."""
        names = ("data", "batch_size", "evaluate", "metric", "mode")
        return {name: getattr(self, name) for name in names}

    def batch(self, key: jax.Array) -> Any:
        """One batch, as a step would see it: of arrays the first examples.

        Args:
            key: a `jax.random` key; for data that are drawn.

        Returns:
            What loss takes as its second argument.
        """
        if callable(self.data):
            return self.data(key)
        return jax.tree.map(lambda leaf: leaf[: self.batch_size], self.data)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """By what the problem is known again; made when it is first asked for, since that traces it."""
        leaves = jax.tree.leaves([each for each in (self.data, self.loss, self.evaluate) if _is_tree(each)])

        def whole(key: jax.Array) -> Any:
            params = self.init(key)
            return self.loss(params, self.batch(key)), self.evaluate(params)

        return Fingerprint(fingerprint(leaves), program_fingerprint(whole, jax.random.key(0)))


def _is_tree(value: Any) -> bool:
    return not callable(value) or is_pytree(value)


def named_by_arguments(factory: Callable[..., Problem]) -> Callable[..., Problem]:
    """A factory that checks its arguments, and names its problems by those that are not the usual ones.

    Args:
        factory: makes a problem of keyword arguments, each a whole number from 1 on or a number above 0, as
            its default is.

    Returns:
        The factory.

    >>> import jaxopt_edu as jo
    >>> jo.problems.digits_mlp().name, jo.problems.digits_mlp(width=64).name
    ('digits_mlp', 'digits_mlp(width=64)')
    """
    usual = {name: each.default for name, each in inspect.signature(factory).parameters.items()}

    @wraps(factory)
    def make(**arguments: Any) -> Problem:
        checked = {
            name: _checked(factory.__name__, name, value, usual[name])
            for name, value in arguments.items()
            if name in usual
        }
        made = factory(**{**arguments, **checked})
        other = [f"{name}={value:g}" for name, value in checked.items() if value != usual[name]]
        return replace(made, name=factory.__name__ + (f"({', '.join(other)})" if other else ""))

    return make


def _checked(owner: str, name: str, value: Any, usual: float) -> float:
    if isinstance(usual, int):
        return checked_whole(owner, name, value, 1)
    return float(checked_number(owner, name, value, POSITIVE))
