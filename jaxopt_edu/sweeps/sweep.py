"""`sweep`: many training runs in one compiled program for each kind of optimizer, that survive anything."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import jax
import numpy as np
import optax

from jaxopt_edu.core.arguments import checked_flag, checked_function, optional
from jaxopt_edu.core.checks import checked_whole
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.fingerprints import fingerprint
from jaxopt_edu.problems.problem import Problem
from jaxopt_edu.sweeps import arguments
from jaxopt_edu.sweeps.announcing import Reporter, announcement
from jaxopt_edu.sweeps.engine.assembly import assemble
from jaxopt_edu.sweeps.engine.cohorts import run_group
from jaxopt_edu.sweeps.engine.groups import kinds_of, plan_groups
from jaxopt_edu.sweeps.engine.plan import Plan, evaluation_steps, specification
from jaxopt_edu.sweeps.engine.program import release_programs
from jaxopt_edu.sweeps.engine.worker import StoppedError
from jaxopt_edu.sweeps.folder.archive import is_whole, write_result
from jaxopt_edu.sweeps.folder.identity import optimizer_keys
from jaxopt_edu.sweeps.folder.spec import stored_every
from jaxopt_edu.sweeps.folder.store import Store
from jaxopt_edu.sweeps.pruning import Pruner
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.runs import Mode
from jaxopt_edu.sweeps.tasks import Task, of_problem
from jaxopt_edu.training.arguments import check_loss_call, checked_key
from jaxopt_edu.training.horizons import has_schedules, warn_of_mismatches
from jaxopt_edu.training.objective import as_pytree_function
from jaxopt_edu.training.progress import progress_bar
from jaxopt_edu.training.signals import signals_wait, stop
from jaxopt_edu.training.trainable import Trainable

EVALUATIONS = 20


def sweep(
    loss_fn: Callable[..., Any] | Problem,
    params_or_init: Any = None,
    optimizers: Sequence[optax.GradientTransformation] | None = None,
    data: Any = None,
    *,
    steps: int | None = None,
    trainable: Trainable | None = None,
    seeds: int | Sequence[int] = 1,
    batch_size: int | None = None,
    replacement: bool = False,
    loss_key: jax.Array | None = None,
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

    All runs have the same steps, batch size and shapes of parameters. Several widths or batch sizes are a
    sweep each: `{width: sweep(loss_fn, network(width), …) for width in (16, 64)}`.

    Args:
        loss_fn: as for `fit`: `loss_fn(params, batch)`, which returns a loss or (loss, dict of metrics); with
            a model_state `loss_fn(params, model_state, batch)`, which returns (loss, model_state[, metrics]).
            Or a `problems.Problem`, which has everything but the optimizers: `sweep(problem, optimizers)`.
        params_or_init: pytree of arrays, the same for all seeds; or a function `init(key) -> params`.
        optimizers: any list of optax transforms; `grid` and `sample` make such lists, which add up.
        data: pytree of arrays with a leading example axis; or a pure function `sample(key) -> batch`; or
            None.
        steps: number of steps of a whole run; a problem has its own.
        trainable: which leaves are trained, as for `fit`; None for all. The rest is there once for all runs,
            so an init(key) has to give the same for every seed.
        seeds: a number of seeds (0, 1, …), or the seeds themselves. Seed s draws its parameters with
            `fold_in(key(s), 0)` and its batches with `fold_in(key(s), 1)`.
        batch_size: examples in a batch of arrays; None takes all of them at every step.
        replacement: draw each example independently, instead of each once an epoch.
        loss_key: a `jax.random` key for a loss with noise of its own, such as dropout, as for `fit`. Seed s
            has `fold_in(loss_key, s)`; within a seed every optimizer meets the same noise.
        model_state: pytree that the loss function updates, the same for all runs at the start.
        evaluate: `evaluate(params)`, or `evaluate(params, model_state)`; returns a real number or a dict of
            them. It is compiled into the program, with the arrays that it closes over as constants (those of
            a `jax.tree_util.Partial` are arguments).
        every: steps between two evaluations; None for a twentieth of the steps, or what the folder has that
            is resumed.
        metric: by what runs are ranked: a name that evaluate gives ("value" for a single number), or
            "training_loss", the mean since the evaluation before. None for the only one, or "loss" among
            several.
        mode: whether the lowest ("min") or the highest ("max") value is the best.
        prune: `Halving`, `Hyperband`, `MedianStopping` or `PopulationBased`; settings are judged by their
            mean over the seeds, each kind of optimizer among its own.
        keep: of how many runs parameters and state are kept.
        path: a folder that keeps everything: curves, table, and what is needed to go on after a kill.
        resume: go on with what the folder holds, if anything. Further optimizers and seeds run only what is
            new. More steps, without a pruner, make the runs longer: they are computed again from their
            beginning, since only the best ones' states are kept; until all are, the folder has the shorter
            result. The same bits as if it had been begun with so many steps, and the same every.
        devices: what to run on; None for all, those of other processes of `jax.distributed` included.
        chunk_size: how many runs at once; "auto" takes what fits into memory. 1 suits optimizers that do
            something costly now and then, such as `soap`: side by side all runs pay for it at every step.
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
        KeyboardInterrupt: Ctrl-C, at the next evaluation; says what is in the folder. SIGTERM ends there too,
            with exit status 143.

    Warns:
        UserWarning: schedules end before the runs or after them; once, with their number.

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
    task = Task(loss_fn, params_or_init, optimizers, data, steps, batch_size, evaluate, metric, mode)
    if isinstance(loss_fn, Problem):
        task = of_problem(loss_fn, task)
    loss, params_or_init, optimizers, data, steps, batch_size, evaluate, metric, mode = task
    # What is moved between host and devices here is meant to be: a guard looks for what is not.
    with jax.transfer_guard("allow"):
        transforms, seeds = arguments.transforms(optimizers), arguments.seed_list(seeds)
        arguments.one_of_each(steps=steps, batch_size=batch_size)
        steps, keep = checked_whole("sweep", "steps", steps), checked_whole("sweep", "keep", keep, 0)
        folder = arguments.folder(path, checked_flag("sweep", "resume", resume))
        if every is None and resume and folder is not None:
            every = stored_every(folder)
        every = -(-steps // EVALUATIONS) if every is None else checked_whole("sweep", "every", every)
        size = None if chunk_size == "auto" else checked_whole("sweep", "chunk_size", chunk_size)
        if mode not in ("min", "max"):
            raise ValueError(f"sweep: mode = {mode!r}; it is 'min' or 'max'.")
        if callable(data):
            checked_function("sweep", "data", data, "key")
        if callable(progress):
            checked_function("sweep", "progress", progress, "steps", "best")
        else:
            progress = optional(checked_flag)("sweep", "progress", progress)
        init, frozen = arguments.first_parameters(params_or_init, trainable, seeds)
        params = jax.eval_shape(init, jax.random.key(0))
        model_state = arguments.state_of_model(model_state)
        stateful = () if model_state is None else ("model_state",)
        loss_key = checked_key(loss_key, "sweep", "loss_key")
        check_loss_call("sweep", loss, stateful=bool(stateful), keyed=loss_key is not None)
        if evaluate is not None:
            checked_function("sweep", "evaluate", evaluate, "params", *stateful)
        evaluation = None if evaluate is None else frozen.function(as_pytree_function(evaluate))
        kinds = kinds_of(transforms)
        scheduled = [each for each in kinds if has_schedules(transforms[each[0]])]
        warn_of_mismatches("sweep", [transforms[place] for each in scheduled for place in each], steps)
        plan = Plan(
            loss_fn=frozen.function(as_pytree_function(loss)),
            evaluate=evaluation,
            data=data,
            batch_size=None if batch_size is None else checked_whole("sweep", "batch_size", batch_size),
            replacement=checked_flag("sweep", "replacement", replacement),
            init=init,
            model_state=model_state,
            evaluated_at=evaluation_steps(steps, every, arguments.rungs(prune, kinds, steps)),
            metric=arguments.metric_of(metric, evaluation, params, model_state),
            mode=mode,
            pruner=prune,
            keep=keep,
            mesh=arguments.mesh_of(devices),
            chunk_size=size,
            loss_key=loss_key,
            frozen=frozen,
        )
        arguments.check_loss(plan, params)
        store = None if folder is None else Store(folder)
        try:
            return _swept(plan, params, transforms, kinds, seeds, store, resume, progress)
        except Exception as error:
            if store is not None:
                store.explain(error)
            raise
        finally:
            if store is not None:
                store.end()


def _swept(
    plan: Plan,
    params: Any,
    transforms: list[Optimizer],
    kinds: list[list[int]],
    seeds: tuple[int, ...],
    store: Store | None,
    resume: bool,
    progress: bool | Callable[[int, float], None] | None,
) -> SweepResult:
    keys = [str(place) for place in range(len(transforms))]
    if store is not None:
        keys = optimizer_keys(transforms, params)
        store.begin(specification(plan, params), resume)
    groups = plan_groups(transforms, kinds, keys, seeds, store)
    by_key = dict(zip(keys, transforms, strict=True))
    total = len(transforms) * len(seeds) * plan.steps
    told = announcement(transforms, kinds, seeds)
    if store is not None and store.shorter(plan.steps):
        told += f"; made longer, to {plan.steps} steps: all are computed again from their beginning"
    bars = (
        nullcontext(progress)
        if callable(progress)
        else progress_bar(progress, total, 0, label=plan.metric, announcement=told)
    )
    report = Reporter(plan.mode)
    with signals_wait("sweep", "at the next evaluation") as pending:
        try:
            with bars as report.bar:
                results = []
                for group in groups:
                    settings = [by_key[key] for key in group.keys]
                    results.append(
                        run_group(plan, group.number, settings, group.seeds, store, report, pending)
                    )
                    release_programs()
        except StoppedError:
            # The bar is closed by now, and does not stand below this line.
            told = f"after {report.steps:,} of {total:,} steps: {_kept(store)}"
            stop("sweep", pending.number or 0, told, None)
    result = assemble(plan, by_key, seeds, groups, results)
    if store is not None and store.writes():
        _archive(result, keys, store)
        store.forget_shorter(plan.steps)
    return result


def _kept(store: Store | None) -> str:
    if store is None:
        return "without path= nothing is on disk"
    return f"they are kept in {store.path}, and resume=True (--resume) goes on from there"


def _archive(result: SweepResult, keys: list[str], store: Store) -> None:
    """Write the result, unless it stands there already as it is."""
    last = store.of_kind("result")[-1:]
    written = {"kind": "result", "of": fingerprint(_text(keys, result.seeds)), "units": store.new_name()}
    if last != [written] or not is_whole(store.path):
        write_result(result, store.path)
    if last != [written]:
        store.append(written)


def _text(keys: list[str], seeds: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(repr((keys, seeds)).encode(), np.uint8)
