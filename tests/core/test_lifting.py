"""lift over every optax alias: closed over it is optax bit for bit, passed and stacked it works."""

import functools
import inspect
import runpy

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import lift
from jaxopt_edu.core.naming import limits

PARAMS = {"w": np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]], np.float32), "b": np.array([0.5], np.float32)}
STEPS = 3

# How each is built, with the number that a sweep would vary first; every public factory of optax that
# returns a whole optimizer is here or in UNLIFTED.
WITH_LEARNING_RATE = """
    adabelief adadelta adafactor adagrad adam adamax adamaxw adamw adan amsgrad fromage lamb lars lion nadam
    nadamw novograd optimistic_adam_v2 optimistic_gradient_descent radam rmsprop rprop sgd sign_sgd
    signum sm3 yogi
"""
TABLE = {name: {"learning_rate": 0.01} for name in WITH_LEARNING_RATE.split()} | {
    # With its line search it chooses the length of every step itself, whatever the learning rate.
    "lbfgs": {"learning_rate": 0.01, "linesearch": None},
    "noisy_sgd": {"learning_rate": 0.01, "key": 0},
    "polyak_sgd": {"max_learning_rate": 0.01},
}
# signum came with optax 0.2.7; where the installed release lacks a name there is nothing to lift.
FACTORIES = {name: arguments for name, arguments in TABLE.items() if hasattr(optax, name)}
UNLIFTED = {
    "optimistic_adam": "deprecated in favour of optimistic_adam_v2: building one warns",
}
CONTRIBUTED = """
    acprop ademamix adopt cocob dadapt_adamw dog dowg madgrad momo momo_adam muon prodigy schedule_free_adamw
    schedule_free_sgd simplified_ademamix
"""


def loss(params):
    return jnp.sum(jnp.square(params["w"])) / 2 + 2 * jnp.sum(jnp.square(params["b"]))


def descend(opt, params):
    """Parameters after a few steps; optax's own optimizers need standard promotion, and some the loss."""
    with jax.numpy_dtype_promotion("standard"):
        state = opt.init(params)
        for _ in range(STEPS):
            value, gradients = jax.value_and_grad(loss)(params)
            extra = {"value": value, "grad": gradients, "value_fn": loss}
            update = optax.with_extra_args_support(opt).update
            updates, state = update(gradients, state, params, **extra)
            params = optax.apply_updates(params, updates)
        return params


passed = jax.jit(descend)
swept = jax.jit(jax.vmap(descend, in_axes=(0, None)))


def closed_over(opt):
    return jax.jit(lambda params: descend(opt, params))(PARAMS)


def factory(name):
    return getattr(optax, name)


def test_every_alias_is_in_the_table():
    from optax._src import alias

    made_here = [
        value for value in vars(alias).values() if getattr(value, "__module__", "") == alias.__name__
    ]
    names = {value.__name__ for value in made_here if inspect.isfunction(value)} & set(dir(optax))
    partials = {name for name, value in vars(alias).items() if isinstance(value, functools.partial)}
    assert names | partials == FACTORIES.keys() | UNLIFTED.keys()
    assert len(FACTORIES) >= len(TABLE) - 1, "the table has names that no optax has"


def test_those_left_out_are_left_out_for_the_reason_given():
    with pytest.warns(DeprecationWarning, match="optimistic_adam_v2"):
        optax.optimistic_adam(0.1)


@pytest.mark.parametrize("name", FACTORIES)
def test_closed_over_it_gives_the_bits_of_optax(name):
    arguments = FACTORIES[name]
    ours = closed_over(lift(factory(name))(**arguments))
    chex.assert_trees_all_equal(ours, closed_over(factory(name)(**arguments)))
    assert not np.array_equal(ours["w"], PARAMS["w"]), "nothing has moved"


# One of each kind at every run, the rest with the slow tests.
QUICK = {"adam", "adafactor", "lion", "nadam", "polyak_sgd", "rmsprop", "sgd"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FACTORIES]
)
def test_passed_through_jit_and_stacked_under_vmap_it_works(name):
    rate = next(iter(FACTORIES[name]))
    lifted = lift(factory(name))
    opts = [lifted(**FACTORIES[name] | {rate: value}) for value in (0.01, 0.02)]
    alone = closed_over(opts[0])
    # optax's arithmetic on Python floats is in float64 while they are constants: 1 − b2 differs by 2e-5.
    chex.assert_trees_all_close(passed(opts[0], PARAMS), alone, rtol=2e-5, atol=2e-5)
    together = swept(jo.stack(opts), PARAMS)
    for position, opt in enumerate(opts):
        row = jax.tree.map(lambda leaf: leaf[position], together)  # noqa: B023
        chex.assert_trees_all_close(row, passed(opt, PARAMS), rtol=2e-5, atol=2e-5)
    assert not np.array_equal(together["w"][0], together["w"][1]), "the second rate is the first"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CONTRIBUTED.split() if hasattr(optax.contrib, name)])
def test_contributed_optimizers_too(name):
    factory = getattr(optax.contrib, name)
    ours = closed_over(lift(factory)(learning_rate=0.01))
    chex.assert_trees_all_equal(ours, closed_over(factory(learning_rate=0.01)))
    chex.assert_tree_all_finite(passed(lift(factory)(learning_rate=0.01), PARAMS))


@pytest.mark.slow
def test_a_line_search_inside_a_lifted_optimizer():
    chex.assert_trees_all_equal(closed_over(lift(optax.lbfgs)()), closed_over(optax.lbfgs()))
    chex.assert_trees_all_close(passed(lift(optax.lbfgs)(), PARAMS), closed_over(optax.lbfgs()), rtol=1e-4)


def test_it_works_under_strict_promotion():
    """optax.adam alone does not: it raises a float to the power of an integer count."""
    opt, w = lift(optax.adam)(0.5), jnp.ones(2)
    chex.assert_trees_all_close(opt.update(w, opt.init(w), w)[0], -0.5 * w, rtol=1e-5)


def test_numbers_become_leaves_and_everything_else_stays():
    opt = lift(optax.adamw)(0.5, mu_dtype=jnp.bfloat16, mask={"w": True, "b": False}, nesterov=True)
    shown = jo.hyperparameters(opt)
    assert shown == {
        "learning_rate": 0.5, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0, "weight_decay": 1e-4,
    }  # fmt: skip
    assert set(jax.tree.leaves(opt)) == set(shown.values())
    chex.assert_trees_all_close(passed(opt, PARAMS), closed_over(opt), rtol=1e-2)


def test_a_new_number_is_no_new_compilation():
    chex.clear_trace_counter()
    run = jax.jit(chex.assert_max_traces(descend, n=1))
    for rate in (0.1, 0.2, 0.3):
        run(lift(optax.lion)(rate), PARAMS)


def test_schedules_keep_their_leaves():
    opt = lift(optax.sgd)(jo.schedules.cosine(peak=0.1, steps=4))
    plain = lift(optax.sgd)(optax.cosine_decay_schedule(0.1, 4))
    assert len(jax.tree.leaves(plain)) == 0
    chex.assert_trees_all_close(passed(opt, PARAMS), closed_over(plain), rtol=1e-6)


def test_an_optimizer_of_ours_inside_apply_if_finite():
    opt = lift(optax.apply_if_finite)(jo.adam(0.25), max_consecutive_errors=3)
    theirs = optax.apply_if_finite(jo.adam(0.25), max_consecutive_errors=3)
    assert set(jax.tree.leaves(opt)) == {0.25, 0.9, 0.999, 1e-8}
    chex.assert_trees_all_equal(closed_over(opt), closed_over(theirs))
    chex.assert_trees_all_close(passed(opt, PARAMS), closed_over(theirs), rtol=1e-6)


def test_several_optimizers_inside_partition():
    labels = {"w": "fast", "b": "slow"}
    inner = {"fast": jo.sgd(0.1), "slow": jo.momentum(0.01, momentum=0.8)}
    opt = lift(optax.partition)(inner, labels)
    assert set(jax.tree.leaves(opt)) == {0.1, 0.01, 0.8}
    chex.assert_trees_all_equal(closed_over(opt), closed_over(optax.partition(inner, labels)))  # type: ignore[arg-type]
    moved = passed(opt, PARAMS)
    chex.assert_trees_all_equal(moved["w"], passed(jo.sgd(0.1), PARAMS)["w"])
    chex.assert_trees_all_equal(moved["b"], passed(jo.momentum(0.01, momentum=0.8), PARAMS)["b"])


def test_tuples_of_numbers_are_leaves():
    def adam(betas, learning_rate=0.1):
        return optax.adam(learning_rate, *betas)

    opt = lift(adam)((0.5, 0.75))
    assert jo.hyperparameters(opt) == {"betas": (0.5, 0.75), "learning_rate": 0.1}
    chex.assert_trees_all_equal(closed_over(opt), closed_over(optax.adam(0.1, 0.5, 0.75)))


def test_static_arguments_are_no_leaves():
    def repeated(times, learning_rate=0.1):
        return optax.chain(*[optax.scale(2.0)] * times, optax.sgd(learning_rate))

    assert jax.tree.leaves(lift(repeated, static=("times",))(3)) == [0.1, 0.1]
    with pytest.raises(TypeError):
        passed(lift(repeated)(3), PARAMS)  # a traced number cannot repeat a list
    moved = passed(lift(repeated, static=("times",))(1, 0.05), PARAMS)
    chex.assert_trees_all_close(moved, passed(jo.sgd(0.1), PARAMS), rtol=1e-6)
    # Arguments annotated int are static without being named.
    assert jo.hyperparameters(lift(optax.adafactor)(0.1)).keys().isdisjoint({"min_dim_size_to_factor"})


def test_hypergradients_are_those_of_ours():
    @jax.jit
    @jax.grad
    def hypergradient(opt):
        return loss(descend(opt, PARAMS))

    lifted = jo.hyperparameters(hypergradient(lift(optax.sgd)(0.1, momentum=0.8)))
    ours = jo.hyperparameters(hypergradient(jo.momentum(0.1, momentum=0.8)))
    chex.assert_trees_all_close(lifted, ours, rtol=1e-5)


def test_names_of_functions_and_of_their_partial_applications():
    for factory, name in [
        (optax.lion, "lion"),
        (optax.nadam, "nadam"),
        (functools.partial(optax.sgd, 0.1), "sgd"),
    ]:
        assert lift(factory).__name__ == name
    assert jo.describe(lift(optax.nadam)(0.5)).startswith("nadam(learning_rate=0.5, b1=0.9")
    assert inspect.signature(lift(optax.lion)) == inspect.signature(optax.lion)


def test_what_cannot_be_lifted():
    with pytest.raises(TypeError, match=r"is not a factory; pass the function itself"):
        lift(optax.lion(0.1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"'lion' is not a factory"):
        lift("lion")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"chain takes a variable number of arguments \(\*args"):
        lift(optax.chain)
    with pytest.raises(
        ValueError, match=r"sgd has no argument \['lr'\]; it has \['learning_rate', 'momentum'"
    ):
        lift(optax.sgd, static=("lr",))
    with pytest.raises(TypeError, match="learning_rate"):
        lift(optax.sgd)()
    with pytest.raises(TypeError, match=r"mask = .* is neither a number nor hashable"):
        lift(optax.adamw)(0.1, mask={1, 2})


class TestMultiSteps:
    """A factory may make an optax.MultiSteps, which is no transform itself."""

    def test_lifted_it_is_the_transform_that_it_makes(self):
        factory = lambda learning_rate: optax.MultiSteps(optax.sgd(learning_rate), 2)  # noqa: E731
        opt = lift(factory)(learning_rate=0.25)
        assert jo.hyperparameters(opt) == {"learning_rate": 0.25}
        chex.assert_trees_all_close(passed(opt, PARAMS), closed_over(factory(0.25)), rtol=1e-6)

    def test_lifted_itself_its_period_is_static_and_its_optimizer_has_names(self):
        opt = lift(optax.MultiSteps)(jo.momentum(0.25), 2)
        assert jax.tree.leaves(opt.update) == [0.25, 0.9]
        chex.assert_trees_all_close(
            passed(opt, PARAMS), closed_over(optax.MultiSteps(jo.momentum(0.25), 2)), rtol=1e-6
        )


def test_a_function_whose_module_is_not_among_those_imported(tmp_path):
    file = tmp_path / "settings.py"
    file.write_text("import optax\ndef clip(max_norm):\n    return optax.clip_by_global_norm(max_norm)\n")
    names = runpy.run_path(str(file))
    assert jo.describe(lift(names["clip"])(max_norm=1.0)) == "clip(max_norm=1)"
    names: dict = {"__name__": "not imported"}
    exec("import optax\ndef clip(bound): return optax.clip(bound)", names)
    assert jo.describe(lift(names["clip"])(0.5)) == "clip(bound=0.5)"


def test_a_callable_object_may_be_lifted():
    class Clip:
        """An object without a name of its own."""

        def __call__(self, bound):
            return optax.clip(bound)

    assert jo.describe(lift(Clip())(0.5)) == "Clip(bound=0.5)"


COSINE = jo.schedules.cosine(peak=0.5, steps=4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lift(optax.adam)(-1.0), r"^adam: learning_rate = -1.0 is out of range"),
        (lambda: lift(optax.adam)(float("nan")), r"^adam: learning_rate = nan is out of range"),
        (lambda: lift(optax.adam)(0.1, b1=2), r"^adam: b1 = 2 is out of range; .* in \[0, 1\)"),
        (lambda: lift(optax.nadam)(0.1, b2=jnp.float32(1.5)), r"^nadam: b2 = .* is out of range"),
        (lambda: lift(optax.sgd)(0.1, momentum=1.5), r"^sgd: momentum = 1.5 .* a number in \[−1, 1\]"),
        (lambda: lift(optax.rmsprop)(0.1, decay=-0.5), r"^rmsprop: decay = -0.5"),
        (lambda: lift(optax.adamw)(0.1, eps=-1e-8), r"^adamw: eps = -1e-08"),
        (lambda: jo.replace(lift(optax.adam)(0.1), b1=2), r"^adam: b1 = 2 is out of range"),
    ],
)  # fmt: skip
def test_a_number_whose_meaning_is_known_by_its_name_has_a_range(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_optax_allows_is_allowed():
    for opt in [
        lift(optax.sgd)(0.0, momentum=1.0),
        lift(optax.sgd)(0.1, momentum=-0.5),
        lift(optax.trace)(1.5),
        lift(optax.scale_by_learning_rate)(-0.1),
        lift(optax.ema)(1.0),
        lift(optax.adadelta)(None),
        lift(optax.adam)(COSINE, b1=jnp.bfloat16(0.999)),
        lift(lambda learning_rate: optax.sgd(learning_rate))(-1.0),
        jo.stack([lift(optax.sgd)(0.1), lift(optax.sgd)(0.2)]),
    ]:
        assert isinstance(opt, jo.Optimizer)
    assert limits(lift(optax.adam)(0.1))["b2"] == limits(jo.adam())["b2"]
    assert "momentum" not in limits(lift(optax.sgd)(0.1))
    jax.jit(lambda rate: lift(optax.sgd)(rate).init(PARAMS))(-1.0)


def test_a_schedule_where_optax_takes_one_number_is_refused():
    for factory, name in [(optax.scale, "step_size"), (optax.clip, "max_delta"), (optax.adam, "b1")]:
        arguments = {"learning_rate": 0.1} if factory is optax.adam else {}
        with pytest.raises(TypeError, match=rf"^{factory.__name__}: {name} = cosine\(.* is a schedule"):
            lift(factory)(**arguments | {name: COSINE})
    opt = lift(optax.inject_hyperparams(optax.adam))(0.1, b1=COSINE)
    assert jo.hyperparameters(opt)["b1"] is not None
    assert np.all(np.isfinite(passed(opt, PARAMS)["w"]))
