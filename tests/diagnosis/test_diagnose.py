"""diagnose: each fault in a small network that was made to have it, and nothing in a healthy one."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.problems import digits, mlp

PARAMS = mlp.init(jax.random.key(0), (64, 32, 32, 10))
WEIGHTS = {"0/weight", "1/weight", "2/weight"}
LAYERS = {*WEIGHTS, "0/bias", "1/bias", "2/bias"}
DEAD = tuple(
    layer._replace(bias=jnp.full(32, -100.0)) if place == 1 else layer for place, layer in enumerate(PARAMS)
)
CLIPPED = jo.chain(jo.lift(optax.clip_by_global_norm)(0.01), jo.sgd(0.1))


def squares(params, batch):
    """A loss whose gradients grow with the distance, so that steps that are too long run away."""
    return jnp.mean((mlp.apply(params, batch.inputs) - jax.nn.one_hot(batch.labels, 10)) ** 2)


def trained(optimizer: Any, params: Any = PARAMS, loss: Any = mlp.loss, every: int = 50) -> Any:
    """Three stretches on the digits, and what is said of them."""
    opt = jo.monitor(optimizer, every=5 if every > 5 else 1, window=every)
    data = digits().train
    options: dict[str, Any] = {"batch_size": 128, "key": jax.random.key(1), "progress": False}
    result = jo.fit(loss, params, opt, data, steps=3 * every, every=every, **options)
    return jo.diagnose(result, opt)


def named(diagnosis: Any) -> dict[str, set[str]]:
    return {finding.name: set(finding.layers) for finding in diagnosis.findings}


def test_nothing_is_found_in_a_healthy_network():
    diagnosis = trained(jo.adam())
    assert diagnosis.findings == ()
    assert str(diagnosis) == "nothing found in 6 layers, readings of steps 50 to 150."


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [
        jo.sgd(0.1),
        jo.momentum(0.01),
        jo.adamw(),
        jo.lion(),
        jo.muon(),
        jo.chain(optax.clip_by_global_norm(1.0), jo.adam()),
        jo.adam(jo.schedules.warmup_cosine(peak=3e-3, warmup_steps=20, steps=150)),
    ],
    ids=jo.core.kind,
)
def test_nothing_is_found_with_others_either(optimizer):
    assert trained(optimizer).findings == ()


def test_a_layer_of_dead_units():
    """Behind units that are never positive nothing gets a gradient but the last bias."""
    diagnosis = trained(jo.adam(), DEAD)
    assert named(diagnosis) == {"dead": LAYERS - {"2/bias"}}
    (finding,) = diagnosis.findings
    assert (finding.first_step, finding.last_step, finding.measured) == (50, 150, 0.0)


def test_units_that_die_of_a_rate_that_is_too_high():
    assert named(trained(jo.adam(1.0)))["dead"] >= WEIGHTS - {"2/weight"}


def test_a_rate_that_is_too_high():
    """Of squares: the gradient grows from step to step."""
    found = named(trained(jo.sgd(5.0), loss=squares, every=1))
    assert found["exploding"] >= WEIGHTS
    assert found["too fast"] >= WEIGHTS


def test_gradients_below_a_large_eps():
    diagnosis = trained(jo.adam(eps=1.0))
    assert named(diagnosis) == {"eps rules": LAYERS}
    (finding,) = diagnosis.findings
    assert finding.measured == 1.0
    assert "Now eps=1." in finding.advice


@pytest.mark.slow
def test_a_loss_that_is_scaled_down_to_eps():
    small = lambda *arguments: 1e-8 * mlp.loss(*arguments)  # noqa: E731
    assert named(trained(jo.adam(), loss=small))["eps rules"] == LAYERS


def test_a_clip_that_is_far_too_small():
    diagnosis = trained(CLIPPED)
    assert named(diagnosis) == {"always clipped": LAYERS}
    assert "Now max_norm=0.01, learning_rate=0.1." in diagnosis.findings[0].advice


def test_a_momentum_that_is_too_long():
    assert set(named(trained(jo.momentum(0.01, momentum=0.999), every=100))) == {"against the gradient"}


def test_rates_that_are_too_low():
    assert named(trained(jo.adam(1e-6))) == {"too slow": WEIGHTS}
    assert named(trained(jo.adam(1e-9)))["still"] >= WEIGHTS


@pytest.mark.slow
def test_layers_that_need_other_rates():
    found = named(trained(jo.adam(jo.where("0/weight", 1e-6, 1e-2))))
    assert found["too slow"] == {"0/weight"}
    assert "0/weight" in found["layers apart"]


def test_a_report_tells_what_where_when_how_much_and_what_to_try():
    report = str(trained(jo.adam(eps=1.0)))
    assert report.startswith(
        "1 finding in 6 layers, readings of steps 50 to 150:\n\neps rules: all 6 layers ("
    )
    words = re.sub(r"\s+", " ", report)
    assert "all 6 layers (steps 50 to 150)" in words
    assert "eps 1, threshold 0.5. Gradients are smaller" in words
    assert "Try: a smaller eps" in words
    assert max(map(len, report.splitlines())) <= 100


def test_a_report_names_the_layers_where_it_is_not_all_of_them():
    report = str(trained(jo.adam(), DEAD))
    assert "dead: 0/weight, 0/bias, 1/weight, 1/bias, 2/weight (steps 50 to 150)" in report


def test_what_has_no_readings_is_told_in_one_line():
    with pytest.raises(ValueError, match=r"diagnose: record has no readings; train with monitor\("):
        jo.diagnose(jo.training.History(np.zeros(0), {}, np.zeros(0), {}, ""))
    with pytest.raises(TypeError, match=r"diagnose: record = 3 is no readings; give what fit"):
        jo.diagnose(3)
    opt = jo.monitor(jo.sgd())
    with pytest.raises(ValueError, match="diagnose: record has readings of no layer; the monitor was"):
        jo.diagnose(jo.readings(opt, opt.init({}), {}))
    with pytest.raises(ValueError, match="diagnose: record has no readings yet"):
        jo.diagnose(jo.readings(opt, opt.init(jnp.ones(2)), jnp.ones(2)))
