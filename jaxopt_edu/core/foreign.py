"""Any optax transform, of this library or not, as one that may stand in a composition."""

from dataclasses import dataclass
from typing import Any

import jax
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.checks import short
from jaxopt_edu.core.extra import call_update, takes_any
from jaxopt_edu.core.transform import Foreign, Optimizer

Transform = optax.GradientTransformation | optax.MultiSteps


def is_transform(value: Any) -> bool:
    """Whether a value is an optax transform, or an `optax.MultiSteps`, which makes one."""
    return isinstance(value, optax.GradientTransformation | optax.MultiSteps)


def as_transform(made: Any) -> Any:
    """What a factory made, as an optax transform where it can be one.

    Args:
        made: an optax transform, an `optax.MultiSteps`, or anything else.

    Returns:
        For a MultiSteps, which is none itself, a transform of the same updates; the rest as it is.
    """
    if isinstance(made, optax.MultiSteps):
        functions: Any = (made.init, made.update)
        return optax.GradientTransformationExtraArgs(*functions)
    return made


def checked_transform(owner: str, name: str, value: Any) -> Any:
    """Check that a value is an optimizer.

    Args:
        owner: the function's name, for the error.
        name: the argument's name, for the error.
        value: an optax transform or an `optax.MultiSteps`.

    Returns:
        The transform.

    Raises:
        TypeError: value is something else.
    """
    if not is_transform(value):
        called = getattr(value, "__name__", "adam") if callable(value) else "adam"
        raise TypeError(
            f"{owner}: {name} = {short(value)} is a {type(value).__name__}; it must be an optimizer, such as "
            f"{called}(learning_rate=0.1)."
        )
    return as_transform(value)


def as_pytree(transform: Transform) -> Optimizer:
    """Any optax transform as a pytree that compiled code can take as an argument.

    Args:
        transform: ours stays as it is; of another one the functions become static, so that the same transform
            compiles once.

    Returns:
        A transform with the same updates, whose update takes extra arguments.
    """
    if type(transform) is Optimizer and isinstance(transform.update, Partial):
        return transform
    made = as_transform(transform)
    return Optimizer(init_leaf(made), update_leaf(made))


@dataclass(frozen=True)
class ForeignUpdate(Foreign):
    """The update of another library's transform, handed those extra arguments that it takes."""

    def __call__(self, *arguments: Any, **extra: Any) -> Any:
        """Call the update."""
        with jax.numpy_dtype_promotion("standard"):
            return call_update(self.function, arguments, extra)


def init_leaf(transform: optax.GradientTransformation) -> Partial:
    """The init of any optax transform, as a pytree."""
    return transform.init if isinstance(transform.init, Partial) else Partial(Foreign(transform.init))


def update_leaf(transform: optax.GradientTransformation) -> Partial:
    """The update of any optax transform, as a pytree that takes extra arguments."""
    update: Any = transform.update
    if not isinstance(update, Partial):
        return Partial(ForeignUpdate(update))
    # A Partial of the user's own may take no extra arguments; its leaves stay what they are.
    return (
        update
        if takes_any(update.func)
        else Partial(ForeignUpdate(update.func), *update.args, **update.keywords)
    )
