"""replace, stack and unstack."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import Limit, Optimizer, build
from tests.registry import OPTIMIZERS, each_optimizer, gradient_stream, scan_updates

COSINE = jo.schedules.cosine(peak=0.5, steps=4)


@pytest.mark.parametrize(
    "opt",
    [
        jo.chain(optax.clip(1.0), jo.chain(jo.sgd(0.1), jo.sgd(0.2))),
        jo.chain(jo.sgd(0.3), jo.chain(jo.sgd(0.1), jo.sgd(0.2))),
        jo.chain(jo.chain(jo.sgd(0.1), jo.adam(0.3)), jo.momentum(0.2), jo.sgd(0.4)),
        jo.chain(jo.lift(optax.sgd)(0.3), jo.momentum(0.1)),
        jo.chain(jo.lift(optax.rmsprop)(0.3), jo.rmsprop(0.1), jo.momentum(0.1, momentum=0.5)),
    ],
    ids=jo.describe,
)
def test_every_name_that_hyperparameters_gives_replace_takes(opt):
    before = jo.hyperparameters(opt)
    for name in before:
        after = jo.hyperparameters(jo.replace(opt, **{name: 0.75}))
        assert after == before | {name: 0.75}


@each_optimizer
def test_replace_changes_one_and_leaves_the_original(row):
    opt = row.build()
    for name in row.hyperparameters:
        changed = jo.replace(opt, **{name: 0.75})
        assert jo.hyperparameters(changed) == row.hyperparameters | {name: 0.75}
        assert jo.hyperparameters(opt) == row.hyperparameters
        assert jax.tree.structure(changed) == jax.tree.structure(opt)
    assert jo.hyperparameters(jo.replace(opt)) == row.hyperparameters


@each_optimizer
def test_replace_lists_the_known_names_and_refuses_bad_values(row):
    opt = row.build()
    with pytest.raises(ValueError, match=f"'lr'; it has {', '.join(row.hyperparameters)}"):
        jo.replace(opt, lr=0.1)
    with pytest.raises(ValueError, match=f"{row.name}: learning_rate = -1"):
        jo.replace(opt, learning_rate=-1)
    with pytest.raises(TypeError, match=f"{row.name}: learning_rate = 'fast'"):
        jo.replace(opt, learning_rate="fast")
    with pytest.raises(TypeError, match=r"has shape \(2,\)"):
        jo.replace(opt, learning_rate=[0.1, 0.2])


def test_replace_swaps_numbers_and_schedules():
    opt = jo.replace(jo.sgd(0.1), learning_rate=COSINE)
    assert jo.describe(opt) == "sgd(learning_rate=cosine(peak=0.5, steps=4, final=0))"
    assert jo.describe(jo.replace(opt, learning_rate=0.1)) == "sgd(learning_rate=0.1)"


def test_replace_in_a_chain():
    opt = jo.chain(optax.clip(1.0), jo.sgd(0.1), jo.momentum(0.2))
    assert jo.describe(jo.replace(opt, momentum=0.5, **{"1.learning_rate": 0.3})) == (
        "chain(clip(…), sgd(learning_rate=0.3), momentum(learning_rate=0.2, momentum=0.5))"
    )
    assert jo.describe(opt) == (
        "chain(clip(…), sgd(learning_rate=0.1), momentum(learning_rate=0.2, momentum=0.9))"
    )
    known = r"it has 1\.learning_rate, 2\.learning_rate, momentum"
    for name in (
        "learning_rate",
        "0.learning_rate",
        "7.learning_rate",
        "1.momentum",
        "1x",
        "²",
        "1.",
        "max_delta",
    ):
        with pytest.raises(ValueError, match=known) as caught:
            jo.replace(opt, **{name: 0.5})
        assert repr(name) in str(caught.value)


def test_replace_in_a_lifted_optimizer():
    opt = jo.lift(optax.sgd)(0.1)
    assert jo.hyperparameters(jo.replace(opt, momentum=0.9)) == {"learning_rate": 0.1, "momentum": 0.9}
    g, state = jnp.ones(2), jo.replace(opt, momentum=0.5).init(jnp.ones(2))
    updates, _ = jo.replace(opt, momentum=0.5, nesterov=True).update(g, state)
    np.testing.assert_allclose(updates, -0.1 * 1.5, rtol=1e-6)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'decay'; it has learning_rate, momentum, nesterov"):
        jo.replace(opt, decay=0.9)


def test_replace_refuses_a_transform_whose_numbers_it_cannot_see():
    with pytest.raises(ValueError, match="no hyperparameter 'learning_rate'; it has none"):
        jo.replace(optax.sgd(0.1), learning_rate=0.2)


def test_replace_in_a_stack():
    stacked = jo.stack([jo.momentum(0.5), jo.momentum(0.25)])
    rates = [0.125, 0.0625]
    for value in (rates, tuple(rates), np.array(rates), jnp.array(rates)):
        changed = jo.hyperparameters(jo.replace(stacked, learning_rate=value, momentum=0.5))
        assert changed["learning_rate"].tolist() == rates
        assert changed["momentum"].tolist() == [0.5, 0.5]
    assert jo.hyperparameters(stacked)["learning_rate"].tolist() == [0.5, 0.25]
    with pytest.raises(ValueError, match=r"2 optimizers are stacked, but a value has shape \(3,\)"):
        jo.replace(stacked, learning_rate=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="learning_rate = -1"):
        jo.replace(stacked, learning_rate=[0.1, -1])
    with pytest.raises(ValueError, match="'lr'; it has learning_rate, momentum"):
        jo.replace(stacked, lr=0.1)


def test_replace_in_a_stack_of_chains():
    stacked = jo.stack([jo.chain(jo.sgd(0.5), jo.sgd(0.25)), jo.chain(jo.sgd(0.125), jo.sgd(1))])
    changed = jo.hyperparameters(jo.replace(stacked, **{"1.learning_rate": [0.75, 0.875]}))
    assert {name: value.tolist() for name, value in changed.items()} == {
        "0.learning_rate": [0.5, 0.125],
        "1.learning_rate": [0.75, 0.875],
    }


def test_replace_inside_a_schedule():
    opt = jo.chain(jo.sgd(COSINE), jo.momentum(0.2))
    changed = jo.replace(opt, **{"0.learning_rate.peak": 0.25, "0.learning_rate.steps": 8, "momentum": 0.5})
    assert jo.describe(changed) == (
        "chain(sgd(learning_rate=cosine(peak=0.25, steps=8, final=0)), "
        "momentum(learning_rate=0.2, momentum=0.5))"
    )
    # Together they are right, one after the other they would not be.
    warmed = jo.sgd(jo.schedules.warmup_cosine(peak=1.0, warmup_steps=10, steps=100))
    longer = {"learning_rate.warmup_steps": 200, "learning_rate.steps": 1000}
    assert jo.describe(jo.replace(jo.chain(warmed), **longer)) == (
        "chain(sgd(learning_rate=warmup_cosine(peak=1, warmup_steps=200, steps=1000, final=0)))"
    )
    with pytest.raises(ValueError, match=r"cosine: steps = -1\.0 is out of range"):
        jo.replace(jo.sgd(COSINE), **{"learning_rate.steps": -1.0})
    with pytest.raises(ValueError, match=r"cosine\(.*\) has no part 'top'; it has peak, steps, final"):
        jo.replace(jo.sgd(COSINE), **{"learning_rate.top": 1.0})
    with pytest.raises(ValueError, match=r"0.1 has no part 'peak'; it has none"):
        jo.replace(jo.sgd(0.1), **{"learning_rate.peak": 1.0})
    with pytest.raises(ValueError, match=r"no hyperparameter '1.learning_rate.peak'"):
        jo.replace(jo.chain(jo.sgd(COSINE)), **{"1.learning_rate.peak": 1.0})


def test_replace_works_under_jit():
    @jax.jit
    def updates(opt, rate, w):
        opt = jo.replace(opt, learning_rate=rate)
        return opt.update(w, opt.init(w), w)[0]

    chex.assert_trees_all_equal(updates(jo.sgd(0.1), 0.5, jnp.ones(2)), jnp.full(2, -0.5))


@each_optimizer
def test_unstack_undoes_stack(row):
    opts = [row.build(learning_rate=rate) for rate in (0.5, 0.25, 1)]
    stacked = jo.stack(opts)
    for leaf in jax.tree.leaves(stacked):
        assert leaf.shape == (3,)
    back = jo.unstack(stacked)
    assert [jo.describe(opt) for opt in back] == [jo.describe(opt) for opt in opts]
    gradients = gradient_stream(10)
    chex.assert_trees_all_equal(scan_updates(back[1], gradients), scan_updates(opts[1], gradients))


def test_a_stack_of_one_is_a_stack():
    stacked = jo.stack([jo.adam()])
    assert len(jo.unstack(stacked)) == 1
    assert jo.hyperparameters(stacked)["b1"].shape == (1,)


def test_stacks_of_schedules_and_chains():
    clip = optax.clip(1.0)
    opts = [jo.chain(clip, jo.sgd(jo.schedules.cosine(peak, 8))) for peak in (0.5, 0.25)]
    assert list(map(jo.describe, jo.unstack(jo.stack(opts)))) == list(map(jo.describe, opts))
    lifted = [jo.chain(jo.lift(optax.clip)(bound), jo.sgd(0.1)) for bound in (1.0, 2.0)]
    assert jo.hyperparameters(jo.stack(lifted))["max_delta"].tolist() == [1, 2]
    # Two calls of optax.clip are two functions, and nobody can tell that they do the same.
    with pytest.raises(ValueError, match="each call of an optax factory makes"):
        jo.stack([jo.chain(optax.clip(1.0), jo.sgd(0.1)), jo.chain(optax.clip(1.0), jo.sgd(0.1))])


def test_optimizers_of_different_structure_do_not_stack():
    for other, text in [
        (jo.momentum(0.2), r"momentum\(learning_rate=0.2, momentum=0.9\)"),
        (jo.sgd(COSINE), r"sgd\(learning_rate=cosine\("),
        (jo.chain(jo.sgd(0.1)), r"chain\(sgd\(learning_rate=0.1\)\)"),
    ]:
        with pytest.raises(
            ValueError, match=rf"optimizer 0 is sgd\(learning_rate=0.1\) and optimizer 2 is {text}"
        ):
            jo.stack([jo.sgd(0.1), jo.sgd(0.2), other])
    with pytest.raises(ValueError, match="empty"):
        jo.stack([])


def test_what_is_no_stack_is_not_unstacked():
    for opt in (jo.adam(), jo.chain(optax.clip(1.0)), optax.sgd(0.1)):
        with pytest.raises(ValueError, match="is not a stack"):
            jo.unstack(opt)


def test_a_factory_with_build_alone_has_it_all():
    """What an optimizer of the user's own gets for writing one page."""
    limits = {"learning_rate": Limit(0.0, 10.0, "a number in [0, 10)")}

    def signed(learning_rate=0.1) -> Optimizer:
        return build(signed, OPTIMIZERS[0].state_type, init, update, limits, learning_rate=learning_rate)

    def init(params):
        return OPTIMIZERS[0].state_type(count=jo.core.first_count(params))

    def update(gradients, state, *, learning_rate):
        updates = jo.core.map_rule(lambda g, *, rate: -rate * jnp.sign(g), gradients, rate=learning_rate)
        return updates, OPTIMIZERS[0].state_type(jo.core.next_count(state.count))

    assert jo.describe(jo.replace(signed(), learning_rate=0.5)) == "signed(learning_rate=0.5)"
    w = jnp.array([3.0, -2.0])
    chex.assert_trees_all_close(signed().update(w, signed().init(w), w)[0], jnp.array([-0.1, 0.1]))
    with pytest.raises(
        ValueError, match=r"signed: learning_rate = 10 is out of range; .* a number in \[0, 10\)"
    ):
        signed(learning_rate=10)
