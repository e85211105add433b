"""hyperparameters, settings, describe and kind."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import kind, settings
from jaxopt_edu.core.naming import limits
from tests.registry import OPTIMIZERS, each_optimizer

COSINE = jo.schedules.cosine(peak=0.5, steps=4)


def state_after(opt, steps):
    w = jnp.ones(2)
    state = opt.init(w)
    for _ in range(steps):
        with jax.numpy_dtype_promotion("standard"):
            _, state = opt.update(w, state, w)
    return state


@each_optimizer
def test_hyperparameters_reads_what_the_factory_was_given_in_its_order(row):
    assert list(jo.hyperparameters(row.build()).items()) == list(row.hyperparameters.items())


@each_optimizer
def test_with_a_state_schedules_are_numbers(row):
    opt = row.build(learning_rate=COSINE)
    for steps in (0, 1, 4, 6):
        values = jo.hyperparameters(opt, state_after(opt, steps))
        np.testing.assert_allclose(
            values.pop("learning_rate"), 0.25 * (1 + np.cos(np.pi * min(steps / 4, 1))), atol=1e-7
        )
        assert values == {name: row.hyperparameters[name] for name in values}


@each_optimizer
def test_with_another_optimizers_state_it_refuses(row):
    other = next(other for other in OPTIMIZERS if other.name != row.name).build()
    with pytest.raises(TypeError, match=row.state_type.__name__):
        jo.hyperparameters(row.build(), state_after(other, 0))


def test_hyperparameters_of_a_chain_are_counted_only_where_names_clash():
    opt = jo.chain(jo.lift(optax.clip_by_global_norm)(max_norm=1.0), jo.sgd(0.1), jo.momentum(0.2))
    assert jo.hyperparameters(opt) == {
        "max_norm": 1.0,
        "1.learning_rate": 0.1,
        "2.learning_rate": 0.2,
        "momentum": 0.9,
    }


def test_hyperparameters_of_a_chain_with_a_state():
    opt = jo.chain(optax.clip(1.0), jo.chain(jo.sgd(COSINE)), jo.lift(optax.adam)(COSINE))
    values = jo.hyperparameters(opt, state_after(opt, 2))
    np.testing.assert_allclose([values["1.learning_rate"], values["2.learning_rate"]], 0.25, rtol=1e-6)
    for state in (state_after(opt, 0)[:2], jnp.zeros(2), {}):  # type: ignore[index]
        with pytest.raises(ValueError, match="tuple of 3 states"):
            jo.hyperparameters(opt, state)


def test_hyperparameters_of_a_lifted_optimizer_with_a_state():
    opt = jo.lift(optax.adamw)(COSINE, weight_decay=0.5)
    assert jo.hyperparameters(opt)["learning_rate"] is not None
    values = jo.hyperparameters(opt, state_after(opt, 2))
    np.testing.assert_allclose(values["learning_rate"], 0.25, rtol=1e-6)
    assert values["weight_decay"] == 0.5

    def clip(max_delta):
        return optax.clip(max_delta)

    lifted = jo.lift(clip)(COSINE)
    with pytest.raises(ValueError, match="clip: max_delta is a schedule, but the state given has no count"):
        jo.hyperparameters(lifted, optax.EmptyState())


def test_an_optax_transform_shows_no_hyperparameters():
    assert jo.hyperparameters(optax.sgd(0.1)) == {}
    assert jo.hyperparameters(jo.chain(optax.sgd(0.1))) == {}


def test_describe():
    stacked = jo.stack([jo.sgd(rate) for rate in (0.5, 0.25, 0.125, 1)])
    warmed = jo.schedules.joined([jo.schedules.warmup(1.0, 2), optax.cosine_decay_schedule(1.0, 9)], [2])
    for opt, text in [
        (jo.adam(), "adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08)"),
        (jo.sgd(jnp.float32(0.25)), "sgd(learning_rate=0.25)"),
        (stacked, "sgd(learning_rate=[0.5, 0.25, 0.125, …])"),
        (jo.sgd(optax.linear_schedule(1.0, 0.0, 9)), "sgd(learning_rate=polynomial_schedule(…))"),
        (
            jo.sgd(warmed),
            "sgd(learning_rate=joined(schedules=[warmup(peak=1, steps=2, initial=0), "
            "cosine_decay_schedule(…)], boundaries=[2]))",
        ),
        (jo.chain(optax.clip(1.0), jo.sgd(1)), "chain(clip(…), sgd(learning_rate=1))"),
        (optax.clip_by_global_norm(1.0), "clip_by_global_norm(…)"),
        (jo.lift(optax.sgd)(0.5, momentum=0.25), "sgd(learning_rate=0.5, momentum=0.25)"),
        (
            jo.lift(optax.apply_if_finite)(jo.sgd(0.5), max_consecutive_errors=3),
            "apply_if_finite(inner=sgd(learning_rate=0.5), max_consecutive_errors=3)",
        ),
    ]:  # fmt: skip
        assert jo.describe(opt) == text


def test_describe_inside_jit_names_the_tracer():
    texts = []
    jax.jit(lambda opt: texts.append(jo.describe(opt)))(jo.sgd(0.1))
    assert texts == ["sgd(learning_rate=traced float32[])"]


def test_settings_are_all_numbers_by_the_names_that_replace_takes():
    warmed = jo.schedules.joined([jo.schedules.warmup(1.0, 2), COSINE], [2])
    inner = jo.lift(optax.apply_if_finite)(jo.sgd(COSINE), max_consecutive_errors=3)
    for opt, expected in [
        (jo.momentum(0.25), {"learning_rate": 0.25, "momentum": 0.9}),
        (
            jo.sgd(warmed),
            {
                "learning_rate.schedules.0.peak": 1.0,
                "learning_rate.schedules.0.steps": 2.0,
                "learning_rate.schedules.0.initial": 0.0,
                "learning_rate.schedules.1.peak": 0.5,
                "learning_rate.schedules.1.steps": 4.0,
                "learning_rate.schedules.1.final": 0.0,
                "learning_rate.boundaries.0": 2.0,
            },
        ),
        (
            jo.chain(jo.lift(optax.clip)(1.0), jo.sgd(COSINE), jo.momentum(0.25)),
            {
                "max_delta": 1.0,
                "1.learning_rate.peak": 0.5,
                "1.learning_rate.steps": 4.0,
                "1.learning_rate.final": 0.0,
                "2.learning_rate": 0.25,
                "momentum": 0.9,
            },
        ),
        (
            inner,
            {
                "inner.learning_rate.peak": 0.5,
                "inner.learning_rate.steps": 4.0,
                "inner.learning_rate.final": 0.0,
            },
        ),
        (jo.sgd(optax.linear_schedule(1.0, 0.0, 9)), {}),
    ]:
        assert list(settings(opt).items()) == list(expected.items())
        for name in expected:
            changed = jo.replace(opt, **{name: 0.75})
            assert settings(changed) == expected | {name: 0.75}
            assert jax.tree.structure(changed) == jax.tree.structure(opt)


LABELS = {"w": "slow", "b": "fast"}
PARAMS = {"w": jnp.ones(2), "b": jnp.ones(2)}
GROUPS = {"slow": jo.sgd(0.25), "fast": jo.chain(jo.momentum(0.5), jo.sgd(COSINE))}
# Optimizers that are arguments of others, with every number by its name.
NESTED = [
    (
        jo.lift(optax.partition)(GROUPS, LABELS),
        "fast.0.learning_rate fast.momentum fast.1.learning_rate.peak fast.1.learning_rate.steps "
        "fast.1.learning_rate.final slow.learning_rate",
        "partition(transforms={fast: chain(momentum(learning_rate=0.5, momentum=0.9), "
        "sgd(learning_rate=cosine(peak=0.5, steps=4, final=0))), slow: sgd(learning_rate=0.25)}, "
        "param_labels={b: 'fast', w: 'slow'})",
    ),
    (
        jo.lift(optax.masked)(jo.sgd(0.25), lambda params: {"w": True, "b": False}),
        "inner.learning_rate",
        "masked(inner=sgd(learning_rate=0.25), mask=lambda)",
    ),
    (
        jo.lift(optax.apply_if_finite)(jo.momentum(0.25), 3),
        "inner.learning_rate inner.momentum",
        "apply_if_finite(inner=momentum(learning_rate=0.25, momentum=0.9), max_consecutive_errors=3)",
    ),
    (
        jo.lift(optax.MultiSteps)(jo.sgd(0.25), 4),
        "opt.learning_rate",
        "MultiSteps(opt=sgd(learning_rate=0.25), every_k_schedule=4)",
    ),
    (
        jo.lift(optax.inject_hyperparams(optax.sgd))(0.25, momentum=0.5),
        "learning_rate momentum",
        "sgd(learning_rate=0.25, momentum=0.5)",
    ),
    (
        jo.chain(optax.clip(1.0), jo.lift(optax.partition)({"all.of": jo.sgd(0.25)}, {"w": "all.of"})),
        "all.of.learning_rate",
        "chain(clip(…), partition(transforms={all.of: sgd(learning_rate=0.25)}, "
        "param_labels={w: 'all.of'}))",
    ),
    (
        jo.lift(optax.apply_if_finite)(
            jo.lift(optax.partition)({"w": jo.sgd(0.25), "b": optax.sgd(1.0)}, LABELS), 1
        ),
        "inner.w.learning_rate",
        "apply_if_finite(inner=partition(transforms={b: chain(…), w: sgd(learning_rate=0.25)}, "
        "param_labels={b: 'fast', w: 'slow'}), max_consecutive_errors=1)",
    ),
]  # fmt: skip
each_nested = pytest.mark.parametrize(
    ("opt", "names", "text"), NESTED, ids=[kind(opt).partition("(")[0] for opt, *_ in NESTED]
)


@each_nested
def test_numbers_of_an_optimizer_that_is_an_argument_have_names(opt, names, text):
    assert jo.describe(opt) == repr(opt) == text
    before = settings(opt)
    assert " ".join(before) == names
    assert set(before.values()) <= set(jax.tree.leaves(opt))
    for name in before:
        changed = jo.replace(opt, **{name: 0.75})
        assert settings(changed) == before | {name: 0.75}
        assert jax.tree.structure(changed) == jax.tree.structure(opt)
        assert kind(changed) == kind(opt)
    assert set(limits(opt)) <= set(jo.hyperparameters(opt))


def test_a_group_is_replaced_whole_or_by_its_full_place():
    opt = NESTED[0][0]
    changed = jo.replace(opt, **{"transforms.slow.learning_rate": 0.75})
    assert jo.hyperparameters(changed)["slow.learning_rate"] == 0.75
    whole = jo.replace(opt, slow=jo.momentum(0.125))
    assert jo.hyperparameters(whole)["slow.momentum"] == 0.9
    with pytest.raises(
        ValueError, match=r"no hyperparameter 'learning_rate'; it has .*, slow\.learning_rate\."
    ):
        jo.replace(opt, learning_rate=0.75)


def test_the_limits_of_an_inner_optimizer_hold():
    opt = NESTED[0][0]
    assert limits(opt)["fast.momentum"] == limits(jo.momentum())["momentum"]
    with pytest.raises(ValueError, match=r"momentum: momentum = 1\.0 is out of range"):
        jo.replace(opt, **{"fast.momentum": 1.0})


def test_schedules_inside_groups_are_asked_at_their_own_count():
    opt = NESTED[0][0]
    state = opt.init(PARAMS)
    for _ in range(2):
        _, state = opt.update(PARAMS, state, PARAMS)
    values = jo.hyperparameters(opt, state)
    np.testing.assert_allclose(values["fast.1.learning_rate"], 0.25, rtol=1e-6)
    assert values["slow.learning_rate"] == 0.25
    with pytest.raises(ValueError, match="fast has a schedule, but there is no state of it"):
        jo.hyperparameters(opt, optax.EmptyState())


def test_arguments_that_are_no_numbers_are_shown_shortly():
    mask = {f"layer{i}": i > 2 for i in range(100)}
    cosine = optax.cosine_decay_schedule(0.1, 10)
    for opt, text in [
        (jo.lift(optax.lbfgs)(memory_size=2), "lbfgs(memory_size=2)"),
        (jo.lift(optax.lbfgs)(), "lbfgs()"),
        (
            jo.lift(optax.add_decayed_weights)(0.5, mask),
            "add_decayed_weights(weight_decay=0.5, mask={layer0: False, layer1: False, layer10: True, "
            "layer11: True, …})",
        ),
        (
            jo.lift(optax.trace)(0.5, accumulator_dtype=jnp.bfloat16),
            "trace(decay=0.5, accumulator_dtype=bfloat16)",
        ),
        (jo.lift(optax.sgd)(cosine), "sgd(learning_rate=cosine_decay_schedule(…))"),
        (
            jo.lift(optax.add_noise)(0.5, 0.25, jax.random.key(0)),
            "add_noise(eta=0.5, gamma=0.25, key=random key)",
        ),
    ]:  # fmt: skip
        assert jo.describe(opt) == text
        assert kind(opt).startswith(text.partition("(")[0])


def test_settings_of_a_stack_are_arrays():
    stacked = jo.stack([jo.sgd(jo.schedules.constant(value)) for value in (0.5, 0.25)])
    assert settings(stacked)["learning_rate.value"].tolist() == [0.5, 0.25]


def test_settings_of_a_partial_of_the_users_own():
    def halving(step, *, rate):
        return rate * 0.5**step

    opt = jo.sgd(jax.tree_util.Partial(halving, rate=0.5))
    changed = jo.replace(opt, **{"learning_rate.rate": 0.25})
    assert settings(opt) == {"learning_rate.rate": 0.5}
    assert float(jo.hyperparameters(changed, state_after(changed, 1))["learning_rate"]) == 0.125


def test_kind_is_what_is_left_without_the_numbers():
    lifted = jo.lift(optax.sgd)
    for opt, expected in [
        (jo.adam(0.5), "adam"),
        (jo.adam(COSINE), "adam(learning_rate=cosine)"),
        (jo.sgd(optax.linear_schedule(1.0, 0.0, 9)), "sgd(learning_rate=polynomial_schedule)"),
        (lifted(0.5), "sgd"),
        (lifted(0.5, momentum=0.9), "sgd(momentum=…)"),
        (lifted(0.5, momentum=0.9, nesterov=True), "sgd(momentum=…, nesterov=True)"),
        (jo.chain(optax.clip(1.0), jo.sgd(COSINE)), "chain(clip, sgd(learning_rate=cosine))"),
        (
            jo.lift(optax.apply_if_finite)(jo.sgd(0.5), max_consecutive_errors=3),
            "apply_if_finite(inner=sgd, max_consecutive_errors=3)",
        ),
        (optax.clip(1.0), "clip"),
    ]:
        assert kind(opt) == expected
