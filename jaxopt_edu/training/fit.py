"""`fit`: train any pytree model with any optimizer, compiled, watched, and resumable."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import optax
from jax.sharding import Mesh

from jaxopt_edu.core.arguments import checked_flag, checked_function, optional
from jaxopt_edu.core.checks import checked_whole
from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.core.shardings import with_automatic_axes
from jaxopt_edu.trackers import Tracker
from jaxopt_edu.training.arguments import (
    check_functions,
    check_judgement,
    check_model_state,
    checked_axes,
    checked_folder,
    checked_key,
    checked_optimizer,
    checked_params,
    checked_resume,
    checked_seconds,
    checked_state,
)
from jaxopt_edu.training.best import Judge
from jaxopt_edu.training.checkpoints import Checkpoints
from jaxopt_edu.training.horizons import warn_of_mismatches
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.result import FitResult, Moment
from jaxopt_edu.training.run import Plan
from jaxopt_edu.training.session import Job, Session
from jaxopt_edu.training.tracking import checked_trackers
from jaxopt_edu.training.trainable import Trainable, split_off

CHUNK = 100


def fit(
    loss_fn: Callable[..., Any],
    params: Any,
    optimizer: optax.GradientTransformation,
    data: Any = None,
    *,
    steps: int,
    seconds: float | None = None,
    trainable: Trainable | None = None,
    batch_size: int | None = None,
    key: jax.Array | None = None,
    replacement: bool = False,
    loss_key: jax.Array | None = None,
    model_state: Any = None,
    state: Any = None,
    first_batch: int = 0,
    evaluate: Callable[..., Any] | None = None,
    every: int | None = None,
    metric: str | None = None,
    mode: Literal["min", "max"] = "min",
    patience: int | None = None,
    callback: Callable[[Moment], bool | None] | None = None,
    tracker: Tracker | Sequence[Tracker] | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoints | None = None,
    resume: bool | int = False,
    allow_changes: bool = False,
    mesh: Mesh | None = None,
    data_axis: str | tuple[str, ...] | None = None,
    allow_nonfinite: bool = False,
    progress: bool | None = None,
) -> FitResult:
    """Train a model.

    The loop is one compiled `jax.lax.scan` for every `every` steps; the host is touched only between them.
    The optimizer is an argument of the compiled program: a second fit with another learning rate compiles
    nothing. The order of the data depends on the key and the step only, not on `every` or a resume. From a
    hundred small leaves on the loop carries parameters and state end to end, which is faster; results agree
    to the last digits.

        loss, g = value_and_grad(loss_fn)(params, batch);  params ← params + optimizer.update(conj(g), …)

    Args:
        loss_fn: `loss_fn(params, batch)`, which returns a loss (a real scalar) or (loss, dict of metrics).
            With a model_state `loss_fn(params, model_state, batch)`, which returns (loss, model_state) or
            (loss, model_state, metrics).
        params: pytree of floating or complex arrays; stays as it is.
        optimizer: any optax transform, ours, lifted or plain.
        data: a pytree of arrays with a leading example axis (tensors, lists of numbers and tables with
            columns too); or a pure function `sample(key) -> batch`; or an iterator of batches, whose end
            ends the run; or a loader, which begins anew each epoch; or None for a loss that ignores its
            batch. A resumed run passes over the batches of an iterator that the run before has seen; a
            loader that knows its place
            (get_state and set_state, or state_dict and load_state_dict) is set there instead.
        steps: number of steps of the whole run, those before a resume included.
        seconds: a time limit, in seconds of wall clock from this call on, compiling included; the run ends at
            the first stop after it (every `every` steps), where its checkpoint has been written, and can be
            resumed. None for none.
        trainable: which leaves are trained; None for all. A pattern of their names or several, as in "head"
            or ["head", "*/bias"] (see `partition`), or a function of (name, leaf), where leaf has a shape and
            a dtype. The rest may be of any dtype, costs no gradient, has no state, is in no checkpoint and
            comes back as it was; the optimizer sees None in its place, loss_fn and evaluate see everything.
        batch_size: examples in a batch of arrays; None takes all of them at every step.
        key: a `jax.random` key; needed for batches of arrays and for sample(key).
        replacement: draw each example independently, instead of each once an epoch.
        loss_key: a `jax.random` key for a loss with noise of its own, such as dropout: `loss_fn(…, key=…)`
            gets `fold_in(loss_key, step)`, the step counted over the whole run. None for a loss without.
        model_state: pytree that the loss function updates, such as a batch norm's averages.
        state: an optimizer's state to begin with, such as a sweep's best run has; None for the first one.
        first_batch: how many batches the run before has seen, where the order of the data goes on: with its
            params, state, model_state and key the steps are those of one longer run, to the bit.
        evaluate: `evaluate(params)`, or `evaluate(params, model_state)` with a model_state; returns a number
            or a dict of numbers. Called every `every` steps and at the end, as it is (jit it yourself).
        every: steps between two touches of the host (default: 100).
        metric: by what moments are compared: a name that evaluate gives ("value" for a single number), or
            "training_loss", the mean since the evaluation before. None for the only one, or "loss" among
            several; without evaluate the training loss, if there is a patience.
        mode: whether the lowest ("min") or the highest ("max") value is the best.
        patience: stop after so many evaluations in a row without a new best value.
        callback: called with a `Moment` every `every` steps; returning True ends the run.
        tracker: where numbers go every `every` steps, one of `jaxopt_edu.trackers` or a list of them: the
            means of the losses ("training_loss") and of the loss function's metrics since the last time, what
            evaluate gave, what monitors measured, and what follows a schedule. One that fails on the way is
            warned about and told nothing more. With resume=True it goes on where the checkpoint is.
        checkpoint: folder to write a checkpoint into every `every` steps, or a `CheckpointFolder`; or an
            `OrbaxFolder`, which writes sharded arrays without gathering them.
        resume: go on from the newest checkpoint, if there is one (False: begin anew in an empty folder); a
            number: from the checkpoint of that step. On as many devices to the same bits; on more, fewer or
            one, which may hold the parameters as they like, up to roundings, since sums are then other sums.
        allow_changes: go on from a checkpoint although the optimizer, its numbers or the data are others now.
        mesh: devices to train on, with automatic or explicit axes. Parameters that are sharded over it (some
            by rows, some by columns, along any axes) stay so, and what the optimizer remembers of them lies
            beside them; all else is on every device, as is what an optax transform keeps in other shapes.
        data_axis: the axis of the mesh, or axes, along which every batch is split; None for its first one.
            Data parallel and FSDP together, on jax.make_mesh((2, 4), ("replica", "shard")): parameters that
            are sharded along "shard", and data_axis=("replica", "shard").
        allow_nonfinite: go on when a loss is NaN or infinite. Otherwise the run stops with a warning, which
            says where it began (a gradient, by leaf; an update; the batch; the loss itself), and parameters
            and state are those of the last finite loss; that costs two copies of both.
        progress: show a progress bar; None for where standard error is a terminal.

    Returns:
        FitResult(params, state, history, model_state, best).

    Raises:
        TypeError: data, loss or parameters are of a kind that cannot be trained.
        ValueError: a number is out of range, a key is missing, or a checkpoint does not fit.
        FileExistsError: the checkpoint folder holds another run's checkpoints, or what a tracker is to write
            another run, and resume is False.
        BlockingIOError: another run is writing into the checkpoint folder; says which, and what can be done.
        OSError: the checkpoint folder cannot be written to; says why, before the first step if it can.
        KeyboardInterrupt: Ctrl-C, at the end of a stretch of `every` steps; its `result` is what there was
            then, and it says what is on disk. SIGTERM ends there too, with exit status 143; if one of several
            processes of a run gets it, all of them end, at the same stop.

    Warns:
        UserWarning: a schedule of the optimizer ends before the run or after it.
        RuntimeWarning: the run stopped early, at a loss that is not finite or at the end of the data.

    Example:
        >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
        >>> x = jnp.linspace(-1.0, 1.0, 64)
        >>> data = {"x": x, "y": 3 * x + 1}
        >>> def loss_fn(line, batch):
        ...     return jnp.mean((line["a"] * batch["x"] + line["b"] - batch["y"]) ** 2)
        >>> line = {"a": jnp.zeros(()), "b": jnp.zeros(())}
        >>> result = fit(loss_fn, line, jo.adam(0.1), data, steps=300, batch_size=16, key=jax.random.key(0))
        >>> round(float(result.params["a"]), 2), round(float(result.params["b"]), 2)
        (3.0, 1.0)
    """
    begun = time.monotonic()
    trained, frozen = split_off("fit", trainable, params)
    optimizer, trained = checked_optimizer(optimizer), checked_params(trained)
    loss_key = checked_key(loss_key, name="loss_key")
    check_functions(loss_fn, evaluate, callback, stateful=model_state is not None, keyed=loss_key is not None)
    if callable(data):
        checked_function("fit", "data", data, "key")
    replacement = checked_flag("fit", "replacement", replacement)
    allow_changes = checked_flag("fit", "allow_changes", allow_changes)
    allow_nonfinite = checked_flag("fit", "allow_nonfinite", allow_nonfinite)
    progress = optional(checked_flag)("fit", "progress", progress)
    check_judgement(metric, mode, evaluate)
    check_model_state(model_state)
    steps, every = (
        checked_whole("fit", "steps", steps, 0),
        checked_whole("fit", "every", CHUNK if every is None else every, 1),
    )
    seconds = checked_seconds(seconds)
    first_batch = checked_whole("fit", "first_batch", first_batch, 0)
    patience = None if patience is None else checked_whole("fit", "patience", patience, 1)
    batch_size = None if batch_size is None else checked_whole("fit", "batch_size", batch_size, 1)
    axes, key = checked_axes(mesh, data_axis), checked_key(key)
    resume, trackers = checked_resume(resume), checked_trackers(tracker)
    folder = checked_folder(checkpoint, resume)
    transform = as_pytree(optimizer)
    placed = trained if mesh is None else with_automatic_axes(trained)
    with jax.transfer_guard("allow"):  # the zeros that a state begins with are nobody's mistake
        first = transform.init(placed) if state is None else checked_state(state, transform, trained)
    warn_of_mismatches("fit", [transform], steps, state)
    job = Job(
        loss_fn=loss_fn,
        transform=transform,
        data=data,
        plan=Plan(steps, every, Judge(metric, mode, patience), allow_nonfinite, first_batch),
        begun=begun,
        seconds=seconds,
        frozen=frozen,
        batch_size=batch_size,
        key=key,
        replacement=replacement,
        loss_key=loss_key,
        evaluate=evaluate,
        callback=callback,
        trackers=trackers,
        folder=folder,
        resume=resume,
        allow_changes=allow_changes,
        mesh=mesh,
        axes=axes,
        progress=progress,
    )
    return Session(job, Carry(trained, first, model_state)).run()
