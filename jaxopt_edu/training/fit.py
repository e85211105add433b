"""`fit`: train any pytree model with any optimizer, compiled, watched, and resumable."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from jaxopt_edu.core.composition import as_pytree
from jaxopt_edu.processes import placed_array
from jaxopt_edu.training.checkpoints import CheckpointFolder, Checkpoints
from jaxopt_edu.training.history import History, Recorder
from jaxopt_edu.training.loop import Carry, start
from jaxopt_edu.training.npz_checkpoint import Checkpoint, Identity
from jaxopt_edu.training.objective import as_pytree_function
from jaxopt_edu.training.packing import layout_that_pays
from jaxopt_edu.training.progress import progress_bar
from jaxopt_edu.training.run import Plan, Program, own_copy, run
from jaxopt_edu.training.sources import make_source

CHUNK = 100


class FitResult(NamedTuple):
    """What a run arrived at.

    Attributes:
        params: the trained parameters (the last good ones, if the loss stopped being finite).
        state: the optimizer's state that belongs to them.
        history: losses, metrics, evaluations, and why the run ended.
        model_state: the model's own state; None for a model without.
    """

    params: Any
    state: Any
    history: History
    model_state: Any = None


class Moment(NamedTuple):
    """What a callback gets to see.

    Attributes:
        step: the number of steps made.
        params: the parameters then; a copy that may be kept.
        state: the optimizer's state then.
        model_state: the model's own.
        losses: the losses of the steps since the last moment.
        evaluation: what `evaluate` gave, by name.
    """

    step: int
    params: Any
    state: Any
    model_state: Any
    losses: np.ndarray
    evaluation: dict[str, Any]


def fit(
    loss_fn: Callable[..., Any],
    params: Any,
    optimizer: optax.GradientTransformation,
    data: Any = None,
    *,
    steps: int,
    batch_size: int | None = None,
    key: jax.Array | None = None,
    replacement: bool = False,
    model_state: Any = None,
    evaluate: Callable[..., Any] | None = None,
    every: int | None = None,
    patience: int | None = None,
    callback: Callable[[Moment], bool | None] | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoints | None = None,
    resume: bool | int = False,
    mesh: Mesh | None = None,
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
        data: a pytree of arrays with a leading example axis; or a pure function `sample(key) -> batch`;
            or an iterator of batches, whose end ends the run (from its beginning also on a resume); or None
            for a loss that ignores its batch.
        steps: number of steps of the whole run, those before a resume included.
        batch_size: examples in a batch of arrays; None takes all of them at every step.
        key: a `jax.random` key; needed for batches of arrays and for sample(key).
        replacement: draw each example independently, instead of each once an epoch.
        model_state: pytree that the loss function updates, such as a batch norm's averages.
        evaluate: `evaluate(params)`, or `evaluate(params, model_state)` with a model_state; returns a number
            or a dict of numbers. Called every `every` steps and at the end, as it is (jit it yourself).
        every: steps between two touches of the host (default: 100).
        patience: stop after so many evaluations in a row without a new lowest value: of `evaluate` (of its
            "loss", if it gives several), or else of the mean training loss.
        callback: called with a `Moment` every `every` steps; returning True ends the run.
        checkpoint: folder to write a checkpoint into every `every` steps, or a `CheckpointFolder`; or an
            `OrbaxFolder`, which writes sharded arrays without gathering them.
        resume: go on from the newest checkpoint, if there is one (False: begin anew in an empty folder); a
            number: from the checkpoint of that step.
        mesh: devices to split every batch over, along the mesh's first axis; parameters are on all of them.
        allow_nonfinite: go on when a loss is NaN or infinite. Otherwise the run stops with a warning, and
            parameters and state are those of the last finite loss; that costs two copies of both.
        progress: show a progress bar; None for where standard error is a terminal.

    Returns:
        FitResult(params, state, history, model_state).

    Raises:
        TypeError: data, loss or parameters are of a kind that cannot be trained.
        ValueError: a number is out of range, a key is missing, or a checkpoint does not fit.
        FileExistsError: the checkpoint folder holds another run's checkpoints and resume is False.
        BlockingIOError: another run is writing into the checkpoint folder; says which, and what can be done.
        OSError: the checkpoint folder cannot be written to; says why, before the first step if it can.

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
    if not isinstance(optimizer, optax.GradientTransformation | optax.MultiSteps):
        raise TypeError(
            f"fit: the optimizer is {optimizer!r}, not an optax transform; call its factory first, as in "
            "adam(learning_rate=0.001)."
        )
    if resume is not False and checkpoint is None:
        raise ValueError(f"fit: resume = {resume} needs checkpoint=folder, to know where from.")
    plan = Plan(steps, CHUNK if every is None else every, patience, allow_nonfinite)
    folder = CheckpointFolder(checkpoint) if isinstance(checkpoint, str | os.PathLike) else checkpoint
    transform = as_pytree(optimizer)
    carry = own_copy(start(transform, params, model_state))
    recorder = Recorder()
    identity = Identity(key, batch_size or 0, replacement)
    source = None
    try:
        found = None if folder is None else folder.begin(carry, identity, resume)
        if found is not None:
            if found.step > steps:
                raise ValueError(
                    f"fit: the checkpoint is of step {found.step}, which is more than steps = {steps}: ask "
                    "for more steps, or resume from an earlier checkpoint by its step."
                )
            carry = jax.tree.map(_placed_like, found.carry, carry)
            recorder.restore(found.history)
        source = make_source(
            data, key=key, batch_size=batch_size, replacement=replacement, first=recorder.steps
        )
        layout = layout_that_pays(transform, carry.params) if mesh is None else None
        program = Program(
            as_pytree_function(loss_fn), transform, source, model_state is not None, mesh, layout
        )

        def at_stop(carry: Carry, losses: np.ndarray) -> bool:
            evaluation = _evaluation(evaluate, carry)
            recorder.add_evaluation(recorder.steps, evaluation)
            if folder is not None:
                folder.write(Checkpoint(recorder.steps, carry, recorder.history("running")), identity)
            report(recorder.steps, float(losses[-1]))
            if callback is None:
                return False
            mine = own_copy(carry)
            return bool(
                callback(
                    Moment(recorder.steps, mine.params, mine.state, mine.model_state, losses, evaluation)
                )
            )

        with progress_bar(progress, steps, recorder.steps) as report:
            carry, stopped = run(program, plan, carry, recorder, at_stop)
    except Exception as error:
        if folder is not None:
            folder.explain(error)
        raise
    finally:
        if source is not None:
            source.close()
        if folder is not None:
            folder.end()
    return FitResult(carry.params, carry.state, recorder.history(stopped), carry.model_state)


def _placed_like(loaded: jax.Array, given: jax.Array) -> jax.Array:
    return placed_array(loaded, given.sharding) if given.committed else loaded


def _evaluation(evaluate: Callable[..., Any] | None, carry: Carry) -> dict[str, Any]:
    if evaluate is None:
        return {}
    arguments = (carry.params,) if carry.model_state is None else (carry.params, carry.model_state)
    values = evaluate(*arguments)
    return values if isinstance(values, dict) else {"value": values}
