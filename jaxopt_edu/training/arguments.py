"""What `fit` is called with, checked before the first step: a mistake is one line that names the argument."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxopt_edu.core.arguments import checked_function, named
from jaxopt_edu.core.checks import (
    POSITIVE,
    check_matches,
    check_parameters,
    checked_number,
    checked_whole,
    short,
)
from jaxopt_edu.storage import is_key
from jaxopt_edu.training.best import TRAINING_LOSS
from jaxopt_edu.training.checkpoints import CheckpointFolder, Checkpoints
from jaxopt_edu.training.objective import innermost


def checked_key(key: Any, owner: str = "fit", name: str = "key") -> jax.Array | None:
    """One random key of the newer kind; one of the older kind (uint32 integers) is made into that.

    Args:
        key: what was given; None for none.
        owner: the function's name, for the error.
        name: the argument's name, for the error.

    Raises:
        TypeError: it is no single key.

    >>> checked_key(jax.random.PRNGKey(0)) == jax.random.key(0)
    Array(True, dtype=bool)
    """
    if key is None or (is_key(key) and key.shape == ()):
        return key
    if isinstance(key, jax.Array | np.ndarray) and key.dtype == np.uint32 and key.ndim == 1:
        try:
            return jax.random.wrap_key_data(jnp.asarray(key))
        except (TypeError, ValueError):
            pass  # as many integers as no key has: told below
    shown = f"an array of {key.dtype}{list(key.shape)}" if hasattr(key, "shape") else repr(key)
    raise TypeError(f"{owner}: {name} = {shown} is not a single random key; give jax.random.key(0).")


def check_loss_call(owner: str, loss_fn: Any, *, stateful: bool, keyed: bool) -> None:
    """Refuse a loss that cannot be called as it will be.

    Args:
        owner: the function's name, for the error.
        loss_fn: the loss; what stands around it is looked through.
        stateful: whether there is a model state.
        keyed: whether it gets a key.

    Raises:
        TypeError: it is no function, or takes other arguments.
    """
    of_model = ("params", "model_state") if stateful else ("params",)
    loss = innermost(loss_fn)
    checked_function(owner, "loss_fn", loss, *of_model, "batch", **({"key": "key"} if keyed else {}))


def check_functions(loss_fn: Any, evaluate: Any, callback: Any, *, stateful: bool, keyed: bool) -> None:
    """Refuse functions that cannot be called as they will be.

    Args:
        loss_fn: the loss.
        evaluate: the evaluation; None for none.
        callback: the callback; None for none.
        stateful: whether there is a model state.
        keyed: whether the loss gets a key.

    Raises:
        TypeError: one is no function, or takes other arguments.
    """
    check_loss_call("fit", loss_fn, stateful=stateful, keyed=keyed)
    of_model = ("params", "model_state") if stateful else ("params",)
    if evaluate is not None:
        checked_function("fit", "evaluate", evaluate, *of_model)
    if callback is not None:
        checked_function("fit", "callback", callback, "moment")


def check_judgement(metric: Any, mode: Any, evaluate: Any) -> None:
    """Refuse what a run cannot be judged by.

    Raises:
        TypeError: the metric is no name.
        ValueError: the mode is none, or nothing gives the metric.
    """
    if not (isinstance(mode, str) and mode in ("min", "max")):
        raise ValueError(f"fit: mode = {mode!r}; it is 'min' or 'max'.")
    if not (metric is None or isinstance(metric, str)):
        raise TypeError(f"fit: metric = {metric!r} is no name; give one that evaluate gives, as text.")
    if metric is not None and metric != TRAINING_LOSS and evaluate is None:
        raise ValueError(f"fit: metric = {metric!r} needs evaluate=, which gives it.")


def check_model_state(model_state: Any) -> None:
    """Refuse a model's state that compiled steps cannot carry.

    Raises:
        TypeError: a leaf is no number, array or random key; names it.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(model_state)[0]:
        number = isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex)
        if not number or np.dtype(object) == getattr(leaf, "dtype", None):
            raise TypeError(
                f"fit: model_state{jax.tree_util.keystr(path)} is of type {type(leaf).__name__}; every leaf "
                "of it has to be a number or an array."
            )


def checked_optimizer(optimizer: Any) -> Any:
    """Refuse what is no optimizer.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(optimizer, optax.GradientTransformation | optax.MultiSteps):
        raise TypeError(
            f"fit: optimizer = {short(optimizer)} is not an optax transform; call its factory first, as in "
            "adam(learning_rate=0.001)."
        )
    return optimizer


def checked_state(state: Any, optimizer: optax.GradientTransformation, params: Any) -> Any:
    """An optimizer's state that belongs to these parameters.

    Raises:
        ValueError: it is another optimizer's, or one of other parameters; names what differs.
    """
    wanted = jax.eval_shape(optimizer.init, params)
    try:
        check_matches("entry of the state", state, "entry of this optimizer's own", wanted)
    except ValueError as error:
        said = str(error).split(". ")[0]
        raise ValueError(
            f"fit: state is not one that this optimizer has for these parameters: {said}. Give the state, "
            "the "
            "optimizer and the parameters of one run."
        ) from None
    for (path, leaf), like in zip(
        jax.tree_util.tree_flatten_with_path(state)[0], jax.tree.leaves(wanted), strict=True
    ):
        dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
        if dtype != like.dtype:
            raise ValueError(
                f"fit: state{jax.tree_util.keystr(path)} is {dtype}, but for these parameters it is "
                f"{like.dtype}."
            )
    return state


def checked_params(params: Any) -> Any:
    """Parameters that can be trained.

    Raises:
        TypeError: there are none, or a leaf cannot; names it.
    """
    if params is None:
        raise TypeError("fit: params = None is no pytree of arrays; there is nothing to train.")
    with named("fit: params"):
        check_parameters(params)
    return params


def checked_resume(resume: Any) -> bool | int:
    """Whether, or from which step, to go on.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(resume, bool | np.bool_):
        return bool(resume)
    try:
        return checked_whole("fit", "resume", resume, 0)
    except (TypeError, ValueError):
        raise ValueError(
            f"fit: resume = {short(resume)}; it is True, False, or the step of a checkpoint."
        ) from None


def checked_seconds(seconds: Any) -> float | None:
    """A time limit; None for none.

    Raises:
        ValueError: it is no positive number.
    """
    if seconds is None:
        return None
    try:
        return float(checked_number("fit", "seconds", seconds, POSITIVE))
    except (TypeError, ValueError):
        raise ValueError(
            f"fit: seconds = {short(seconds)}; it is a number of seconds above 0, or None for no limit."
        ) from None


def checked_folder(checkpoint: Any, resume: bool | int) -> Checkpoints | None:
    """Where checkpoints go.

    Raises:
        TypeError: it is no folder.
        ValueError: resume has no folder to begin from.
    """
    if resume is not False and checkpoint is None:
        raise ValueError(f"fit: resume = {resume} needs checkpoint=folder, to know where from.")
    if checkpoint is None or isinstance(checkpoint, Checkpoints):
        return checkpoint
    try:
        return CheckpointFolder(checkpoint)
    except TypeError:
        raise TypeError(
            f"fit: checkpoint = {checkpoint!r} is no folder; give its path, a CheckpointFolder or an "
            "OrbaxFolder."
        ) from None


def checked_axes(mesh: Any, data_axis: Any) -> tuple[str, ...]:
    """The axes of a mesh along which data is split; none without a mesh.

    Raises:
        TypeError: it is no mesh.
        ValueError: the mesh has no such axis.
    """
    if mesh is None:
        if data_axis is not None:
            raise ValueError(
                f"fit: data_axis = {data_axis!r} needs the mesh that has it: mesh=jax.make_mesh(...)."
            )
        return ()
    if not isinstance(mesh, Mesh):
        raise TypeError(
            f"fit: mesh = {mesh!r} is no mesh of devices; give jax.make_mesh((jax.device_count(),), "
            "('data',))."
        )
    axes = mesh.axis_names[:1] if data_axis is None else data_axis
    axes = (axes,) if isinstance(axes, str) else tuple(axes)
    if unknown := [axis for axis in axes if axis not in mesh.axis_names]:
        raise ValueError(
            f"fit: data_axis = {unknown[0]!r} is no axis of the mesh, which has {mesh.axis_names}."
        )
    return axes
