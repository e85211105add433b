"""lift over optax.contrib, generated from its signatures: every number is a leaf, and a leaf that matters."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import lift

STEPS = 12
PARAMS = {"w": jnp.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]]), "b": jnp.array([0.5])}
FACTORIES = {
    name: factory
    for name, factory in vars(optax.contrib).items()
    if inspect.isfunction(factory) and name != "schedule_free_eval_params"  # which makes no optimizer
}
# What arguments without a default are given.
GIVEN = {
    "adv_optimizer": optax.sgd(0.05),
    "base_optimizer": optax.sgd(0.1),
    "inner": optax.sgd(0.1),
    "l2_norm_clip": 0.5,
    "learning_rate": 0.05,
    "noise_multiplier": 0.1,
    "optimizer": optax.sgd(0.1),
    "seed": 0,
}
# Where by default another number hides what one does, such as a bound that is never reached.
INSTEAD = {
    "cocob": {"eps": 5.0},
    "mechanize": {"s_init": 0.1},
    "momo": {"learning_rate": 0.05},
    "momo_adam": {"learning_rate": 1.0},
    "scale_by_muon": {"weight_dimension_numbers": lambda params: {"w": optax.contrib.MuonDimensionNumbers()}},
    "reduce_on_plateau": {"patience": 1, "rtol": 0.118},  # about what a step gains here
    "schedule_free_sgd": {"warmup_steps": 4},
    "sophia": {"gamma": 100.0},
}
FAR = {
    "eps": 10.0,
    "eps_root": 10.0,
    "rtol": 0.9,
    "atol": 10.0,
}  # where half or twice of the number would not be seen
MATRICES_ONLY = {"scale_by_muon"}
AN_EXAMPLE_EACH = {"differentially_private_aggregate", "dpsgd"}
# Whole numbers of which shapes or the program depend: optax annotates them with int, and they are no leaves.
STATIC = {
    "num_betas", "random_seed", "rank", "seed", "sync_period", "update_proj_gap", "warmup_steps",
}  # fmt: skip
# Annotated with int by older releases only.
ONCE_STATIC = {
    "accumulation_size", "cooldown", "ns_steps", "patience",
    "print_win_rate_every_n_steps", "update_interval",
}  # fmt: skip
WITHOUT_EFFECT = {
    ("schedule_free", "learning_rate"): "it only weighs the mean, and a constant weighs all alike",
    ("schedule_free", "weight_lr_power"): "of a constant learning rate every power weighs all alike",
    ("schedule_free_adamw", "weight_lr_power"): "as that of schedule_free, without a warm-up",
    ("sophia", "print_win_rate_every_n_steps"): "it says when something is printed",
}
CLOSED_OVER = {"reduce_on_plateau": "optax compares its numbers with their bounds in Python"}
SEEDS = "ignore:(Specifying a key|.seed. is deprecated)"  # of optax's own, in favour of keys


def build(name: str) -> tuple[jo.Optimizer, list[str]]:
    """The lifted optimizer, and which of its factory's arguments are numbers or tuples of numbers."""
    parameters = inspect.signature(FACTORIES[name]).parameters
    required = {each: GIVEN[each] for each, p in parameters.items() if p.default is p.empty}
    given = required | INSTEAD.get(name, {})
    defaults = {each: p.default for each, p in parameters.items()}
    numbers = [each for each, value in (defaults | given).items() if is_numeric(value)]
    return lift(FACTORIES[name])(**given), numbers


def is_numeric(value: Any) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)


def another(number: str, value: Any) -> Any:
    """Another value in the same range."""
    if isinstance(value, tuple):
        return tuple(another(number, each) for each in value)
    if isinstance(value, int):
        return max(1, value // 2) if value != 1 else 2
    return FAR.get(number) or value / 2 or 0.25


def loss(params: Any) -> jax.Array:
    return jnp.sum(jnp.square(params["w"])) / 2 + 2 * jnp.sum(jnp.square(params.get("b", 0.0)))


def descend(opt: jo.Optimizer, name: str) -> Any:
    """Parameters after some steps, with all that optax's own may ask for besides gradients."""
    first = {"w": PARAMS["w"]} if name in MATRICES_ONLY else PARAMS

    def step(carry: Any, _: None) -> tuple[Any, None]:
        params, state = carry
        value, gradients = jax.value_and_grad(loss)(params)
        extra = {"value": value, "grad": gradients, "value_fn": loss, "obj_fn": loss}
        if name in AN_EXAMPLE_EACH:
            gradients = jax.tree.map(lambda g: jnp.stack([g, 2 * g]), gradients)
        if name == "reduce_on_plateau":  # which scales what others have made
            gradients = jax.tree.map(lambda g: -0.06 * g, gradients)
        updates, state = optax.with_extra_args_support(opt).update(gradients, state, params, **extra)
        return (optax.apply_updates(params, updates), state), None  # type: ignore[arg-type]

    with jax.numpy_dtype_promotion("standard"):
        return jax.lax.scan(step, (first, opt.init(first)), length=STEPS)[0][0]


passed = jax.jit(descend, static_argnums=1)


@pytest.mark.filterwarnings(SEEDS)
@pytest.mark.parametrize("name", FACTORIES)
def test_every_number_of_contribs_is_a_leaf(name):
    opt, numbers = build(name)
    shown = jo.hyperparameters(opt)
    assert set(numbers) - set(shown) <= STATIC | ONCE_STATIC
    assert set(shown).isdisjoint(STATIC)


@pytest.mark.slow
@pytest.mark.filterwarnings(SEEDS)
@pytest.mark.parametrize("name", FACTORIES)
def test_every_leaf_of_contribs_changes_where_it_goes(name):
    opt, numbers = build(name)
    shown = jo.hyperparameters(opt)
    run = passed if name not in CLOSED_OVER else lambda opt, name: jax.jit(lambda: descend(opt, name))()
    before = run(opt, name)
    for number in sorted(set(numbers) & set(shown)):
        after = run(jo.replace(opt, **{number: another(number, shown[number])}), name)
        same = jax.tree.all(jax.tree.map(lambda x, y: np.allclose(x, y, rtol=1e-5), before, after))
        assert same == ((name, number) in WITHOUT_EFFECT), f"{number} = {another(number, shown[number])}"
    if name in CLOSED_OVER:
        with pytest.raises(jax.errors.TracerBoolConversionError):
            passed(opt, name)
