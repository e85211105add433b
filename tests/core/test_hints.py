"""Names of other libraries are answered with ours, wherever a name is taken."""

import re

import jax
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import schedules
from jaxopt_edu.core.hints import hint
from jaxopt_edu.optimizers import OPTIMIZERS
from jaxopt_edu.recipes import SCHEDULES

KEY = jax.random.key(0)


@pytest.mark.parametrize("factory", OPTIMIZERS, ids=lambda factory: factory.__name__)
def test_every_optimizer_knows_what_lr_is(factory):
    ways = [
        lambda: factory(lr=0.1),
        lambda: jo.replace(factory(), lr=0.1),
        lambda: jo.grid(factory, lr=[0.1]),
        lambda: jo.grid(factory(), lr=[0.1]),
        lambda: jo.sample(factory, 1, key=KEY, lr=jo.uniform(0.1, 1.0)),
        lambda: jo.replace(jo.chain(optax.clip(1.0), factory()), lr=0.1),
    ]
    for way in ways:
        with pytest.raises((TypeError, ValueError), match=r"'lr'.* is learning_rate here") as caught:
            way()
        assert "\n" not in str(caught.value)


def test_lifted_factories_know_it_too():
    for way in [lambda: jo.lift(optax.adam)(lr=0.1), lambda: jo.replace(jo.lift(optax.adam)(0.1), lr=0.1)]:
        with pytest.raises((TypeError, ValueError), match=r"'lr'.* is learning_rate here"):
            way()
    with pytest.raises(TypeError, match=r"^adam: missing a required .*'learning_rate'; its arguments are"):
        jo.lift(optax.adam)()


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_says_what_it_has(name):
    with pytest.raises(TypeError, match=f"^{name}: there is no argument 'wrong'; it has "):
        getattr(schedules, name)(wrong=1.0)


@pytest.mark.parametrize(
    ("factory", "name", "sentence"),
    [
        (jo.adam, "betas", "'betas' is b1 and b2 here."),
        (jo.adam, "beta1", "'beta1' is b1 here."),
        (jo.adam, "momentum", "'momentum' is b1 here."),
        (jo.momentum, "b1", "'b1' is momentum here."),
        (jo.adam, "epsilon", "'epsilon' is eps here."),
        (jo.adam, "alpha", "'alpha' is learning_rate here."),
        (jo.rmsprop, "alpha", "'alpha' is decay here."),
        (jo.rmsprop, "rho", "'rho' is decay here."),
        (jo.adadelta, "alpha", "'alpha' is rho here."),
        (jo.adam, "weight_decay", "weight decay is no part of it: adamw has it, weight_decay"),
        (jo.sgd, "nesterov", "Nesterov's momentum is an optimizer of its own, nesterov."),
        (jo.adam, "learningrate", "Is it learning_rate?"),
        (jo.schedules.cosine, "init_value", "'init_value' is peak here."),
        (jo.schedules.cosine, "decay_steps", "'decay_steps' is steps here."),
        (jo.schedules.exponential, "gamma", "'gamma' is rate here."),
    ],
)
def test_what_it_is_called_here(factory, name, sentence):
    with pytest.raises(TypeError, match=re.escape(sentence)):
        factory(**{name: 0.5})


def test_dotted_names_are_told_with_their_place():
    known = ["slow.learning_rate", "slow.b1"]
    assert hint("lr", known) == " What other libraries call 'lr' is slow.learning_rate here."
    assert hint("qqq", known) == ""
