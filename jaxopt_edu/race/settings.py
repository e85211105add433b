"""With which hyperparameters each method starts a race."""

from collections.abc import Sequence

from jaxopt_edu.core.editing import replace
from jaxopt_edu.core.reading import describe
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import OPTIMIZERS, STORY, adadelta, adagrad, adam, momentum, nesterov, rmsprop, sgd

# Half decades, the same for all methods: wide enough that each one's best lies inside on the digits, from
# RMSProp's 0.01 to Adadelta's 10.
LEARNING_RATES = tuple(10.0 ** (exponent / 2) for exponent in range(-7, 5))


def article_settings() -> dict[str, Optimizer]:
    """The settings with which the methods run over the article's bowl, x²/20 + y² from (−7, 2).

    SGD 0.95, Momentum 0.1, AdaGrad 1.5 and Adam 0.3 are the article's own. The other three are chosen to
    cross the bowl in the same 30 steps: Nesterov has Momentum's numbers, RMSProp a tenth of a unit a step,
    and Adadelta an ε so large that its first steps can be seen (with the default it hardly leaves the start).

    Returns:
        Optimizers by name, in the order of the story.
    """
    return {
        "sgd": sgd(learning_rate=0.95),
        "momentum": momentum(learning_rate=0.1),
        "nesterov": nesterov(learning_rate=0.1),
        "adagrad": adagrad(learning_rate=1.5),
        "adadelta": adadelta(learning_rate=1.0, eps=0.1),
        "rmsprop": rmsprop(learning_rate=0.1),
        "adam": adam(learning_rate=0.3),
    }


def default_settings(methods: Sequence[str] | None = None) -> dict[str, Optimizer]:
    """Methods with their default hyperparameters.

    Args:
        methods: names of optimizers of this library; None for the seven of the textbook.

    Returns:
        Optimizers by name, in the order given.

    Raises:
        ValueError: a name is unknown; the known ones are listed.
    """
    factories = {factory.__name__: factory for factory in OPTIMIZERS}
    chosen = [factory.__name__ for factory in STORY] if methods is None else list(methods)
    for name in chosen:
        if name not in factories:
            raise ValueError(f"there is no method {name!r}; choose from {', '.join(factories)}.")
    return {name: factories[name]() for name in chosen}


def apply_settings(
    optimizers: dict[str, Optimizer], settings: Sequence[str]
) -> tuple[dict[str, Optimizer], frozenset[tuple[str, str]]]:
    """Change hyperparameters as told by texts of the form `method.hyperparameter=value`.

    Args:
        optimizers: by name.
        settings: such as "adam.learning_rate=0.1"; a later one wins.

    Returns:
        The changed optimizers by name, and which (method, hyperparameter) pairs were set.

    Raises:
        ValueError: a text has another form, or a method, hyperparameter or value that does not exist.

    >>> from jaxopt_edu.core.reading import describe
    >>> changed, pairs = apply_settings(default_settings(["sgd"]), ["sgd.learning_rate=0.5"])
    >>> describe(changed["sgd"]), sorted(pairs)
    ('sgd(learning_rate=0.5)', [('sgd', 'learning_rate')])
    """
    changed = dict(optimizers)
    pairs = set()
    for text in settings:
        target, equals, number = text.partition("=")
        # A method of optax's has a dot in its name.
        given = [each for each in optimizers if target.strip().startswith(f"{each}.")]
        method = max(given, key=len, default=target.strip().partition(".")[0])
        dot, name = target.strip()[len(method) :][:1], target.strip()[len(method) + 1 :]
        if not (equals and dot and name):
            raise ValueError(f"the setting {text!r} should look like adam.learning_rate=0.1.")
        if method not in changed:
            raise ValueError(
                f"the setting {text!r} is for {method!r}, but the race has {', '.join(changed)}."
            )
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"the setting {text!r} needs a number after '=', not {number!r}.") from None
        changed[method] = replace(changed[method], **{name: value})
        pairs.add((method, name))
    return changed, frozenset(pairs)


def shown_setting(optimizer: Optimizer) -> str:
    """The hyperparameters as text, without the method's name.

    Args:
        optimizer: an optimizer of this library.

    Returns:
        Such as "learning_rate=0.1, momentum=0.9".
    """
    text = describe(optimizer)
    return text[text.index("(") + 1 : -1]
