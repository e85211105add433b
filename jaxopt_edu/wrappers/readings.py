"""What monitors have measured, as numbers on the host."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jaxopt_edu.core.arguments import named
from jaxopt_edu.core.checks import short
from jaxopt_edu.core.composition import composition_of, member_names, members
from jaxopt_edu.core.foreign import checked_transform
from jaxopt_edu.core.group_table import aligned
from jaxopt_edu.core.partitioning import PartitionStep
from jaxopt_edu.wrappers.layers import layers_of
from jaxopt_edu.wrappers.measuring import covered, in_front
from jaxopt_edu.wrappers.monitor import MonitorStep

QUANTITIES = (
    "gradient",
    "update",
    "parameter",
    "update_ratio",
    "effective_rate",
    "cosine",
    "clipped",
    "below_eps",
)


class Readings(NamedTuple):
    """What was measured of layers, at one step or at several; printed, a table of the last one.

    Attributes:
        steps: after how many steps it was read; int array of shape (k,).
        layers: their names.
        values: by name arrays of shape (k, layers), each entry a mean since the last multiple of the
            monitor's window: the norms "gradient", "update" and "parameter"; "update_ratio", ‖u‖/‖w‖;
            "effective_rate", ‖u‖/‖g‖; "cosine", of −u and g; "clipped", the share of steps whose gradient
            came shorter to the optimizer; "below_eps", the share of coordinates with √v̂ < ε. NaN where there
            is none, as for the ratio of a layer of zeros.
    """

    steps: np.ndarray
    layers: tuple[str, ...]
    values: dict[str, np.ndarray]

    def __str__(self) -> str:
        """The numbers of the last step, without those that no layer has."""
        if not len(self.steps):
            return f"{len(self.layers)} layers, no readings yet"
        last = {name: each[-1] for name, each in self.values.items() if not np.isnan(each[-1]).all()}
        table = [["layer", *last]]
        for place, layer in enumerate(self.layers):
            numbers = (float(each[place]) for each in last.values())
            table.append([layer, *("-" if np.isnan(number) else f"{number:.3g}" for number in numbers)])
        return "\n".join([f"at step {self.steps[-1]}:", *aligned(table, 1)])


def readings(optimizer: optax.GradientTransformation, state: Any, params: Any) -> Readings:
    """Read what monitors have measured.

    Args:
        optimizer: any optimizer with `monitor` in it: chains, groups and wrappers are looked into; what is
            another optimizer's argument, such as `others`, is not.
        state: the optimizer's state.
        params: the parameters, for the layers' names; pytree of arrays.

    Returns:
        Readings of one step, or of none before the first.

    Raises:
        ValueError: optimizer has no monitor, or two of them have a layer of one name.
        TypeError: optimizer is none, or the state is another optimizer's.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt, w = jo.monitor(jo.sgd(learning_rate=0.5)), {"w": jnp.array([4.0])}
    >>> updates, state = opt.update(w, opt.init(w), w)
    >>> found = readings(opt, state, w)
    >>> found.steps.tolist(), found.layers, found.values["update"].tolist()
    ([1], ('w',), [[2.0]])
    """
    transform = checked_transform("readings", "optimizer", optimizer)
    with named("readings"):
        parts = [_read(*found) for found in _monitors(transform, state, params)]
    if not parts:
        raise ValueError("readings: optimizer has no monitor in it; train with monitor(optimizer).")
    layers = [layer for part in parts for layer in part.layers]
    if twice := sorted({layer for layer in layers if layers.count(layer) > 1}):
        raise ValueError(
            f"readings: two monitors have a layer {twice[0]!r}; leave one of them out, or name their layers "
            "apart with layers=."
        )
    values = {name: np.concatenate([part.values[name] for part in parts], axis=1) for name in QUANTITIES}
    return Readings(parts[0].steps, tuple(layers), values)


def as_readings(owner: str, record: Any) -> Readings:
    """The readings in what `fit` returned, or in its history.

    Args:
        owner: the function's name, for the error.
        record: either, or the readings themselves.

    Returns:
        One reading at least.

    Raises:
        TypeError: record is something else.
        ValueError: there are no readings.
    """
    record = getattr(record, "history", record)
    readings = getattr(record, "readings", record)
    if readings is None:
        raise ValueError(f"{owner}: record has no readings; train with monitor(optimizer), which makes them.")
    if not isinstance(readings, Readings):
        raise TypeError(
            f"{owner}: record = {short(readings)} is no readings; give what fit returned for a "
            "monitor(optimizer), its history, or readings(optimizer, state, params)."
        )
    if not readings.layers:
        raise ValueError(f"{owner}: record has readings of no layer; the monitor was given no parameters.")
    if not len(readings.steps):
        raise ValueError(f"{owner}: record has no readings yet; they begin with the first step.")
    return readings


def is_monitored(optimizer: optax.GradientTransformation) -> bool:
    """Whether `readings` finds a monitor in an optimizer."""
    composition = composition_of(optimizer)
    if composition is None:
        return False
    return isinstance(composition.step, MonitorStep) or any(map(is_monitored, members(optimizer) or []))


def _monitors(optimizer: Any, state: Any, params: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Each monitor with its state and its parameters."""
    if (composition := composition_of(optimizer)) is None:
        return
    step, inside = composition.step, members(optimizer) or []
    if isinstance(step, MonitorStep):
        yield optimizer, state, params
        return
    given: Sequence[Any] = [params] * len(inside)
    if isinstance(step, PartitionStep):
        parts = step.parts(params, params)
        given = [parts[name] for name in member_names(optimizer) or []]
    for each in zip(inside, step.inner_states(state, len(inside)), given, strict=True):
        yield from _monitors(*each)


def _read(optimizer: Any, state: Any, params: Any) -> Readings:
    step = optimizer.update.func.step
    (inner,), (inside,) = step.inner_states(state, 1), members(optimizer) or []
    layers = layers_of("monitor", step.rules, params)
    count, means = jax.device_get((state.count, state.means))
    if np.ndim(count):
        raise ValueError(
            f"the state is a stack of {len(count)}; read one of them, as in "
            "jax.tree.map(lambda x: x[0], state)."
        )
    rows = min(int(count), 1)
    held = {name: np.array(each)[None][:rows] for name, each in means._asdict().items()}
    if not in_front(inside.update, inner):
        held["clipped"][:] = np.nan
    seen = np.zeros(len(layers.names), bool)
    # A layer of several leaves is seen if one of them is.
    np.logical_or.at(
        seen, np.array(layers.places, int), np.array(covered(inside.update, inner, params), bool)
    )
    held["below_eps"][:, ~seen] = np.nan
    held["update_ratio"] = _quotient(held["update"], held["parameter"])
    held["effective_rate"] = _quotient(held["update"], held["gradient"])
    return Readings(np.full(rows, int(count)), layers.names, {name: held[name] for name in QUANTITIES})


def _quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
