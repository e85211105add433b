"""What `sweep` is given, checked and named before the first step."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.tree_util import Partial

from jaxopt_edu.core.arguments import checked_function, checked_path, named
from jaxopt_edu.core.checks import check_parameters, checked_whole
from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.engine.lanes import RUNS, evaluation_of
from jaxopt_edu.sweeps.engine.plan import Plan, batch_shapes, same_for_all
from jaxopt_edu.sweeps.engine.split import split_init
from jaxopt_edu.sweeps.pruning import Pruner
from jaxopt_edu.sweeps.results.runs import TRAINING_LOSS
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.objective import BEGINNINGS, as_pytree_function, objective
from jaxopt_edu.training.trainable import Frozen, Trainable, split_off

# A random key is made of the lower 32 bits of its seed.
SEEDS = 2**32


def transforms(optimizers: Any) -> list[Optimizer]:
    """The optimizers as pytrees.

    Args:
        optimizers: what `sweep` was given.

    Returns:
        One for each.

    Raises:
        TypeError: it is no list, or of something else than optimizers.
        ValueError: it is empty.
    """
    if isinstance(optimizers, optax.GradientTransformation | optax.MultiSteps):
        raise TypeError(
            "sweep: optimizers is a single one; give a list, as grid(adam, learning_rate=[...]) or [adam()]."
        )
    if not isinstance(optimizers, Iterable) or isinstance(optimizers, str | bytes):
        raise TypeError(f"sweep: optimizers = {optimizers!r} is no list of optimizers, as of grid(…).")
    listed = list(optimizers)
    if not listed:
        raise ValueError("sweep: the list of optimizers is empty; give it at least one.")
    for place, optimizer in enumerate(listed):
        if not isinstance(optimizer, optax.GradientTransformation | optax.MultiSteps):
            raise TypeError(
                f"sweep: optimizers[{place}] is {optimizer!r}, not an optax transform; call its factory "
                "first, as in adam(learning_rate=0.001)."
            )
    return [as_pytree(optimizer) for optimizer in listed]


def seed_list(seeds: Any) -> tuple[int, ...]:
    """The seeds.

    Args:
        seeds: a number of seeds, or the seeds themselves.

    Returns:
        Different numbers, each of which begins a stream of random numbers of its own.

    Raises:
        TypeError: a seed is not a number.
        ValueError: there is none, or two are the same, or one is below 0 or at least 2³².
    """
    if np.ndim(seeds) == 0:
        return tuple(range(checked_whole("sweep", "seeds", seeds)))
    listed = [checked_whole("sweep", "seeds", seed, 0) for seed in seeds]
    for seed in listed:
        if seed >= SEEDS:
            raise ValueError(
                f"sweep: seeds has {seed}, which begins the same stream as {seed % SEEDS}: a seed is below "
                f"2**32 = {SEEDS}."
            )
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"sweep: seeds = {seeds!r} must be a number of seeds, or different seeds.")
    return tuple(listed)


def one_of_each(**numbers: Any) -> None:
    """Refuse a list where a sweep has one number for all its runs; says how to try several.

    Raises:
        TypeError: one of them is a list.
    """
    for name, given in numbers.items():
        if np.ndim(given) == 1 and not isinstance(given, str):
            raise TypeError(
                f"sweep: {name} = {given!r}: all runs of a sweep have the same; for several, "
                f"[sweep(…, {name}=n) for n in {given!r}], each with a path of its own."
            )


def first_parameters(
    params_or_init: Any, trainable: Trainable | None = None, seeds: Sequence[int] = (0,)
) -> tuple[Callable[[jax.Array], Any], Frozen]:
    """The parameters of each seed before the first step.

    A model that can be called, as Equinox's are, is a tree with arrays in it: parameters. So is every other
    callable tree but a `jax.tree_util.Partial`, which is a function whatever it holds.

    Args:
        params_or_init: parameters, or a function of a key.
        trainable: which leaves are trained; None for all.
        seeds: of all runs.

    Returns:
        A pytree function, `init(key) -> params`, of those that are trained; and those that are not.

    Raises:
        TypeError: a leaf is nothing that can be trained.
        ValueError: trainable means no leaf, or a leaf that is not trained differs between seeds.
    """
    name = "params_or_init"
    if params_or_init is None:
        raise TypeError(f"sweep: {name} = None is no pytree of arrays; there is nothing to train.")
    leaves = jax.tree.leaves(params_or_init)
    arrays = any(isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves)
    if callable(params_or_init) and (isinstance(params_or_init, Partial) or not arrays):
        checked_function("sweep", name, params_or_init, "key")
        init = as_pytree_function(params_or_init)
        init, frozen = split_init(init, trainable, seeds)
        with named(f"sweep: {name}(key)"):
            check_parameters(jax.eval_shape(init, jax.random.key(0)))
        return init, frozen
    params, frozen = split_off("sweep", trainable, params_or_init)
    with named(f"sweep: {name}"):
        check_parameters(params)
    return same_for_all(params), frozen


def state_of_model(model_state: Any) -> Any:
    """The model's state as arrays; None for a model without.

    Raises:
        TypeError: a leaf is not an array.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(model_state)[0]:
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | complex):
            raise TypeError(
                f"sweep: model_state{jax.tree_util.keystr(path)} is {type(leaf).__name__}, not an array."
            )
    return jax.tree.map(jnp.asarray, model_state)


def mesh_of(devices: Any) -> Mesh:
    """The devices in a row.

    Args:
        devices: a list of them; None for all.

    Returns:
        A mesh of one axis.

    Raises:
        TypeError: it is no list of devices.
        ValueError: it is empty, or one is there twice.
    """
    if devices is None:
        return Mesh(np.array(jax.devices()), (RUNS,))
    listed = list(devices) if isinstance(devices, Iterable) and not isinstance(devices, str) else [devices]
    if isinstance(devices, str) or not all(isinstance(device, jax.Device) for device in listed):
        raise TypeError(
            f"sweep: devices = {devices!r} is no list of devices, such as jax.devices(); None takes all."
        )
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"sweep: devices = {devices!r} must be one or more different devices.")
    return Mesh(np.array(listed), (RUNS,))


def rungs(prune: Any, kinds: Sequence[Sequence[int]], steps: int) -> list[int]:
    """The steps after which settings are judged.

    Args:
        prune: a pruner; None for none.
        kinds: the settings of each structure.
        steps: of a whole run.

    Returns:
        The rungs of all cohorts.

    Raises:
        TypeError: it is no pruner.
        ValueError: it would judge nobody before the end.
    """
    if prune is None:
        return []
    if isinstance(prune, type) or not isinstance(prune, Pruner):
        raise TypeError(
            f"sweep: prune = {prune!r} is no pruner; it is one of sweeps.Halving(), Hyperband(), "
            "MedianStopping(), PopulationBased(interval=…), or None."
        )
    found = [rung for places in kinds for each in prune.cohorts(len(places), steps) for rung in each.rungs]
    if not found:
        raise ValueError(
            f"sweep: prune = {prune!r} judges nobody within steps = {steps}: make more steps, or begin "
            "earlier."
        )
    return found


def folder(path: Any, resume: bool) -> Path | None:
    """The folder, wherever the process goes from here; None for none.

    Raises:
        TypeError: it is no path.
        ValueError: resume without a path.
    """
    if path is None:
        if resume:
            raise ValueError("sweep: resume=True needs path=folder, to know what to go on with.")
        return None
    return checked_path("sweep", "path", path, "a folder").absolute()


def check_loss(plan: Plan, params: Any) -> None:
    """Refuse a loss function that gives no loss.

    Args:
        plan: the sweep.
        params: the parameters' shapes.

    Raises:
        TypeError: it gives anything but a real number and a dict of them.
        ValueError: a metric has a name that is taken.
    """
    with named("sweep"):
        batch = batch_shapes(plan)
    traced = objective(plan.loss_fn, stateful=plan.stateful)
    with named("sweep", *BEGINNINGS):
        _, outcome = jax.eval_shape(traced, params, plan.model_state, batch, plan.loss_key)
    evaluated = _evaluated(plan.evaluate, params, plan.model_state)
    for name, value in outcome.metrics.items():
        if name in evaluated:
            raise ValueError(
                f"sweep: loss_fn and evaluate both give {name!r}, and there is one curve of a name; rename "
                f"one of them, such as the latter to 'test_{name}'."
            )
        if name == TRAINING_LOSS:
            raise ValueError(
                f"sweep: loss_fn gave a metric named {TRAINING_LOSS!r}, which is the loss itself; rename it."
            )
        if value.shape != () or jnp.issubdtype(value.dtype, jnp.complexfloating):
            raise TypeError(
                f"sweep: loss_fn gave the metric {name!r} with shape {value.shape} and dtype {value.dtype}; "
                "in a sweep it has to be one real number."
            )


def metric_of(asked: Any, evaluate: Any, params: Any, model_state: Any) -> str:
    """By what runs are ranked.

    Args:
        asked: what `sweep` was given; None for what there is.
        evaluate: a pytree function; None for none.
        params: the parameters' shapes.
        model_state: the model's; None for a model without.

    Returns:
        A name that evaluate gives, or that of the loss.

    Raises:
        TypeError: evaluate gives anything but real numbers.
        ValueError: there is no such metric, or it is not clear which of several.
    """
    given = _evaluated(evaluate, params, model_state)
    if TRAINING_LOSS in given:
        raise ValueError(f"sweep: evaluate gives {TRAINING_LOSS!r}, a name that is taken; call it otherwise.")
    known = [*given, TRAINING_LOSS]
    if asked is not None:
        if asked not in known:
            raise ValueError(f"sweep: metric = {asked!r}; runs can be ranked by {', '.join(known)}.")
        return asked
    if len(given) <= 1:
        return known[0]
    if "loss" not in given:
        raise ValueError(
            f'sweep: evaluate gives {given}, none of them "loss"; say metric= which ranks the runs.'
        )
    return "loss"


def _evaluated(evaluate: Any, params: Any, model_state: Any) -> list[str]:
    """The names of what an evaluation gives."""
    stateful = model_state is not None
    carry = Carry(params, None, model_state)
    return list(jax.eval_shape(lambda carry: evaluation_of(evaluate, carry, stateful=stateful), carry))
