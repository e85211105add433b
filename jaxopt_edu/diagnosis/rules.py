"""The faults that are known: how each is seen in readings, what it means and what to try."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxopt_edu.wrappers import Readings

MOST = 0.5  # the share of readings in which a layer must show a fault that may pass


class Rule(NamedTuple):
    """How one fault is seen.

    Attributes:
        name: what the finding is called.
        quantity: what is measured, in words.
        threshold: what it is compared with.
        look: `look(readings, threshold) -> (values, faulty)`, both of shape (k, layers).
        chosen: `chosen(faulty) -> layers`, booleans of shape (layers,): those that are told of.
        meaning: what it means.
        advice: what to try.
        numbers: hyperparameters whose values are told with the advice.
        summary: of the values where it is so, the number that is told.
        needs: how many readings there must be.
    """

    name: str
    quantity: str
    threshold: float
    look: Callable[[Readings, float], tuple[np.ndarray, np.ndarray]]
    chosen: Callable[[np.ndarray], np.ndarray]
    meaning: str
    advice: str
    numbers: tuple[str, ...] = ("learning_rate",)
    summary: Callable[[np.ndarray], np.floating] = np.median
    needs: int = 1


def in_most(faulty: np.ndarray) -> np.ndarray:
    """Those layers that show it in at least half of the readings."""
    return faulty.mean(axis=0) >= MOST


def in_any(faulty: np.ndarray) -> np.ndarray:
    """Those layers that show it once."""
    return np.any(faulty, axis=0)


def in_the_last(faulty: np.ndarray) -> np.ndarray:
    """Those layers that show it at the end."""
    return faulty[-1, :]


def dead(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradients that are exactly 0."""
    gradient = readings.values["gradient"]
    return gradient, gradient <= threshold


def exploding(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """How many times as long the gradient is as its shortest before; ∞ for one that is not finite."""
    gradient = readings.values["gradient"].astype(np.float64)
    usual = np.where(np.isfinite(gradient) & (gradient > 0), gradient, np.inf)
    shortest = np.minimum.accumulate(usual)
    growth = np.divide(gradient, shortest, out=np.ones_like(gradient), where=np.isfinite(shortest))
    growth = np.where(np.isfinite(gradient), growth, np.inf)
    return growth, growth >= threshold


def still(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Updates that are nothing beside the weights, though there is a gradient."""
    ratio = readings.values["update_ratio"]
    return ratio, (ratio < threshold) & (readings.values["gradient"] > 0)


def slow(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Updates that are little beside the weights."""
    ratio = readings.values["update_ratio"]
    return ratio, (ratio < threshold) & (ratio >= STILL.threshold)


def fast(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Updates that are much beside the weights; biases start at 0, where every step is."""
    ratio = readings.values["update_ratio"]
    later = np.arange(len(ratio)) > 0 if len(ratio) > 1 else np.ones(1, bool)
    # A layer with one reading fewer still has to show it in most of them.
    return ratio, (ratio > threshold) & later[:, None]


def apart(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """How many times as large the largest ratio of all layers is as the smallest."""
    ratio = readings.values["update_ratio"].astype(np.float64)
    size = readings.values["parameter"]
    # The ratio of a layer that starts at 0, as biases do, falls with the steps whatever its rate is.
    grown = size.max(axis=0) > 2 * size[0]
    moving = np.where((ratio >= STILL.threshold) & ~grown, ratio, np.nan)
    with np.errstate(invalid="ignore"):
        smallest, largest = (
            end(np.where(np.isfinite(moving), moving, fill), axis=1, keepdims=True)
            for end, fill in ((np.min, np.inf), (np.max, 0.0))
        )
    factor = largest / smallest
    extreme = (moving == smallest) | (moving == largest)
    return np.broadcast_to(factor, ratio.shape), extreme & (factor >= threshold)


def uphill(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Updates that do not go along the gradient."""
    cosine = readings.values["cosine"]
    return cosine, (cosine < threshold) & (readings.values["gradient"] > 0)


def small(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Roots that are below ε."""
    share = readings.values["below_eps"]
    return share, share >= threshold


def clipped(readings: Readings, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradients that are clipped."""
    share = readings.values["clipped"]
    return share, share >= threshold


STILL = Rule(
    "still",
    "update ratio",
    1e-6,
    still,
    in_most,
    "The layer gets a gradient, but a million such steps would move it by its own size, and float32 keeps "
    "little more than a tenth of a millionth.",
    "a higher learning rate for it, or a smaller eps if eps rules there; look whether a schedule or a mask "
    "has made its rate 0.",
    ("learning_rate", "eps"),
)
RULES = (
    Rule(
        "dead",
        "gradient norm",
        0.0,
        dead,
        in_the_last,
        "No gradient reaches the layer: units behind it are dead (a ReLU whose input is negative for all "
        "examples), a stop_gradient cuts it off, or the loss does not depend on it.",
        "initialise anew (biases at 0, weights by He's rule), a lower learning rate or a warm-up if it died "
        "on the way, another activation, or leave it out with trainable=.",
    ),
    Rule(
        "exploding",
        "gradient norm's growth",
        1e3,
        exploding,
        in_any,
        "The gradient has grown beyond what batches do to it: steps lead to where the next one is longer.",
        "a learning rate ten times lower, a warm-up, or optax.clip_by_global_norm in front.",
        summary=np.max,
    ),
    STILL,
    Rule(
        "too slow",
        "update ratio",
        1e-5,
        slow,
        in_most,
        "The layer moves by less than a tenth of the least that networks usually train with (1e-4).",
        "a learning rate ten times higher, for this layer alone with where or layerwise.",
    ),
    Rule(
        "too fast",
        "update ratio",
        0.1,
        fast,
        in_most,
        "The layer is another one every ten steps; networks usually train with 1e-4 to 1e-2.",
        "a learning rate ten times lower, for this layer alone with where or layerwise; a warm-up if it is "
        "so at the beginning only.",
    ),
    Rule(
        "layers apart",
        "largest update ratio by the smallest",
        1e3,
        apart,
        in_most,
        "One learning rate fits only one of these layers.",
        "an optimizer that scales each layer (lamb, lars, muon) or coordinate (adam), or rates of their own "
        "with where or layerwise.",
    ),
    Rule(
        "against the gradient",
        "cosine of step and gradient",
        0.02,
        uphill,
        in_most,
        "The step no longer goes along the gradient: noise alone would leave √(1 − β²), so that gradients "
        "turn against the average that momentum makes of them, as it swings over the minimum.",
        "a shorter momentum (0.9), a lower learning rate, or cautious(optimizer).",
        ("learning_rate", "momentum", "b1", "b2"),
        needs=3,
    ),
    Rule(
        "eps rules",
        "share of coordinates with √v̂ < eps",
        0.5,
        small,
        in_most,
        "Gradients are smaller than eps, which is what they are divided by then: steps shrink with the "
        "gradients, as SGD's do with a rate of learning_rate / eps.",
        "a smaller eps (1e-8), or a loss that is not scaled down.",
        ("eps",),
    ),
    Rule(
        "always clipped",
        "share of clipped steps",
        0.95,
        clipped,
        in_most,
        "Nearly every step is cut, so that the threshold is what sets the length of steps (SGD's), or hides "
        "from averages how gradients change (Adam's, whose steps are hardly longer without it).",
        "a threshold at the norm of most gradients, or a lower learning rate where gradients have grown.",
        ("max_norm", "max_delta", "learning_rate"),
    ),
)
