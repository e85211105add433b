"""What an argument is called here that has another name in another library."""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")

# From the names of torch, Keras, optax and the papers to ours, the likeliest first.
SYNONYMS = {
    "lr": ("learning_rate",),
    "eta": ("learning_rate",),
    "rate": ("learning_rate",),
    "step_size": ("learning_rate",),
    "learn_rate": ("learning_rate",),
    "alpha": ("decay", "rho", "learning_rate"),  # torch's RMSprop calls its decay so, papers the step
    "betas": ("b1 and b2",),
    "beta1": ("b1", "momentum"),
    "beta_1": ("b1", "momentum"),
    "beta2": ("b2", "decay", "rho"),
    "beta_2": ("b2", "decay", "rho"),
    "beta": ("momentum", "b1"),
    "mu": ("momentum", "b1"),
    "momentum": ("b1",),
    "b1": ("momentum",),
    "b2": ("decay", "rho"),
    "rho": ("decay", "b2"),
    "decay": ("rho", "b2"),
    "epsilon": ("eps",),
    "init_value": ("peak", "initial", "value"),
    "end_value": ("final",),
    "peak_value": ("peak",),
    "value": ("peak", "initial"),
    "decay_rate": ("rate",),
    "gamma": ("rate",),
    "decay_steps": ("steps",),
    "total_steps": ("steps",),
    "transition_steps": ("steps",),
    "T_max": ("steps",),
    "eta_min": ("final",),
    "max_lr": ("peak",),
    "T_0": ("period",),
    "T_mult": ("factor",),
    "total_iters": ("steps",),
    "warmup": ("warmup_steps",),
    "num_warmup_steps": ("warmup_steps",),
}
# Switches of other libraries that are optimizers or transforms of their own here.
ELSEWHERE = {
    "weight_decay": "weight decay is no part of it: adamw has it, weight_decay(optimizer, rate) adds it",
    "nesterov": "Nesterov's momentum is an optimizer of its own, nesterov",
    "amsgrad": "AMSGrad is an optimizer of its own, amsgrad",
    "centered": "the centred one is lift(optax.rmsprop)",
    "clipnorm": "clipping is a transform of its own: chain(lift(optax.clip_by_global_norm)(1.0), …)",
    "clipvalue": "clipping is a transform of its own: chain(lift(optax.clip)(1.0), …)",
}


def hint(name: str, known: Iterable[str]) -> str:
    """What somebody who writes a name that is unknown may have meant.

    Args:
        name: the name; of a dotted one the last part counts.
        known: the names that there are.

    Returns:
        A sentence that begins with a space, or nothing.

    >>> hint("lr", ["learning_rate", "momentum"])
    " What other libraries call 'lr' is learning_rate here."
    >>> hint("learning_rat", ["learning_rate"])
    ' Is it learning_rate?'
    """
    known = list(known)
    places = {place.rpartition(".")[2]: place for place in reversed(known)}
    for other in SYNONYMS.get(name.rpartition(".")[2], ()):
        if set(other.split(" and ")) <= places.keys():
            ours = " and ".join(places[part] for part in other.split(" and "))
            return f" What other libraries call {name!r} is {ours} here."
    if name in ELSEWHERE:
        return f" In this library {ELSEWHERE[name]}."
    close = difflib.get_close_matches(name, known, n=1)
    return f" Is it {close[0]}?" if close else ""


def unknown_argument(owner: str, name: str, known: Iterable[str]) -> str:
    """The error for an argument that a function does not have.

    Args:
        owner: the function's name.
        name: the argument.
        known: the arguments that there are.

    Returns:
        One line.
    """
    known = list(known)
    return f"{owner}: there is no argument {name!r}; it has {', '.join(known) or 'none'}.{hint(name, known)}"


def with_hints(factory: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """Let a factory say what an argument is called here that it does not know.

    Args:
        factory: a function with named arguments.

    Returns:
        The same function, which raises a TypeError with a hint where Python's own has none.

    >>> @with_hints
    ... def descent(learning_rate):
    ...     return learning_rate
    >>> descent(lerning_rate=0.1)
    Traceback (most recent call last):
        ...
    TypeError: descent: there is no argument 'lerning_rate'; it has learning_rate. Is it learning_rate?
    """
    known = tuple(inspect.signature(factory).parameters)

    @functools.wraps(factory)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        for name in kwargs:
            if name not in known:
                raise TypeError(unknown_argument(call.__name__, name, known))
        return factory(*args, **kwargs)

    return call
