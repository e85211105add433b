"""A sweep that trains a part of the parameters: the rest is there once, for all runs and seeds."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo

BODY = jnp.array([2.0, -1.0])


def loss(params, batch):
    return jnp.sum(params["body"] * params["head"] - 1) ** 2


def init(key):
    return {"body": BODY, "head": jax.random.normal(key, (2,))}


def swept(params_or_init: Any = init, trainable: Any = "head", **changes: Any) -> Any:
    opts = jo.grid(jo.averaged(jo.sgd(0.1)), learning_rate=[0.01, 0.05])
    given = {"steps": 3, "seeds": 2, "keep": 2, "evaluate": lambda params: loss(params, None)} | changes
    return jo.sweep(loss, params_or_init, opts, trainable=trainable, **given)


def test_every_run_is_that_of_the_part_alone(tmp_path):
    result = swept(path=tmp_path / "sweep")
    alone = jo.sweep(
        lambda head, batch: loss({"body": BODY, "head": head}, batch),
        lambda key: init(key)["head"],
        list(result.optimizers),
        steps=3,
        seeds=2,
        keep=2,
        evaluate=lambda head: loss({"body": BODY, "head": head}, None),
    )
    np.testing.assert_array_equal(result.values(), alone.values())
    for run, other in zip(result.top, alone.top, strict=True):
        np.testing.assert_array_equal(run.params["body"], BODY)
        np.testing.assert_array_equal(run.params["head"], other.params)
        np.testing.assert_array_equal(run.held["head"], other.held)
    again = swept(path=tmp_path / "sweep", resume=True)
    np.testing.assert_array_equal(again.top[0].params["head"], result.top[0].params["head"])
    with pytest.raises(ValueError, match="loss_fn"):
        swept({"body": BODY + 1, "head": jnp.ones(2)}, path=tmp_path / "sweep", resume=True)
    best = result.top[0]
    further = jo.fit(loss, best.held, best.optimizer, steps=1, state=best.state, trainable="head")
    np.testing.assert_array_equal(further.params["body"], BODY)


def test_what_is_not_trained_is_the_same_for_all_seeds():
    with pytest.raises(
        ValueError, match=r"^sweep: the leaf head is not trained, and init.* for seed 1 than for"
    ):
        swept(trainable="body")
    assert swept(trainable="body", seeds=1).top[0].params["head"].shape == (2,)


def test_a_predicate_that_means_nothing_is_refused():
    for params in (init, init(jax.random.key(0))):
        with pytest.raises(ValueError, match=r"^sweep: trainable: the pattern 'haed' means no leaf"):
            swept(params, trainable="haed")
