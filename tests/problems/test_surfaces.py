"""Surfaces against published values, hand-derived gradients, SciPy, and their own claims about minima."""

import functools
import math
import re
import unicodedata

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jaxopt_edu import problems
from jaxopt_edu.problems import surfaces
from jaxopt_edu.problems.surfaces import SURFACES, Surface

EPS = float(np.finfo(np.float64).eps)

each_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)


@functools.cache
def values_on(surface: Surface):
    return jax.jit(jax.vmap(surface.function))


@functools.cache
def derivatives_on(surface: Surface):
    return jax.jit(jax.vmap(lambda point: (surface.gradient(point), jax.hessian(surface.function)(point))))


# Published values of the functions, and of their local minima, worked out by hand from the formulas.
KNOWN_VALUES = [
    (problems.bowl, (-7.0, 2.0), 6.45),
    (problems.booth, (0.0, 0.0), 74.0),
    (problems.beale, (0.0, 0.0), 14.203125),
    (problems.beale, (2.0, -1.0), 2.5**2 + 2.25**2 + 1.375**2),
    (problems.rosenbrock, (-1.2, 1.0), 24.2),
    (problems.himmelblau, (0.0, 0.0), 170.0),
    (problems.himmelblau, (-1.0, -3.0), 170.0),
    (problems.styblinski_tang, (1.0, -1.0), -15.0),
    (problems.three_hump_camel, (1.0, 2.0), 2 - 1.05 + 1 / 6 + 2 + 4),
    (problems.six_hump_camel, (1.0, 1.0), 4 - 2.1 + 1 / 3 + 1),
    (problems.goldstein_price, (-0.6, -0.4), 30.0),
    (problems.goldstein_price, (1.8, 0.2), 84.0),
    (problems.goldstein_price, (1.2, 0.8), 840.0),
    (problems.rastrigin, (0.5, -0.5), 40.5),
    (problems.rastrigin, (1.0, 2.0), 5.0),
    (problems.ackley, (1.0, 1.0), 20 * (1 - math.exp(-0.2))),
    (problems.ackley, (0.5, 0.5), 20 + math.e - 20 * math.exp(-0.1) - math.exp(-1)),
    (problems.saddle, (3.0, 2.0), 5.0),
    (problems.monkey_saddle, (1.0, 2.0), -11.0),
]


@pytest.mark.parametrize(
    ("surface", "point", "expected"), KNOWN_VALUES, ids=lambda x: getattr(x, "name", None)
)
def test_values_are_the_published_ones(x64, surface, point, expected):
    # A dozen roundings of terms no larger than a hundred times the result.
    assert float(values_on(surface)(jnp.array([point]))[0]) == pytest.approx(expected, rel=1e3 * EPS)


def test_every_surface_has_a_published_value():
    assert {surface.name for surface, _, _ in KNOWN_VALUES} == {surface.name for surface in SURFACES}


def hand_derived_gradients(x, y):
    return {
        "bowl": (x / 10, 2 * y),
        "booth": (10 * x + 8 * y - 34, 8 * x + 10 * y - 38),
        "himmelblau": (
            4 * x * (x**2 + y - 11) + 2 * (x + y**2 - 7),
            2 * (x**2 + y - 11) + 4 * y * (x + y**2 - 7),
        ),
        "styblinski_tang": (2 * x**3 - 16 * x + 2.5, 2 * y**3 - 16 * y + 2.5),
        "three_hump_camel": (4 * x - 4.2 * x**3 + x**5 + y, x + 2 * y),
        "six_hump_camel": (8 * x - 8.4 * x**3 + 2 * x**5 + y, x - 8 * y + 16 * y**3),
        "rastrigin": tuple(2 * w + 20 * np.pi * np.sin(2 * np.pi * w) for w in (x, y)),
        "saddle": (2 * x, -2 * y),
        "monkey_saddle": (3 * x**2 - 3 * y**2, -6 * x * y),
    }


@pytest.mark.parametrize("name", hand_derived_gradients(0.0, 0.0))
def test_gradients_are_the_hand_derived_ones(x64, name):
    points = np.random.default_rng(0).uniform(-2, 2, (100, 2))
    expected = np.stack(hand_derived_gradients(*points.T)[name], axis=1)
    gradients, _ = derivatives_on(getattr(problems, name))(jnp.asarray(points))
    # Coefficients stay below 100 and points below 2, so every term is below 1e3.
    np.testing.assert_allclose(gradients, expected, rtol=0, atol=1e3 * EPS)


def test_rosenbrock_is_scipys(x64):
    points = np.random.default_rng(0).uniform(-2, 2, (100, 2))
    gradients, hessians = derivatives_on(problems.rosenbrock)(jnp.asarray(points))
    np.testing.assert_allclose(
        values_on(problems.rosenbrock)(jnp.asarray(points)), scipy.optimize.rosen(points.T), rtol=1e-13
    )
    np.testing.assert_allclose(gradients, scipy.optimize.rosen_der(points.T).T, rtol=0, atol=1e4 * EPS)
    expected = np.stack([scipy.optimize.rosen_hess(point) for point in points])
    np.testing.assert_allclose(hessians, expected, rtol=0, atol=1e4 * EPS)


@each_surface
def test_minima_are_stationary_and_have_the_minimum_value(x64, surface):
    if not surface.minima:
        assert surface.minimum is None
        return
    points = jnp.array(surface.minima)
    gradients, hessians = derivatives_on(surface)(points)
    # A coordinate is right to half a unit in the last place, which the Hessian turns into a gradient; twice
    # that again leaves room for the roundings in the evaluation.
    allowed = 4 * EPS * np.abs(hessians).max(axis=(1, 2)) * max(1.0, float(jnp.abs(points).max()))
    assert (np.abs(gradients).max(axis=1) <= allowed).all()
    assert (np.linalg.eigvalsh(hessians) > 0.05).all()
    np.testing.assert_allclose(values_on(surface)(points), surface.minimum, rtol=4 * EPS, atol=EPS)


@each_surface
def test_nothing_in_the_domain_lies_below_the_minimum(x64, surface):
    axes = [jnp.linspace(low, high, 301) for low, high in surface.domain]
    grid = jnp.stack(jnp.meshgrid(*axes), axis=-1).reshape(-1, 2)
    values = values_on(surface)(grid)
    assert np.isfinite(values).all()
    if surface.minimum is None:
        assert values.min() < -1
        return
    # The terms that cancel at a minimum reach some hundred times its value.
    assert values.min() >= surface.minimum - 100 * EPS * max(1.0, abs(surface.minimum))


def test_every_minimum_of_himmelblau_and_six_hump_camel_is_listed(x64):
    for surface in (problems.himmelblau, problems.six_hump_camel):
        assert surface.minimum is not None
        rng = np.random.default_rng(0)
        value_and_gradient = jax.jit(jax.value_and_grad(surface.function))
        low, high = np.array(surface.domain).T
        reached = set()
        for start in rng.uniform(low, high, (60, 2)):
            result = scipy.optimize.minimize(value_and_gradient, start, jac=True, method="BFGS")
            if result.fun < surface.minimum + 1e-8:
                distances = np.linalg.norm(np.array(surface.minima) - result.x, axis=1)
                assert distances.min() < 1e-4
                reached.add(int(distances.argmin()))
        assert reached == set(range(len(surface.minima)))


@each_surface
def test_window_holds_the_start_and_every_listed_point(surface):
    for x, y in (surface.start, *surface.minima, *surface.saddles):
        assert surface.domain[0][0] < x < surface.domain[0][1]
        assert surface.domain[1][0] < y < surface.domain[1][1]


@each_surface
def test_start_is_away_from_every_stationary_point(x64, surface):
    start = jnp.array([surface.start])
    gradients, _ = derivatives_on(surface)(start)
    assert np.isfinite(gradients).all()
    assert np.linalg.norm(gradients) > 0.1
    if surface.minimum is not None:
        assert float(values_on(surface)(start)[0]) > surface.minimum + 0.1


def test_the_article_starts_its_bowl_at_minus_seven_and_two():
    assert problems.bowl.start == (-7.0, 2.0)


def test_saddle_curves_both_ways(x64):
    gradients, hessians = derivatives_on(problems.saddle)(jnp.array(problems.saddle.saddles))
    np.testing.assert_array_equal(gradients, [[0, 0]])
    np.testing.assert_array_equal(np.linalg.eigvalsh(hessians), [[-2, 2]])


def test_monkey_saddle_is_flat_to_second_order_with_three_ways_down(x64):
    gradients, hessians = derivatives_on(problems.monkey_saddle)(jnp.array(problems.monkey_saddle.saddles))
    np.testing.assert_array_equal(gradients, [[0, 0]])
    np.testing.assert_array_equal(hessians, np.zeros((1, 2, 2)))
    angles = np.arange(6) * np.pi / 3
    circle = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    np.testing.assert_allclose(values_on(problems.monkey_saddle)(circle), [1, -1] * 3, atol=16 * EPS)


@pytest.mark.parametrize("differentiate", [jax.grad, jax.jacrev, jax.jacfwd])
def test_ackleys_cusp_has_gradient_zero(differentiate):
    origin = jnp.zeros(2)
    assert float(problems.ackley.function(origin)) == 0.0
    np.testing.assert_array_equal(jax.jit(differentiate(problems.ackley.function))(origin), [0.0, 0.0])


def test_ackleys_cusp_is_a_cusp(x64):
    # √((x² + y²)/2) grows with slope 1/√2 along an axis, times 20 · 0.2 = 4.
    step = jnp.array([1e-9, 0.0])
    assert float(problems.ackley.function(step)) == pytest.approx(1e-9 * 4 / math.sqrt(2), rel=1e-6)
    np.testing.assert_allclose(problems.ackley.gradient(step), [4 / math.sqrt(2), 0.0], rtol=1e-6)
    np.testing.assert_allclose(problems.ackley.gradient(-step), [-4 / math.sqrt(2), 0.0], rtol=1e-6)


@each_surface
def test_dtype_follows_the_input(x64, surface):
    for dtype in (jnp.bfloat16, jnp.float32, jnp.float64):
        point = jax.ShapeDtypeStruct((2,), dtype)
        value, gradient = jax.eval_shape(jax.value_and_grad(surface.function), point)
        assert (value.shape, value.dtype) == ((), dtype)
        assert (gradient.shape, gradient.dtype) == ((2,), dtype)


def test_surfaces_holds_every_surface_under_its_own_name():
    constants = {name: value for name, value in vars(surfaces).items() if isinstance(value, Surface)}
    assert constants == {surface.name: surface for surface in SURFACES}
    for surface in SURFACES:
        assert getattr(problems, surface.name) is surface
        assert surface.formula
        assert surface.reference


FUNCTIONS = {"exp": math.exp, "cos": math.cos, "√": math.sqrt}


def evaluate(formula: str, x: float, y: float) -> float:
    """Read a formula as people do, where 2x², xy and (…) (…) are products."""
    formula = re.sub(r"cos (2π[xy])", r"cos(\1)", formula.translate(str.maketrans("[]−·", "()-*")))
    python = ""
    before = "("
    for token in re.findall(r"exp|cos|√|[\d.]+|[xyeπ²³⁴⁶()+*/-]", formula):
        if token in "²³⁴⁶":
            token = "**" + str(unicodedata.digit(token))
        elif before not in "(+-*/" and before not in FUNCTIONS and token not in ")+-*/":
            python += "*"
        python += token
        before = token
    return eval(
        python.replace("√", "sqrt"),
        FUNCTIONS | {"sqrt": math.sqrt, "π": math.pi, "e": math.e, "x": x, "y": y},
    )


@each_surface
def test_formula_says_what_the_function_computes(surface):
    x, y = 0.7, -0.4
    value = float(surface.function(jnp.array([x, y])))
    assert value == pytest.approx(evaluate(surface.formula, x, y), rel=1e-5)


def test_a_surface_is_a_loss_function_as_it_is():
    import jaxopt_edu as jo

    start = jnp.array(surfaces.bowl.start)
    assert surfaces.bowl(start) == surfaces.bowl.function(start)
    run = jo.fit(surfaces.bowl, start, jo.sgd(0.1), steps=3)
    swept = jo.sweep(surfaces.bowl, start, jo.grid(jo.sgd, learning_rate=[0.1]), steps=3)
    assert float(run.history.losses[0]) == float(surfaces.bowl(start))
    assert swept.values().shape == (1, 1)
