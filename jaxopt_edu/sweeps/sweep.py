"""`sweep`: many training runs in one compiled program for each kind of optimizer, that survive anything."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxopt_edu.core.checks import check_parameters
from jaxopt_edu.core.composition import as_pytree
from jaxopt_edu.core.reading import kind
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.engine.assembly import assemble
from jaxopt_edu.sweeps.engine.cohorts import run_group
from jaxopt_edu.sweeps.engine.groups import kinds_of, plan_groups
from jaxopt_edu.sweeps.engine.lanes import RUNS, evaluation_of
from jaxopt_edu.sweeps.engine.plan import Plan, evaluation_steps, same_for_all, specification
from jaxopt_edu.sweeps.folder.archive import write_result
from jaxopt_edu.sweeps.folder.identity import optimizer_keys
from jaxopt_edu.sweeps.folder.store import Store
from jaxopt_edu.sweeps.pruning import Pruner
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.runs import TRAINING_LOSS, Mode
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.objective import as_pytree_function
from jaxopt_edu.training.progress import progress_bar

EVALUATIONS = 20


def sweep(
    loss_fn: Callable[..., Any],
    params_or_init: Any,
    optimizers: Sequence[optax.GradientTransformation],
    data: Any = None,
    *,
    steps: int,
    seeds: int | Sequence[int] = 1,
    batch_size: int | None = None,
    replacement: bool = False,
    model_state: Any = None,
    evaluate: Callable[..., Any] | None = None,
    every: int | None = None,
    metric: str | None = None,
    mode: Mode = "min",
    prune: Pruner | None = None,
    keep: int = 1,
    path: str | os.PathLike[str] | None = None,
    resume: bool = False,
    devices: Sequence[Any] | None = None,
    chunk_size: int | Literal["auto"] = "auto",
    progress: bool | Callable[[int, float], None] | None = None,
) -> SweepResult:
    """Train with many optimizers and seeds, thousands of runs in one compiled program.

    Optimizers of one structure are stacked and trained side by side, split over all devices; each structure
    is one program. The comparison is paired: within a seed every optimizer starts from the same parameters
    and sees the same batches. A run whose loss is not finite is frozen there and cannot touch the others.

    The same call on the same machine gives the same bits, killed and resumed or not. Another chunk_size or
    number of devices adds up the same numbers in another order: float32 rounding at each step, which training
    can amplify (the tests allow 2e-5 of a value after a dozen steps).

    Args:
        loss_fn: as for `fit`: `loss_fn(params, batch)`, which returns a loss or (loss, dict of metrics); with
            a model_state `loss_fn(params, model_state, batch)`, which returns (loss, model_state[, metrics]).
        params_or_init: pytree of arrays, the same for all seeds; or a function `init(key) -> params`.
        optimizers: any list of optax transforms; `grid` and `sample` make such lists, which add up.
        data: pytree of arrays with a leading example axis; or a pure function `sample(key) -> batch`; or
            None.
        steps: number of steps of a whole run.
        seeds: a number of seeds (0, 1, …), or the seeds themselves. Seed s draws its parameters with
            `fold_in(key(s), 0)` and its batches with `fold_in(key(s), 1)`.
        batch_size: examples in a batch of arrays; None takes all of them at every step.
        replacement: draw each example independently, instead of each once an epoch.
        model_state: pytree that the loss function updates, the same for all runs at the start.
        evaluate: `evaluate(params)`, or `evaluate(params, model_state)`; returns a real number or a dict of
            them. It is compiled into the program, with the arrays that it closes over as constants (those of
            a `jax.tree_util.Partial` are arguments).
        every: steps between two evaluations; None for a twentieth of the steps.
        metric: by what runs are ranked: a name that evaluate gives ("value" for a single number), or
            "training_loss", the mean since the evaluation before. None for the only one, or "loss" among
            several.
        mode: whether the lowest ("min") or the highest ("max") value is the best.
        prune: `Halving`, `Hyperband`, `MedianStopping` or `PopulationBased`; settings are judged by their
            mean over the seeds, each kind of optimizer among its own.
        keep: of how many runs parameters and state are kept.
        path: a folder that keeps everything: curves, table, and what is needed to go on after a kill.
        resume: go on with what the folder holds, if anything. Further optimizers and seeds run only what is
            new.
        devices: what to run on; None for all, those of other processes of `jax.distributed` included.
        chunk_size: how many runs at once; "auto" takes what fits into memory.
        progress: show how many runs there will be and a progress bar; None for where standard error is a
            terminal. A function instead is called with the steps that all runs have made together, and the
            best value so far.

    Returns:
        The curves, states and values of all runs, and the best ones' parameters.

    Raises:
        TypeError: an argument is of a kind that cannot be swept.
        ValueError: a number is out of range, there is nothing to sweep, or the folder holds another sweep.
        FileExistsError: the folder is not empty, and resume is False.
        BlockingIOError: another sweep is writing into the folder; says which, and what can be done.
        OSError: the folder cannot be written to; says why, before the first step if it can.

    Example:
        >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
        >>> x = jnp.linspace(-1.0, 1.0, 64)
        >>> data = {"x": x, "y": 3 * x + 1}
        >>> def loss_fn(line, batch):
        ...     return jnp.mean((line["a"] * batch["x"] + line["b"] - batch["y"]) ** 2)
        >>> def init(key):
        ...     return {"a": jax.random.normal(key), "b": jnp.zeros(())}
        >>> result = sweep(
        ...     loss_fn, init, jo.grid(jo.sgd, learning_rate=[0.01, 0.1, 10.0]), data,
        ...     steps=100, seeds=4, batch_size=16,
        ... )
        >>> jo.describe(result.best().optimizer), result.states[:, 0].tolist()
        ('sgd(learning_rate=0.1)', ['COMPLETE', 'COMPLETE', 'DIVERGED'])
    """
    transforms, seeds = _transforms(optimizers), _seeds(seeds)
    for name, value, lowest in (("steps", steps, 1), ("every", every, 1), ("keep", keep, 0)):
        if value is not None:
            _check_whole(name, value, lowest)
    if chunk_size != "auto":
        _check_whole("chunk_size", chunk_size, 1)
    if mode not in ("min", "max"):
        raise ValueError(f"sweep: mode = {mode!r}; it is 'min' or 'max'.")
    if resume and path is None:
        raise ValueError("sweep: resume=True needs path=folder, to know what to go on with.")
    init = as_pytree_function(params_or_init) if callable(params_or_init) else same_for_all(params_or_init)
    params = jax.eval_shape(init, jax.random.key(0))
    check_parameters(params)
    model_state = jax.tree.map(jnp.asarray, model_state)
    evaluation = None if evaluate is None else as_pytree_function(evaluate)
    kinds = kinds_of(transforms)
    plan = Plan(
        loss_fn=as_pytree_function(loss_fn),
        evaluate=evaluation,
        data=data,
        batch_size=batch_size,
        replacement=replacement,
        init=init,
        model_state=model_state,
        evaluated_at=evaluation_steps(steps, every or -(-steps // EVALUATIONS), _rungs(prune, kinds, steps)),
        metric=_metric(metric, evaluation, params, model_state),
        mode=mode,
        pruner=prune,
        keep=keep,
        mesh=Mesh(np.array(jax.devices() if devices is None else list(devices)), (RUNS,)),
        chunk_size=None if chunk_size == "auto" else int(chunk_size),
    )
    store = None if path is None else Store(path)
    keys = [str(place) for place in range(len(transforms))]
    if store is not None:
        keys = optimizer_keys(transforms, params)
    try:
        if store is not None:
            store.begin(specification(plan, params), resume)
        groups = plan_groups(transforms, keys, seeds, store)
        by_key = dict(zip(keys, transforms, strict=True))
        total = len(transforms) * len(seeds) * steps
        announcement = _announcement(transforms, kinds, seeds)
        bars = (
            nullcontext(progress)
            if callable(progress)
            else progress_bar(progress, total, 0, label=plan.metric, announcement=announcement)
        )
        with bars as bar:
            report = _Reporter(bar, mode)
            results = [
                run_group(plan, group.number, [by_key[key] for key in group.keys], group.seeds, store, report)
                for group in groups
            ]
        result = assemble(plan, by_key, seeds, groups, results)
        if store is not None and store.writes():
            write_result(result, store.path)
        return result
    finally:
        if store is not None:
            store.end()


class _Reporter:
    """Adds up what groups report, for the progress bar."""

    def __init__(self, bar: Callable[[int, float], None], mode: str) -> None:
        self.bar, self.sign = bar, 1 if mode == "min" else -1
        self.steps, self.best = 0, np.inf

    def __call__(self, steps: int, value: float) -> None:
        self.steps += steps
        self.best = np.fmin(self.best, self.sign * value)
        self.bar(self.steps, self.sign * self.best)


def _transforms(optimizers: Any) -> list[Optimizer]:
    if isinstance(optimizers, optax.GradientTransformation | optax.MultiSteps):
        raise TypeError(
            "sweep: optimizers is a single one; give a list, as grid(adam, learning_rate=[...]) or [adam()]."
        )
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


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        _check_whole("seeds", seeds, 1)
        return tuple(range(int(seeds)))
    listed = list(seeds)  # type: ignore[arg-type]
    for seed in listed:
        _check_whole("seeds", seed, 0)
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"sweep: seeds = {seeds!r} must be a number of seeds, or different seeds.")
    return tuple(map(int, listed))


def _check_whole(name: str, value: Any, lowest: int) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < lowest:
        raise ValueError(f"sweep: {name} = {value!r} must be a whole number of at least {lowest}.")


def _rungs(prune: Pruner | None, kinds: list[list[int]], steps: int) -> list[int]:
    if prune is None:
        return []
    return [rung for places in kinds for cohort in prune.cohorts(len(places), steps) for rung in cohort.rungs]


def _metric(asked: str | None, evaluate: Any, params: Any, model_state: Any) -> str:
    stateful = model_state is not None
    carry = Carry(params, None, model_state)
    given = list(jax.eval_shape(lambda carry: evaluation_of(evaluate, carry, stateful=stateful), carry))
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


def _announcement(optimizers: list[Optimizer], kinds: list[list[int]], seeds: Sequence[int]) -> str:
    sizes = {len(places) for places in kinds}
    names = ", ".join(dict.fromkeys(kind(optimizers[places[0]]) for places in kinds))
    if len(sizes) == 1:
        settings = (
            f"{len(kinds)} optimizers × {sizes.pop()} settings"
            if len(kinds) > 1
            else f"{sizes.pop()} settings"
        )
    else:
        settings = f"{len(optimizers)} settings of {len(kinds)} optimizers"
    programs = "1 program" if len(kinds) == 1 else f"{len(kinds)} programs"
    runs = len(optimizers) * len(seeds)
    return f"{names}: {settings} × {len(seeds)} seeds = {runs:,} runs in {programs}"
