"""The settings of a sweep: every combination of some values, or draws from distributions.

A factory is anything that takes hyperparameters by name and returns an optimizer: one of this library's, a
lifted one, a function of your own that builds a chain or a schedule out of the numbers

    grid(lambda peak, b1: adam(cosine(peak=peak, steps=500), b1=b1), peak=[0.01, 0.1], b1=[0.0, 0.9])

or an optimizer, which stands for all that has its form, with the names that `replace` takes:

    grid(adam(cosine(peak=0.1, steps=500)), **{"learning_rate.peak": [0.01, 0.1]}, b1=[0.0, 0.9])

Lists add up: `grid(adam, …) + sample(sgd, …)`.
"""

import inspect
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import jax
import numpy as np
import optax

from jaxopt_edu.core.checks import checked_whole, short
from jaxopt_edu.core.distributions import as_distribution
from jaxopt_edu.core.editing import replace
from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.core.hints import hint
from jaxopt_edu.core.quantiles import Choice
from jaxopt_edu.core.reading import show
from jaxopt_edu.core.transform import Optimizer, is_pytree
from jaxopt_edu.storage import is_key

Factory = Callable[..., optax.GradientTransformation | optax.MultiSteps] | optax.GradientTransformation


def grid(factory: Factory, /, **axes: Any) -> list[Optimizer]:
    """Every combination of the values given: the last axis changes fastest.

    Args:
        factory: a function that returns an optimizer, or an optimizer of which numbers are to be replaced.
        **axes: values by name. A list, tuple, range, array of shape (n,) or `choice` is an axis; anything
            else is the same in all settings. (An axis of tuples is a list of tuples.)

    Returns:
        The optimizers, as many as the product of the axes' lengths. Those of one structure can be stacked.

    Raises:
        ValueError: an axis is empty, a distribution, or a name that the factory does not have; or the
            factory refuses a value. Says which setting.
        TypeError: the factory does not return an optimizer whose numbers can be seen.

    >>> import jaxopt_edu as jo
    >>> [jo.describe(opt) for opt in grid(jo.momentum, learning_rate=[0.1, 0.2], momentum=0.5)]
    ['momentum(learning_rate=0.1, momentum=0.5)', 'momentum(learning_rate=0.2, momentum=0.5)']
    """
    columns = []
    for name, given in axes.items():
        axis = as_distribution("grid", name, given)
        if not isinstance(axis, Choice | None):
            raise ValueError(
                f"grid: {name} = {axis!r} has no end of values; give a list, or draw from it with sample(…)."
            )
        columns.append((given,) if axis is None else axis.options)
    rows = (dict(zip(axes, values, strict=True)) for values in itertools.product(*columns))
    return build("grid", factory, axes, rows)


def sample(
    factory: Factory,
    /,
    n: int,
    *,
    key: jax.Array,
    quasi: Literal["sobol", "halton"] | None = None,
    **distributions: Any,
) -> list[Optimizer]:
    """Settings drawn at random, or spread evenly by a quasi-random sequence.

    The same key and arguments give the same list everywhere, and a larger n only adds to its end. Without
    `quasi` each name has a stream of its own, so that a further axis changes no other's values, and two
    optimizers with the same key share their learning rates.

    Args:
        factory: a function that returns an optimizer, or an optimizer of which numbers are to be replaced.
        n: number of settings; at least 1.
        key: a `jax.random` key.
        quasi: "sobol" or "halton" for scrambled points that fill the space more evenly than independent ones
            (`scipy.stats.qmc`). Sobol's are most even if n is a power of 2.
        **distributions: by name, `uniform`, `loguniform`, `quniform`, `randint`, `normal`, `choice` or a list
            to choose from; anything else is the same in all settings.

    Returns:
        The n optimizers. Those of one structure can be stacked.

    Raises:
        ValueError: n is below 1, quasi is unknown, a list is empty, or a name that the factory does not have;
            or the factory refuses a value. Says which setting.
        TypeError: key is not a key, or the factory does not return an optimizer whose numbers can be seen.

    >>> import jax, jaxopt_edu as jo
    >>> from jaxopt_edu.core.distributions import loguniform
    >>> drawn = sample(jo.adam, 64, key=jax.random.key(0), learning_rate=loguniform(1e-4, 1), b1=[0, 0.9])
    >>> len(drawn), jo.hyperparameters(drawn[0])["b2"]
    (64, 0.999)
    """
    n = checked_whole("sample", "n", n)
    asked = {name: as_distribution("sample", name, given) for name, given in distributions.items()}
    drawn = {name: distribution for name, distribution in asked.items() if distribution is not None}
    words = _words(key)
    if quasi is None:
        points = {name: _random(words, name, n) for name in drawn}
    else:
        points = dict(zip(drawn, _quasi_random(quasi, words, n, len(drawn)), strict=True))
    rows = (
        distributions | {name: drawn[name].quantile(float(points[name][i])) for name in drawn}
        for i in range(n)
    )
    return build("sample", factory, distributions, rows)


def build(
    owner: str, factory: Factory, names: Iterable[str], rows: Iterable[dict[str, Any]]
) -> list[Optimizer]:
    """The optimizers of some settings.

    Args:
        owner: who asks, for the errors.
        factory: a function that returns an optimizer, or an optimizer of which numbers are to be replaced.
        names: the hyperparameters that are set.
        rows: from each name to its value, for each setting.

    Returns:
        One optimizer a row.

    Raises:
        ValueError: the factory has no hyperparameter of a name, or refuses a value. Says which setting.
        TypeError: the factory does not return an optimizer whose numbers can be seen.
    """
    _check_names(owner, factory, names)
    optimizers = []
    for i, row in enumerate(rows):
        try:
            made = (
                replace(factory, **row)
                if isinstance(factory, optax.GradientTransformation)
                else factory(**row)
            )
        except (TypeError, ValueError) as error:
            values = ", ".join(f"{name}={show(value)}" for name, value in row.items())
            kind_of_error = TypeError if isinstance(error, TypeError) else ValueError
            raise kind_of_error(f"{owner}: setting {i} ({values}) cannot be built: {error}") from error
        if isinstance(made, optax.MultiSteps):
            made = as_pytree(made)
        _check_optimizer(owner, made)
        optimizers.append(made)
    return optimizers


def _check_names(owner: str, factory: Factory, names: Iterable[str]) -> None:
    if isinstance(factory, optax.GradientTransformation):
        return
    if not callable(factory):
        raise TypeError(
            f"{owner}: factory = {short(factory)} is neither an optimizer nor a function that returns one."
        )
    parameters = inspect.signature(factory).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            raise ValueError(
                f"{owner}: {getattr(factory, '__name__', 'the factory')} has no argument {name!r}; "
                f"it has {', '.join(parameters) or 'none'}.{hint(name, parameters)}"
            )


def _check_optimizer(owner: str, made: Any) -> None:
    if not isinstance(made, optax.GradientTransformation):
        raise TypeError(f"{owner}: the factory returned {made!r}, not an optimizer.")
    if not is_pytree(made.update):
        raise TypeError(
            f"{owner}: the numbers of the optax transform that the factory returned cannot be seen, so each "
            f"setting would be compiled by itself; lift it, as in {owner}(lift(optax.lion), …)."
        )


def _words(key: jax.Array) -> list[int]:
    if is_key(key):
        key = jax.random.key_data(key)
    words = np.asarray(key)
    if words.dtype != np.uint32 or words.ndim != 1:
        raise TypeError(f"sample: key = {key!r} is not a single random key; give jax.random.key(0).")
    return words.tolist()


def _random(words: list[int], name: str, n: int) -> np.ndarray:
    # Not by jax.random, whose numbers change with JAX's configuration; these bits NumPy promises to keep.
    bits = np.random.PCG64(np.random.SeedSequence([*words, *name.encode()])).random_raw(n)
    return ((bits >> 12) + 0.5) * 2.0**-52


def _quasi_random(quasi: str, words: list[int], n: int, dimensions: int) -> np.ndarray:
    if quasi not in ("sobol", "halton"):
        raise ValueError(f"sample: quasi = {quasi!r} is unknown; it is 'sobol', 'halton' or None.")
    # SciPy is there, since JAX requires it; but its statistics take as long to import as this package.
    from scipy.stats import qmc

    if not dimensions:
        return np.empty((0, n))
    # Called rng from SciPy 1.15 on, which still takes the older name.
    seed: Any = {"seed": np.random.default_rng(words)}
    if quasi == "sobol":
        points = qmc.Sobol(dimensions, **seed).random_base2(math.ceil(math.log2(n)))[:n]
    else:
        points = qmc.Halton(dimensions, **seed).random(n)
    # A scrambled point may be 0, where a bell curve has no value.
    return np.clip(points.T, 2.0**-53, 1 - 2.0**-53)
