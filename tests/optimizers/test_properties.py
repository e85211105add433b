"""What holds for every optimizer whatever the tree, the dtypes, the gradients and the hyperparameters.

Compiled programs are few (a pool of trees); the numbers that meet them are drawn by hypothesis. Trees of any
structure are drawn where nothing has to be compiled. `pytest -m slow -s` prints the seeds of the long run,
and `--hypothesis-seed` repeats one.
"""

import functools
import math
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import jaxopt_edu as jo
from tests.registry import OPTIMIZERS, Row, named

STEPS = 3
QUICK = 30


class Weights(NamedTuple):
    weight: Any
    bias: Any


def leaf(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


TREES: dict[str, Any] = {
    "nested": {"layer": Weights(leaf(jnp.float32, 2, 3), leaf(jnp.float32)), "frozen": None},
    "short": (leaf(jnp.bfloat16, 3), [leaf(jnp.float16, 2, 2), None], {"empty": leaf(jnp.float32, 0)}),
    "complex": [leaf(jnp.complex64, 2), Weights(leaf(jnp.float32, 1, 2, 1), None)],
    "alike": {"a": leaf(jnp.float32, 3), "b": leaf(jnp.float32, 3), "c": leaf(jnp.float32, 3)},
}
DOUBLE: dict[str, Any] = {"double": {"w": leaf(jnp.float64, 3), "b": leaf(jnp.float32, 2)}}


def reals(tree: Any) -> int:
    """How many real numbers fill a tree."""
    parts = [2 if jnp.issubdtype(x.dtype, jnp.complexfloating) else 1 for x in jax.tree.leaves(tree)]
    return sum(part * math.prod(x.shape) for part, x in zip(parts, jax.tree.leaves(tree), strict=True))


def filled(tree: Any, numbers: np.ndarray) -> Any:
    """The tree with the numbers in it."""
    rest = iter(numbers.tolist())

    def array(x: jax.ShapeDtypeStruct) -> np.ndarray:
        size = math.prod(x.shape)
        values = np.array([next(rest) for _ in range(size)])
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            values = values + 1j * np.array([next(rest) for _ in range(size)])
        return values.reshape(x.shape).astype(x.dtype)

    return jax.tree.map(array, tree)


# Squares of these, and of what comes of them, are neither subnormal nor infinite in float32, nor are the
# numbers themselves in float16: what is left to differ are roundings.
magnitudes = st.floats(2.0**-10, 2.0**10, width=32)
numbers = st.one_of(st.just(0.0), magnitudes, magnitudes.map(lambda x: -x))
# A sign of a sum that cancels is settled by its last rounding; AdaBelief squares a difference; Adan divides a
# sum of two averages, which may cancel, by what may be nothing.
ROUNDING_DECIDES = ("signum", "lion", "rprop", "yogi", "adabelief", "adan")
# Iterations on a matrix raise roundings, by more than these bounds allow.
SMOOTH = [row for row in OPTIMIZERS if row.name not in ROUNDING_DECIDES and row.elementwise]
VALUES = {
    "weight_decay": st.floats(0.0, 1.0),
    "learning_rate": st.floats(1e-4, 1.0),
    "eps": st.floats(1e-8, 0.1),
    "alpha": st.floats(0.0, 10.0),
    "trust": st.floats(1e-4, 1.0),
    **dict.fromkeys(("momentum", "rho", "decay", "b1", "b2", "b3"), st.floats(0.0, 0.999)),
}


class Case(NamedTuple):
    """An optimizer, some settings of it, and gradients for each step."""

    name: str
    tree: str
    settings: list[dict[str, float]]
    gradients: list[Any]

    def build(self, position: int = 0) -> jo.Optimizer:
        return named(self.name).factory(**self.settings[position])


@st.composite
def cases(draw: Any, examples: int, trees: tuple[str, ...] = tuple(TREES), size: int = 1) -> Case:
    """Of all optimizers if there are many examples; each optimizer on each tree is a program to compile."""
    row = draw(st.sampled_from([row for row in SMOOTH if row.in_story or examples > QUICK]))
    place = draw(st.sampled_from(trees))
    chosen = [{key: draw(VALUES[key]) for key in row.hyperparameters} for _ in range(size)]
    tree = (TREES | DOUBLE)[place]
    drawn = draw(npst.arrays(np.float32, (STEPS, reals(tree)), elements=numbers, fill=st.just(0.0)))
    return Case(row.name, place, chosen, [filled(tree, each) for each in drawn])


def check(
    request: pytest.FixtureRequest, examples: int, strategy: st.SearchStrategy, holds: Callable[[Any], None]
) -> None:
    """Let a property hold for so many examples: always the same few, or many with a seed of their own."""
    asked = request.config.getoption("--hypothesis-seed")
    number = int(asked) if asked else 0 if examples == QUICK else random.SystemRandom().randrange(2**32)
    print(f"{request.node.name}: {examples} examples, --hypothesis-seed={number}")

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],  # the first of each kind are compiled
    )
    @given(strategy)
    def run(example: Any) -> None:
        holds(example)

    run()


def quick_and(many: int) -> Any:
    """Run a test with a few examples, and as a slow test with many."""
    return pytest.mark.parametrize(
        "examples", [QUICK, pytest.param(many, marks=pytest.mark.slow)], ids=["quick", "many"]
    )


def update(optimizer: Any, gradients: Any, state: Any) -> Any:
    # They do for the parameters, which some rules read.
    return optimizer.update(gradients, state, gradients)


jitted = jax.jit(update)
mapped = jax.jit(jax.vmap(update, in_axes=(0, None, 0)))


@functools.cache
def initial(name: str, tree: str, x64: bool) -> Any:
    """The first state; neither hyperparameters nor the parameters' numbers have a part in it."""
    del x64  # only tells the two modes apart in the cache
    return named(name).build().init((TREES | DOUBLE)[tree])


def first_state(case: Case) -> Any:
    return initial(case.name, case.tree, jnp.zeros(()).dtype == jnp.float64)


def walk(step: Callable[..., Any], optimizer: Any, case: Case, state: Any) -> list[Any]:
    """The updates and the state after each step."""
    results = []
    for gradients in case.gradients:
        updates, state = step(optimizer, gradients, state)
        results.append((updates, state))
    return jax.device_get(results)


def without_signs(case: Case) -> Case:
    def positive(g: Any) -> Any:
        return (np.abs(g.real) + 1j * np.abs(g.imag)).astype(g.dtype) if np.iscomplexobj(g) else np.abs(g)

    return case._replace(gradients=jax.tree.map(positive, case.gradients))


def parts(tree: Any) -> Iterator[Any]:
    for x in jax.tree.leaves(tree):
        yield from ((x.real, x.imag) if np.iscomplexobj(x) else (x,))


# Every sum is rounded once where XLA fuses it with a product and twice where it does not, and a dozen of
# those make an update. The worst of 4500 cases needed 2.4.
ROUNDINGS = 8


def assert_close(actual: Any, expected: Any, scale: Any) -> None:
    """Equal but for roundings of the numbers that were added up.

    Sums cancel, so a result's own last place says nothing; `scale` is the same walk with positive gradients,
    where every sum is one of magnitudes. In short dtypes one more unit comes from the last rounding.
    """
    chex.assert_trees_all_equal_shapes_and_dtypes(actual, expected)
    for a, e, s in zip(parts(actual), parts(expected), parts(scale), strict=True):
        if jnp.issubdtype(a.dtype, jnp.integer):
            np.testing.assert_array_equal(a, e)
            continue
        information = jnp.finfo(a.dtype)
        work = min(float(information.eps), float(np.finfo(np.float32).eps))
        last = 0.0 if information.bits >= 32 else float(information.eps)
        a, e, s = (np.asarray(x, np.float64) for x in (a, e, s))
        allowed = ROUNDINGS * work * np.abs(s) + last * np.abs(e)
        # Adam with b2 = 0 divides by ε alone where a gradient vanishes: that may be too much for float16.
        finite = np.isfinite(e) & np.isfinite(s)
        assert np.array_equal(a[~finite], e[~finite]), f"{a} against {e}"
        assert np.all(np.abs(a[finite] - e[finite]) <= allowed[finite]), f"{a} against {e}, allowed {allowed}"


def compiled_is_eager(case: Case) -> None:
    optimizer = case.build()
    scale = walk(jitted, optimizer, without_signs(case), first_state(case))
    compiled = walk(jitted, optimizer, case, first_state(case))
    assert_close(walk(update, optimizer, case, first_state(case)), compiled, scale)


@quick_and(600)
def test_compiled_and_not_compiled_agree(request, examples):
    check(request, examples, cases(examples), compiled_is_eager)


@quick_and(200)
def test_compiled_and_not_compiled_agree_in_float64(request, examples, x64):
    check(request, examples, cases(examples, ("double",)), compiled_is_eager)


@quick_and(600)
def test_vmap_over_a_stack_is_a_loop(request, examples):
    def holds(case: Case) -> None:
        optimizers = [case.build(i) for i in range(3)]
        states = jax.tree.map(lambda x: np.stack([x] * len(optimizers)), first_state(case))
        stacked = jax.tree.map(lambda *leaves: np.array(leaves, np.float32), *optimizers)
        together = walk(mapped, stacked, case, states)
        for i, optimizer in enumerate(optimizers):
            scale = walk(jitted, optimizer, without_signs(case), first_state(case))
            alone = walk(jitted, optimizer, case, first_state(case))
            assert_close(jax.tree.map(lambda x, i=i: x[i], together), alone, scale)

    check(request, examples, cases(examples, size=3), holds)


@quick_and(600)
def test_a_chain_of_one_is_that_one_to_the_bit(request, examples):
    def holds(case: Case) -> None:
        optimizer = case.build()
        alone = walk(jitted, optimizer, case, first_state(case))
        chained = walk(jitted, jo.chain(optimizer), case, (first_state(case),))
        chex.assert_trees_all_equal(chained, [(updates, (state,)) for updates, state in alone])

    check(request, examples, cases(examples), holds)


@functools.cache
def closed_over(name: str, tree: str, values: tuple[float, ...]) -> tuple[Any, Any]:
    """A program for one tree in which the optimizer is a constant, and the optimizer."""
    row = named(name)
    optimizer = row.make(**dict(zip(row.hyperparameters, values, strict=True)))
    return jax.jit(lambda _, gradients, state: update(optimizer, gradients, state)), optimizer


@quick_and(1000)
def test_passed_and_closed_over_agree_to_the_bit(request, examples):
    """With the table's hyperparameters: each setting is a program of its own."""

    def holds(case: Case) -> None:
        step, optimizer = closed_over(case.name, case.tree, tuple(named(case.name).hyperparameters.values()))
        passed = walk(jitted, optimizer, case, first_state(case))
        chex.assert_trees_all_equal(walk(step, None, case, first_state(case)), passed)

    check(request, examples, cases(examples, ("nested", "complex")), holds)


@pytest.mark.slow
def test_passed_and_closed_over_agree_for_any_setting(request):
    """Up to roundings: of a constant the compiler computes 1 − βᵗ itself, now and then one rounding apart."""

    def holds(case: Case) -> None:
        step, optimizer = closed_over(case.name, case.tree, tuple(case.settings[0].values()))
        scale = walk(jitted, optimizer, without_signs(case), first_state(case))
        passed = walk(jitted, optimizer, case, first_state(case))
        assert_close(walk(step, None, case, first_state(case)), passed, scale)

    check(request, 50, cases(50, ("alike",)), holds)


@quick_and(600)
def test_updates_of_a_permuted_dict_are_permuted_to_the_bit(request, examples):
    def holds(example: tuple[Case, list[str]]) -> None:
        case, order = example
        optimizer = case.build()

        def permuted(gradients: dict) -> dict:
            return dict(zip("abc", (gradients[name] for name in order), strict=True))

        plain = walk(jitted, optimizer, case, first_state(case))
        other = case._replace(gradients=list(map(permuted, case.gradients)))
        for (updates, _), (moved, _) in zip(
            plain, walk(jitted, optimizer, other, first_state(case)), strict=True
        ):
            chex.assert_trees_all_equal(permuted(updates), moved)

    check(request, examples, st.tuples(cases(examples, ("alike",)), st.permutations("abc")), holds)


shapes = st.sampled_from([(), (3,), (2, 3), (1, 2, 1), (0,), (2, 0)])
dtypes = st.sampled_from([jnp.float32, jnp.bfloat16, jnp.float16, jnp.complex64])
any_tree = st.recursive(
    st.none() | st.builds(lambda dtype, shape: leaf(dtype, *shape), dtypes, shapes),
    lambda children: st.one_of(
        st.dictionaries(st.sampled_from("abcd"), children, max_size=3),
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        st.builds(Weights, children, children),
    ),
    max_leaves=6,
)


@quick_and(200)
def test_any_tree_is_worked_on_leaf_by_leaf(request, examples):
    """The update of a tree is the tree of its leaves' updates, to the bit, and nothing else is touched."""

    def holds(example: tuple[Row, Any, int]) -> None:
        row, tree, number = example
        optimizer = row.build()
        gradients = filled(tree, np.random.default_rng(number).normal(size=reals(tree)))
        state = optimizer.init(tree)
        updates, after = optimizer.update(gradients, state, gradients)
        chex.assert_trees_all_equal_shapes_and_dtypes(updates, tree)
        chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
        for name in row.memory:
            assert jax.tree.structure(getattr(after, name)) == jax.tree.structure(tree)
        backwards = jax.tree.leaves(gradients)[::-1]
        alone = optimizer.update(backwards, optimizer.init(backwards), backwards)[0]
        chex.assert_trees_all_equal(jax.tree.leaves(updates), jax.tree.leaves(alone)[::-1])
        chained, _ = jo.chain(optimizer).update(gradients, (state,), gradients)
        chex.assert_trees_all_equal(chained, updates)

    # Of the others tests/optimizers/test_client_trees.py says so; matrices cost too much uncompiled.
    rows = st.sampled_from([row for row in OPTIMIZERS if row.elementwise])
    check(request, examples, st.tuples(rows, any_tree, st.integers(0, 2**32 - 1)), holds)
