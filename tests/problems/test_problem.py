"""What a problem and its factories refuse, and what a problem gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu import problems
from jaxopt_edu.problems import Problem
from jaxopt_edu.problems.problem import named_by_arguments

RIGHT = {
    "why": "To see.",
    "init": lambda key: jnp.ones(2),
    "loss": lambda w, batch: jnp.sum(w * batch.mean(axis=0)),
    "data": jnp.arange(8.0).reshape(4, 2),
    "evaluate": lambda w: {"validation": w[0], "test": w[1]},
    "steps": 10,
    "trivial": 1.0,
    "trivial_is": "the start",
}


@named_by_arguments
def stretched(*, width: int = 2, scale: float = 0.5) -> Problem:
    """A problem that remembers what it was made of."""
    return Problem(**{**RIGHT, "data": jnp.full((4, width), scale)})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("init", 3, "Problem: init = 3; it must be a function."),
        ("loss", None, "Problem: loss = None; it must be a function."),
        ("evaluate", "both", "Problem: evaluate = 'both'; it must be a function."),
        ("steps", 0, "Problem: steps = 0"),
        ("version", 1.5, "Problem: version = 1.5"),
        ("batch_size", -1, "Problem: batch_size = -1"),
        ("mode", "low", "Problem: mode = 'low'"),
    ],
)
def test_what_no_run_could_use_is_refused(name, value, said):
    with pytest.raises((TypeError, ValueError)) as caught:
        Problem(**{**RIGHT, name: value})
    assert str(caught.value).startswith(said)


def test_a_batch_is_the_first_examples_or_what_is_drawn():
    np.testing.assert_array_equal(Problem(**RIGHT, batch_size=2).batch(jax.random.key(0)), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(Problem(**RIGHT).batch(jax.random.key(0)), RIGHT["data"])
    drawn = Problem(**{**RIGHT, "data": lambda key: jax.random.normal(key, (3, 2))})
    np.testing.assert_array_equal(
        drawn.batch(jax.random.key(1)), jax.random.normal(jax.random.key(1), (3, 2))
    )


def test_other_data_or_another_computation_is_another_problem():
    first = Problem(**RIGHT).fingerprint
    assert Problem(**{**RIGHT, "init": lambda key: jnp.ones(2)}).fingerprint == first
    assert Problem(**{**RIGHT, "data": RIGHT["data"] + 1}).fingerprint.data != first.data
    other = Problem(**{**RIGHT, "loss": lambda w, batch: jnp.sum(w * batch.max(axis=0))}).fingerprint
    assert other.data == first.data
    assert other.computation != first.computation


def test_it_is_called_by_what_is_not_usual():
    assert stretched().name == stretched(width=2).name == "stretched"
    assert stretched(width=np.int32(3)).name == "stretched(width=3)"
    assert stretched(scale=2, width=4).name == "stretched(scale=2, width=4)"
    assert stretched(width=3.0).data.shape == (4, 3)


@pytest.mark.parametrize("number", [0, -1, 2.5, "wide", None, float("nan")])
def test_a_size_that_is_none_is_refused(number):
    with pytest.raises((TypeError, ValueError), match=r"^stretched: width = "):
        stretched(width=number)


@pytest.mark.parametrize("number", [0.0, -1, "long", None, float("inf")])
def test_a_number_that_is_not_above_0_is_refused(number):
    with pytest.raises((TypeError, ValueError), match=r"^stretched: scale = "):
        stretched(scale=number)


def test_an_argument_that_it_has_not_is_pythons_own_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        stretched(depth=3)


def test_a_picture_without_unknown_pixels_is_refused():
    with pytest.raises(ValueError, match=r"^completion: share = 1.0; it must be below 0.99"):
        problems.completion(share=1.0)
