"""Derivatives of a trained loss by every hyperparameter and by the initial parameters, through 100 steps.

The problem has what trips derivatives of optimizers: a parameter that the training loss does not use, one
that starts at its minimum and one that is seen only now and then, so that gradients are exactly 0.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu.training import descend, start
from tests.registry import Row, each_optimizer, named

STEPS = 100
CURVATURE = np.array([1.0, 0.3, 2.0, 1.0])
# The third coordinate is not seen in the first 20 steps, and in every other one from then on.
SEEN = np.ones((STEPS, 4))
SEEN[:20, 2] = SEEN[20::2, 2] = 0.0


class Params(NamedTuple):
    """What is trained, and what the training loss has nothing to say about."""

    w: Any  # shape (4,); the last coordinate starts at its minimum
    unused: Any  # shape ()


START = Params(np.array([1.0, -2.0, 0.5, 0.0]), np.array(3.0))


def training_loss(params: Params, seen: Any) -> Any:
    """A bowl with a quartic, so that curvature changes on the way."""
    return (seen * (CURVATURE * params.w**2 / 2 + params.w**4 / 40)).sum()


def final_loss(optimizer: optax.GradientTransformation, params: Params) -> jax.Array:
    """What is differentiated: the loss after training, in which the unused parameter counts too."""
    carry, _, _ = descend(training_loss, optimizer, start(optimizer, params), jnp.asarray(SEEN))
    return training_loss(carry.params, 1.0) + carry.params.unused**2


reverse = jax.jit(jax.grad(final_loss, argnums=(0, 1)))
value = jax.jit(final_loss)


@jax.jit
def forward(optimizer: Any, params: Params, tangents: Any) -> jax.Array:
    """The derivative along one direction through all hyperparameters and initial parameters."""
    # Tangents of Python floats are weakly typed, as their primals are.
    return jax.jvp(final_loss, jax.tree.map(jnp.asarray, (optimizer, params)), tangents)[1]


class Derivatives(NamedTuple):
    """By each hyperparameter, and by each initial parameter."""

    by_value: dict[str, Any]
    by_start: Params


def formula_derivatives(row: Row, values: dict[str, float]) -> Derivatives:
    """Derivatives of the registry's formula, without a rule of differentiation.

    f(x + ih) = f(x) + ih f′(x) + …: a step along the imaginary axis is a finite difference in which nothing
    cancels, so it can be so short that it is exact (Squire & Trapp 1998).
    """
    h = 1e-30

    def loss(values: dict[str, Any], w: np.ndarray, unused: Any) -> complex:
        if row.whole:
            return loss_of_all(values, np.append(w, unused))
        memory, unused_memory = row.first_memory((4,)), row.first_memory()
        for t, seen in enumerate(SEEN, start=1):
            g = seen * (CURVATURE * w + w**3 / 10)
            update, *memory = row.step(t, g, w, memory, **values)
            w = w + update
            # Without a gradient it may still decay.
            update, *unused_memory = row.step(t, np.zeros(()), unused, unused_memory, **values)
            unused = unused + update
        return training_loss(Params(w, unused), 1.0) + unused**2

    def loss_of_all(values: dict[str, Any], all_of_them: np.ndarray) -> complex:
        memory = row.first_memory((5,))
        for t, seen in enumerate(SEEN, start=1):
            w = all_of_them[:4]
            g = np.append(seen * (CURVATURE * w + w**3 / 10), 0.0)
            update, *memory = row.step(t, g, all_of_them, memory, **values)
            all_of_them = all_of_them + update
        w, unused = all_of_them[:4], all_of_them[4]
        return training_loss(Params(w, unused), 1.0) + unused**2

    w, unused = START
    by_value = {name: loss(values | {name: x + 1j * h}, w, unused).imag / h for name, x in values.items()}
    # The last coordinate starts at 0, in which the loss and every path are symmetric.
    by_w = np.array([loss(values, w + 1j * h * axis, unused).imag / h for axis in np.eye(4)[:3]] + [0.0])
    return Derivatives(by_value, Params(by_w, np.asarray(loss(values, w, unused + 1j * h).imag / h)))


def settings(row: Row) -> list[dict[str, float]]:
    """Hyperparameters as in the table, with a larger ε, and with 0 for all that is kept of the past."""
    tame = row.hyperparameters | ({"eps": 1e-3} if "eps" in row.hyperparameters else {})
    # The root of β₂ has no derivative where that is 0.
    forgetful = dict.fromkeys(row.fractions(), 0.0) | ({"b2": 0.5} if row.name == "prodigy" else {})
    return [row.hyperparameters, tame, tame | forgetful]


@each_optimizer
def test_every_derivative_is_that_of_the_formula(row, x64):
    for values in settings(row):
        by_optimizer, by_start = reverse(row.make(**values), START)
        expected = formula_derivatives(row, values)
        chex.assert_trees_all_close(
            (jo.hyperparameters(by_optimizer), by_start), tuple(expected), rtol=1e-7, atol=1e-15
        )
        still = {name for name, derivative in expected.by_value.items() if derivative == 0}
        # Without an average RAdam has nothing to divide by, and no ε; Adamax's maximum is the gradient.
        without_average = {"radam": ("b2", "eps"), "adamax": ("b2",)} if values.get("b2") == 0 else {}
        assert still <= {*row.flat, *without_average.get(row.name, ())}, "nothing to compare"


@each_optimizer
def test_forward_mode_agrees_with_reverse_mode(row, x64):
    rng = np.random.default_rng(0)
    # With the table's ε the last coordinate's path depends on its start by (η/ε)¹⁰⁰, more than a float holds.
    for values in settings(row)[1:]:
        point = (row.make(**values), START)
        tangents = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=np.shape(x))), point)
        products = jax.tree.map(lambda d, tangent: jnp.sum(d * tangent), reverse(*point), tangents)
        np.testing.assert_allclose(forward(*point, tangents), sum(jax.tree.leaves(products)), rtol=1e-7)


@each_optimizer
def test_derivatives_are_finite_without_eps(row, x64):
    changes = {"eps": 0.0} if "eps" in row.hyperparameters else {}
    chex.assert_tree_all_finite(reverse(row.build(**changes), START))


def test_where_reverse_mode_overflows_forward_mode_does_not(x64):
    """At a minimum that the final loss does not share, 1/ε at every step is the derivative by the start.

    A hypergradient does not depend on it, but reverse mode goes through it: take ε larger, or jax.jacfwd.
    """

    def off_minimum(optimizer: Any) -> jax.Array:
        w = jnp.array([0.0, 1.0])
        carry, _, _ = descend(
            lambda w, _: jnp.sum(w**2) / 2, optimizer, start(optimizer, w), None, steps=STEPS
        )
        return jnp.sum((carry.params - 1) ** 2)

    by_rate = jax.jit(lambda rate: jax.jacfwd(lambda rate: off_minimum(jo.adam(rate)))(rate))(0.01)
    h = 1e-6
    losses = [off_minimum(jo.adam(0.01 + step)) for step in (h, -h)]
    np.testing.assert_allclose(by_rate, (losses[0] - losses[1]) / (2 * h), rtol=1e-5)


def assert_central_differences(optimizer: Any) -> None:
    """Compare every derivative by a hyperparameter with a difference of the compiled function itself."""
    by_optimizer, by_start = reverse(optimizer, START)
    chex.assert_tree_all_finite(by_start)
    assert all(leaf != 0 for leaf in jax.tree.leaves(by_optimizer.update)), "nothing to compare"
    numbers, treedef = jax.tree.flatten(optimizer)
    for i, derivative in enumerate(jax.tree.leaves(by_optimizer)):
        h = 1e-5 * abs(numbers[i])
        ends = [[*numbers[:i], numbers[i] + step, *numbers[i + 1 :]] for step in (h, -h)]
        above, below = (float(value(jax.tree.unflatten(treedef, end), START)) for end in ends)
        np.testing.assert_allclose(derivative, (above - below) / (2 * h), rtol=1e-5, err_msg=f"leaf {i}")


def test_through_a_chain_with_clipping_and_a_schedule(x64):
    schedule = jo.schedules.cosine(peak=0.02, steps=150.0, final=0.001)
    clip = jo.lift(optax.clip_by_global_norm)(max_norm=0.4)
    assert_central_differences(jo.chain(clip, jo.adam(learning_rate=schedule, eps=1e-3)))


def test_through_optax_where_optax_can(x64):
    adam = jo.lift(optax.adam)
    # optax mixes dtypes, and jax.lax.scan differentiates it when lift is no longer there to allow that.
    with jax.numpy_dtype_promotion("standard"):
        assert_central_differences(adam(learning_rate=0.01, eps=1e-3, eps_root=1e-5))
        # √ has an infinite slope at the zeros of this problem, and eps_root = 0 leaves them there.
        by_optimizer, _ = reverse(adam(learning_rate=0.01, eps=1e-3), START)
    assert np.isnan(jo.hyperparameters(by_optimizer)["learning_rate"])
    by_optimizer, _ = reverse(jo.adam(learning_rate=0.01, eps=1e-3), START)
    chex.assert_tree_all_finite(by_optimizer)


def test_second_derivatives_are_finite(x64):
    """Newton's method on a learning rate needs one."""
    row = named("adam")

    @jax.jit
    @jax.hessian
    def curvature(rate):
        return final_loss(row.make(**settings(row)[1] | {"learning_rate": rate}), START)

    h = 1e-5
    slopes = [
        jo.hyperparameters(reverse(row.make(**settings(row)[1] | {"learning_rate": rate}), START)[0])
        for rate in (0.01 + h, 0.01 - h)
    ]
    difference = (slopes[0]["learning_rate"] - slopes[1]["learning_rate"]) / (2 * h)
    np.testing.assert_allclose(curvature(0.01), difference, rtol=1e-4)
