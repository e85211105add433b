"""`rate_test` and `rate_ramp`: which learning rate, from a few short runs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import optax

from jaxopt_edu.core.arguments import checked_flag, optional
from jaxopt_edu.core.checks import POSITIVE, checked_number, checked_whole
from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.rates.arguments import (
    called_as,
    check_ramped,
    checked_name,
    checked_ramp,
    checked_range,
    with_value,
)
from jaxopt_edu.rates.result import RateTest
from jaxopt_edu.schedules import exponential
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.runs import TRAINING_LOSS
from jaxopt_edu.sweeps.sweep import sweep

# Evaluations 0 and 1 have the loss before any update, and evaluation 2 that after the first one.
FROM = 2


def rate_test(
    loss_fn: Callable[..., Any],
    params_or_init: Any,
    optimizer: optax.GradientTransformation,
    data: Any = None,
    *,
    low: float = 1e-5,
    high: float = 10.0,
    num: int = 25,
    steps: int = 100,
    seeds: int | Sequence[int] = 5,
    batch_size: int | None = None,
    replacement: bool = False,
    loss_key: jax.Array | None = None,
    model_state: Any = None,
    name: str | None = None,
    smooth: float = 0.1,
    progress: bool | None = None,
) -> RateTest:
    """Find a learning rate by short runs side by side, one for each rate of a grid.

    Within a seed all runs begin at the same parameters and see the same batches; they are one compiled
    program, a `sweep`. What counts is the mean training loss over the last fifth of the steps, smoothed over
    neighbouring rates, and the suggestion is where it is lowest. Unlike in a `rate_ramp`, each loss is that
    of one rate alone. Rates that suit a short run may be too large for a long one, above all of methods such
    as `lion` and `muon`, whose steps are as long as the rate says: give as many steps as you can spare.

    Args:
        loss_fn: as for `fit`: `loss_fn(params, batch)`, which returns a loss or (loss, dict of metrics); with
            a model_state `loss_fn(params, model_state, batch)`, which returns (loss, model_state[, metrics]).
        params_or_init: pytree of arrays, the same for all seeds; or a function `init(key) -> params`.
        optimizer: an optimizer of this library, a lifted one, or one made of others.
        data: pytree of arrays with a leading example axis; or a pure function `sample(key) -> batch`; or
            None.
        low: the smallest rate; above 0.
        high: the largest rate; above low.
        num: how many rates, each larger than the one before by the same factor; at least 3.
        steps: how many steps each run makes; at least 3.
        seeds: a number of seeds (0, 1, …), or the seeds themselves, which draw parameters and batches as in
            `sweep`.
        batch_size: examples in a batch of arrays; None takes all of them at every step.
        replacement: draw each example independently, instead of each once an epoch.
        loss_key: a `jax.random` key for a loss with noise of its own, as for `sweep`.
        model_state: pytree that the loss function updates, the same for all runs at the start.
        name: which number of the optimizer is varied, as `jo.core.settings` names them ("peak" inside a
            schedule: "learning_rate.peak"); None for its learning rate.
        smooth: over how many powers of ten of the rate losses are averaged, the standard deviation of a
            Gaussian; above 0.
        progress: show a progress bar; None for where standard error is a terminal.

    Returns:
        Rates, losses, the suggestion and its interval; `print` tells them in words, `plot()` draws them.

    Raises:
        TypeError: an argument is of a kind that cannot be used.
        ValueError: a number is out of range, or the optimizer has no such number.

    References:
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017, arXiv:1506.01186, whose test is
        `rate_ramp`.

    Example:
        >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
        >>> x = jnp.linspace(-1.0, 1.0, 64)
        >>> data = {"x": x, "y": 3 * x + 1}
        >>> def loss_fn(line, batch):
        ...     return jnp.mean((line["a"] * batch["x"] + line["b"] - batch["y"]) ** 2)
        >>> line = {"a": jnp.zeros(()), "b": jnp.zeros(())}
        >>> result = jo.rate_test(loss_fn, line, jo.sgd(), data, num=13, steps=20, seeds=3, batch_size=16)
        >>> 0.1 < result.suggestion < 1, jo.describe(result.suggested).startswith("sgd(learning_rate=0.")
        (True, True)
    """
    owner = "rate_test"
    first, last = checked_range(owner, low, high)
    num, steps = checked_whole(owner, "num", num, 3), checked_whole(owner, "steps", steps, 3)
    width = _width(owner, smooth)
    name, opt = checked_name(owner, optimizer, name), as_pytree(optimizer)
    rates = np.geomspace(first, last, num)
    with called_as(owner):
        run = partial(
            sweep,
            loss_fn,
            params_or_init,
            data=data,
            steps=steps,
            every=-(-steps // 5),
            seeds=seeds,
            batch_size=batch_size,
            replacement=replacement,
            loss_key=loss_key,
            model_state=model_state,
            metric=TRAINING_LOSS,
            keep=0,
            progress=optional(checked_flag)(owner, "progress", progress),
        )
        found = run([with_value(owner, opt, name, rate) for rate in rates.tolist()])
        still = run([optax.set_to_zero()])
    return RateTest(
        way="side by side",
        optimizer=opt,
        name=name,
        rates=rates,
        losses=_curves(found)[:, :, -1].T,
        untrained=np.repeat(_curves(still)[0, :, -1:], num, axis=1),
        steps=steps,
        seeds=found.seeds,
        width=width,
    )


def rate_ramp(
    loss_fn: Callable[..., Any],
    params_or_init: Any,
    optimizer: optax.GradientTransformation,
    data: Any = None,
    *,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 200,
    seeds: int | Sequence[int] = 5,
    batch_size: int | None = None,
    replacement: bool = False,
    loss_key: jax.Array | None = None,
    model_state: Any = None,
    name: str | None = None,
    smooth: float = 0.1,
    progress: bool | None = None,
) -> RateTest:
    """The classic learning-rate range test: one run, whose rate grows by a constant factor at every step.

        rate = low · (high / low)^(step / (steps − 1))

    To each rate belongs the loss after its update, on the next batch. The suggestion is where the smoothed
    loss falls fastest over the logarithm of the rate. That costs one run where `rate_test` makes one for
    each rate, and says less: every loss stands on all rates before it.

    Args:
        loss_fn: as for `fit`: `loss_fn(params, batch)`, which returns a loss or (loss, dict of metrics); with
            a model_state `loss_fn(params, model_state, batch)`, which returns (loss, model_state[, metrics]).
        params_or_init: pytree of arrays, the same for all seeds; or a function `init(key) -> params`.
        optimizer: an optimizer of this library, a lifted one, or one made of others.
        data: pytree of arrays with a leading example axis; or a pure function `sample(key) -> batch`; or
            None.
        low: the first rate; above 0.
        high: the last rate; above low.
        steps: how many rates, an update each; at least 3.
        seeds: a number of seeds (0, 1, …), or the seeds themselves, each a run of its own.
        batch_size: examples in a batch of arrays; None takes all of them at every step.
        replacement: draw each example independently, instead of each once an epoch.
        loss_key: a `jax.random` key for a loss with noise of its own, as for `sweep`.
        model_state: pytree that the loss function updates, the same for all runs at the start.
        name: which number of the optimizer grows, as `jo.hyperparameters` names them; None for its learning
            rate.
        smooth: over how many powers of ten of the rate losses are averaged, the standard deviation of a
            Gaussian; above 0.
        progress: show a progress bar; None for where standard error is a terminal.

    Returns:
        Rates, losses, the suggestion and its interval; `print` tells them in words, `plot()` draws them.

    Raises:
        TypeError: an argument is of a kind that cannot be used.
        ValueError: a number is out of range, or the optimizer has no such number.

    References:
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017, arXiv:1506.01186.

    Example:
        >>> import jax.numpy as jnp, jaxopt_edu as jo
        >>> result = jo.rate_ramp(lambda w, _: jnp.sum(w**2), jnp.ones(3), jo.sgd(), steps=50, seeds=1)
        >>> 0.01 < result.suggestion < 1
        True
    """
    owner = "rate_ramp"
    first, last = checked_range(owner, low, high)
    steps, width = checked_whole(owner, "steps", steps, 3), _width(owner, smooth)
    name, opt = checked_name(owner, optimizer, name), as_pytree(optimizer)
    checked_ramp(owner, opt, name)
    for end in (first, last):
        with_value(owner, opt, name, end)  # of a schedule no page can see what it will come to
    ramp = exponential(first, rate=last / first, steps=steps - 1)
    growing = with_value(owner, opt, name, ramp)
    with called_as(owner):
        run = partial(
            sweep,
            loss_fn,
            params_or_init,
            data=data,
            steps=steps + 1,  # the last loss is seen by the step after it
            every=1,
            seeds=seeds,
            batch_size=batch_size,
            replacement=replacement,
            loss_key=loss_key,
            model_state=model_state,
            metric=TRAINING_LOSS,
            keep=1,
            progress=optional(checked_flag)(owner, "progress", progress),
        )
        found = run([growing])
        still = run([optax.set_to_zero()])
    for best in found.top:
        check_ramped(owner, growing, best.state, name, float(ramp(best.step)))
    return RateTest(
        way="ramp",
        optimizer=opt,
        name=name,
        rates=np.geomspace(first, last, steps),
        losses=_curves(found)[0, :, FROM:],
        untrained=_curves(still)[0, :, FROM:],
        steps=steps,
        seeds=found.seeds,
        width=width,
    )


def _curves(found: SweepResult) -> np.ndarray:
    return found.curves[TRAINING_LOSS].astype(np.float64)


def _width(owner: str, smooth: Any) -> float:
    return float(checked_number(owner, "smooth", smooth, POSITIVE))
