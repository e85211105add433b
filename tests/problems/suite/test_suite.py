"""Every problem of the suite can be learned, has right gradients, and is what it says it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu import problems
from jaxopt_edu.core.transform import is_pytree
from jaxopt_edu.problems import CORE, VARIANTS

# A method and a rate with which each is learned; a sweep of rates found them.
LEARNED_WITH = {
    "quadratic_deep": jo.sgd(0.01),
    "cancer_raw": jo.adam(0.03),
    "zipf": jo.adam(0.01),
    "words": jo.adam(0.01),
    "linear_ae": jo.adam(0.03),
    "digits_mlp": jo.adam(0.003),
    "digits_deep": jo.adam(0.003),
    "digits_residual": jo.adam(0.003),
    "digits_ae": jo.adam(0.01),
    "digits_vae": jo.adam(0.001),
    "diabetes_noisy": jo.adam(0.003),
    "completion": jo.adam(0.01),
}
# Of those that are made of whole numbers alone, so that every machine has the same bits.
DATA = {"words": "2eb8cecf3c547547"}


@pytest.fixture(scope="module")
def made():
    """Each problem, made once."""
    return {each.name: each for each in problems.suite("core")}


def test_each_says_what_it_is(made):
    assert list(made) == list(CORE) == list(VARIANTS) == list(LEARNED_WITH)
    for name, each in made.items():
        assert each.name == name
        assert each.why.endswith(".")
        assert each.reference
        assert each.trivial_is
        params = jax.eval_shape(each.init, jax.random.key(0))
        loss = jax.eval_shape(each.loss, params, jax.eval_shape(each.batch, jax.random.key(0)))
        assert (loss.shape, loss.dtype) == ((), jnp.float32)
        assert {each.metric, "test"} <= jax.eval_shape(each.evaluate, params).keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", CORE)
def test_it_is_learned(name, made):
    each = made[name]
    result = jo.sweep(each, [LEARNED_WITH[name]])
    (best,) = result.best().values
    assert np.isfinite(best)
    assert best < 0.92 * each.trivial
    if each.optimum is not None:
        assert best > each.optimum - 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", CORE)
def test_its_gradient_is_that_of_finite_differences(name, made, x64):
    each = made[name]
    double = _double(each.loss)
    params, batch = _double(each.init(jax.random.key(1))), _double(each.batch(jax.random.key(2)))
    direction = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(1.0 * leaf.size)).reshape(leaf.shape), params)

    @jax.jit
    def along(h):
        return double(jax.tree.map(lambda w, d: w + h * d, params, direction), batch)

    h = 1e-6  # between two kinks of the rectifiers
    expected = (along(h) - along(-h)) / (2 * h)
    slope = jax.jit(jax.grad(along))(0.0)
    assert slope == pytest.approx(float(expected), rel=2e-5)
    assert abs(slope) > 1e-6


def _double(tree):
    def leaf(x):
        x = jnp.asarray(x)
        return x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return tree if callable(tree) and not is_pytree(tree) else jax.tree.map(leaf, tree)


def test_it_is_known_again(made):
    again = {each.name: each.fingerprint for each in problems.suite("core")}
    assert again == {name: each.fingerprint for name, each in made.items()}
    assert len(set(again.values())) == len(CORE)
    assert {name: again[name].data for name in DATA} == DATA


@pytest.mark.parametrize("name", CORE)
def test_variants_are_others_and_say_so(name, made):
    one, other = problems.variants(name)
    assert len({one.name, other.name, name}) == 3
    assert one.name.startswith(f"{name}(")
    prints = {each.fingerprint for each in (one, other, made[name])}
    assert len(prints) == 3
    assert one.setup.keys() == {"data", "batch_size", "evaluate", "metric", "mode"}
