"""A sweep is what one would get run by run: paired, reproducible, and no run touches another."""

import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps.engine.program import compiled
from tests.sweeps.regression import (
    ADAMS,
    BATCH,
    DATA,
    EVERY,
    RATES,
    SGDS,
    STEPS,
    assert_same,
    evaluate,
    init,
    loss_fn,
    run,
)

# Side by side, products are summed in another order than alone: float32 noise over a dozen steps.
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def result():
    return run(keep=3)


@pytest.mark.parametrize(("place", "seed"), [(1, 0), (2, 1), (6, 1)])
def test_each_run_is_what_fit_does(result, place, seed):
    key = jax.random.key(seed)
    alone = jo.fit(
        loss_fn,
        init(jax.random.fold_in(key, 0)),
        result.optimizers[place],
        DATA,
        steps=STEPS,
        batch_size=BATCH,
        key=jax.random.fold_in(key, 1),
        evaluate=evaluate,
        every=EVERY,
    ).history
    np.testing.assert_allclose(
        result.curves["training_loss"][place, seed, 1:],
        alone.losses.reshape(-1, EVERY).mean(axis=1),
        rtol=TOLERANCE,
    )
    assert result.curves["training_loss"][place, seed, 0] == pytest.approx(alone.losses[0], rel=TOLERANCE)
    for name in ("loss", "near"):
        np.testing.assert_allclose(
            result.curves[name][place, seed, 1:], alone.evaluations[name], rtol=TOLERANCE
        )


def test_shapes_and_states(result):
    assert result.evaluated_at.tolist() == [0, 4, 8, 12]
    assert {values.shape for values in result.curves.values()} == {(8, 2, 4)}
    assert {values.dtype for values in result.curves.values()} == {np.dtype(np.float32)}
    assert (result.states == "COMPLETE").all()
    assert (result.made == STEPS).all()
    assert (result.metric, result.mode, result.seeds, result.steps) == ("loss", "min", (0, 1), STEPS)
    assert result.final_optimizers == result.optimizers


def test_runs_are_paired_within_a_seed(result):
    for name in ("loss", "near", "training_loss"):
        first = result.curves[name][:, :, 0]
        np.testing.assert_array_equal(first, np.broadcast_to(first[0], first.shape))
        assert first[0, 0] != first[0, 1]


def test_the_same_call_gives_the_same_bits_and_compiles_nothing(result):
    before = compiled.cache_info().misses
    assert_same(run(keep=3), result)
    run([jo.adam(rate / 7) for rate in RATES] + [jo.sgd(rate / 7) for rate in RATES])
    assert compiled.cache_info().misses == before


def test_one_program_for_each_structure():
    before = compiled.cache_info().misses
    run([jo.momentum(0.1), jo.rmsprop(0.1), jo.momentum(0.2), jo.rmsprop(0.2)], evaluate=None)
    assert compiled.cache_info().misses == before + 2


@pytest.mark.parametrize("chunk_size", [8, 3, 1])
def test_the_chunk_size_changes_no_more_than_rounding(result, chunk_size):
    cut = run(chunk_size=chunk_size, keep=3)
    for name, values in result.curves.items():
        np.testing.assert_allclose(cut.curves[name], values, rtol=TOLERANCE)
    assert [best.number for best in cut.top] == [best.number for best in result.top]


def test_alone_a_run_pays_only_for_the_branch_that_it_takes():
    calls = []

    def update(updates, state, params=None):
        del params
        costly = partial(jax.debug.callback, lambda: calls.append(1))
        jax.lax.cond(state % 4 == 0, costly, lambda: None)
        return jax.tree.map(lambda g: -0.1 * g, updates), state + 1

    now_and_then = optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)
    alone = {"seeds": 1, "steps": 8, "every": 8, "devices": jax.devices()[:1]}
    found = run([now_and_then], **alone, chunk_size=1)
    assert len(calls) == 2
    expected = run([jo.sgd(0.1)], **alone)
    np.testing.assert_allclose(found.curves["loss"], expected.curves["loss"], rtol=TOLERANCE)


def test_seeds_of_ones_own_and_more_seeds_than_settings(result):
    seeds = [5, 1, 0, 7, 8, 9, 11, 4, 13]
    several = run(ADAMS[1:2], seeds=seeds)
    assert several.seeds == tuple(seeds)
    for column, seed in ((1, 1), (2, 0)):
        np.testing.assert_allclose(
            several.curves["loss"][0, column], result.curves["loss"][1, seed], rtol=TOLERANCE
        )


def test_the_best_runs_are_kept(result):
    values = result.values()
    order = np.argsort(values, axis=None)
    assert [best.number for best in result.top] == order[:3].tolist()
    for best in result.top:
        place, column = divmod(best.number, 2)
        assert best.value == pytest.approx(values[place, column])
        assert (best.optimizer, best.seed) == (result.optimizers[place], column)
        assert float(evaluate(best.params)["loss"]) == pytest.approx(best.value, rel=1e-5)
        assert jax.tree.structure(best.state) == jax.tree.structure(best.optimizer.init(best.params))
        assert getattr(best.state, "count", STEPS) == STEPS


def test_the_best_run_goes_on_from_where_it_ended(tmp_path):
    def loss(w, batch):
        return jnp.sum((w - 1) ** 2)

    def stateful(w, count, batch):
        return loss(w, batch), count + 1

    start = jnp.zeros(3)
    whole = jo.sweep(loss, start, ADAMS, steps=5).top[0]
    half = jo.sweep(stateful, start, ADAMS, steps=3, model_state=jnp.zeros((), jnp.int32), path=tmp_path).top[
        0
    ]
    stored = jo.sweeps.load(tmp_path).top[0]
    assert (half.step, int(half.model_state), whole.model_state) == (3, 3, None)
    assert (stored.step, [int(leaf) for leaf in stored.model_state.values()]) == (3, [3])
    assert half.optimizer == whole.optimizer
    params: Any = half.params
    state: Any = half.state
    for _ in range(2):
        updates, state = half.optimizer.update(jax.grad(loss)(params, None), state, params)
        params = params + updates
    np.testing.assert_allclose(params, whole.params, rtol=1e-6)
    assert int(state.count) == int(whole.state.count) == 5


def test_a_diverging_run_is_frozen_and_touches_nobody():
    wild = [jo.sgd(rate) for rate in (0.01, 1e20, 0.1, 0.3)]
    found = run(wild)
    assert found.states.tolist() == [["COMPLETE"] * 2, ["DIVERGED"] * 2, ["COMPLETE"] * 2, ["COMPLETE"] * 2]
    # w is about 1e20 after one update; its square is too much for float32 at the next loss.
    assert (found.made[1] == 1).all()
    for values in found.curves.values():
        assert np.isnan(values[1, :, 1:]).all()
        assert np.isfinite(values[1, :, 0]).all()
    # The same program with a tame neighbour: the same bits.
    tame = run([jo.sgd(rate) for rate in (0.01, 0.02, 0.1, 0.3)])
    for name, values in tame.curves.items():
        np.testing.assert_array_equal(found.curves[name][[0, 2, 3]], values[[0, 2, 3]])
    for mode in ("min", "max"):
        assert found.ranking("loss", mode)[-1] == 1


def test_a_run_whose_metric_alone_is_lost_has_diverged():
    def lost(w):
        return {"loss": jnp.where(w["slope"][0] > 0.9, jnp.nan, w["slope"][0])}

    found = run([jo.sgd(rate) for rate in (1e-6, 0.3)], evaluate=lost, seeds=[1])
    assert found.states.ravel().tolist() == ["COMPLETE", "DIVERGED"]
    assert found.made[1, 0] in (4, 8, 12)


def test_the_highest_can_be_best(result):
    highest = run(metric="near", mode="max", keep=1)
    values = highest.values()
    assert highest.top[0].value == values.max()
    assert highest.best().mean == values.mean(axis=1).max()
    np.testing.assert_array_equal(highest.curves["near"], result.curves["near"])


def test_schedules_chains_and_lifted_optimizers_are_axes_like_any_other():
    schedules = [jo.schedules.cosine(peak=peak, steps=STEPS) for peak in (0.1, 0.2)]
    clip = jo.lift(optax.clip_by_global_norm)
    chains = [jo.chain(clip(max_norm=norm), jo.sgd(0.1)) for norm in (0.1, 1.0)]
    lions = jo.grid(jo.lift(optax.lion), learning_rate=[0.01, 0.1])
    plain = [optax.sgd(0.1)]
    found = run(jo.grid(jo.sgd, learning_rate=schedules) + chains + lions + plain, seeds=1)
    values = found.values().ravel()
    assert len(found.groups) == 4
    assert len(set(values.tolist())) == 7
    same = run([jo.sgd(0.1)], seeds=1).values()[0, 0]
    assert values[6] == pytest.approx(same, rel=TOLERANCE)
    assert found.table()[0]["learning_rate.peak"] == pytest.approx(0.1)


def test_a_model_with_a_state_metrics_and_random_state():
    def with_average(w, average, batch):
        loss = loss_fn(w, batch)
        return loss, 0.5 * average + 0.5 * loss, {"offset": w["offset"]}

    found = jo.sweep(
        with_average,
        init,
        [jo.half_state(jo.adam(rate), jax.random.key(3)) for rate in RATES[:2]],
        DATA,
        steps=3,
        every=1,
        batch_size=BATCH,
        seeds=2,
        model_state=jnp.zeros(()),
        evaluate=lambda w, average: average,
    )
    losses = found.curves["training_loss"][..., 1:]
    average = np.zeros(losses.shape[:2], np.float32)
    for step in range(3):
        average = 0.5 * average + 0.5 * losses[..., step]
        np.testing.assert_allclose(found.curves["value"][..., step + 1], average, rtol=1e-5)
    assert (found.curves["offset"][..., :2] == 0).all()
    assert (found.curves["offset"][..., 2:] != 0).all()
    assert jnp.issubdtype(found.top[0].state.key.dtype, jax.dtypes.prng_key)


@pytest.mark.parametrize(
    "data",
    [None, lambda key: {"x": jax.random.normal(key, (4, 3)), "y": jnp.zeros(4)}],
    ids=["none", "random"],
)
def test_data_that_is_made_and_no_data(data):
    def loss(w, batch):
        return loss_fn(w, DATA if batch is None else batch)

    found = jo.sweep(loss, init(jax.random.key(0)), SGDS, data, steps=4, seeds=2, every=2)
    assert found.metric == "training_loss"
    losses = found.curves["training_loss"]
    same = losses[:, 0] == losses[:, 1]
    assert same.all() if data is None else not same.any()
    # Within a seed all settings see the same random batches.
    assert (losses[:, :, 0] == losses[0, :, 0]).all()


def test_whole_data_with_replacement_and_low_precision():
    whole = run(SGDS, batch_size=None, evaluate=None)
    drawn = run(SGDS, replacement=True, evaluate=None)
    assert whole.curves["training_loss"].shape == drawn.curves["training_loss"].shape
    assert not np.array_equal(whole.curves["training_loss"], drawn.curves["training_loss"])

    def half(key):
        return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), init(key))

    def loss(w, batch):
        return loss_fn(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), w), batch)

    found = jo.sweep(loss, half, SGDS, DATA, steps=4, batch_size=BATCH)
    assert found.top[0].params["slope"].dtype == jnp.bfloat16


def test_it_says_how_many_runs_there_will_be(capfd):
    run([*ADAMS[:2], *SGDS[:2]], progress=True)
    error = capfd.readouterr().err
    assert "adam, sgd: 2 optimizers × 2 settings × 2 seeds = 8 runs in 2 programs" in error
    assert "96/96" in error


@pytest.mark.slow
def test_without_jit_it_gives_the_same_runs():
    arguments: dict[str, Any] = {"steps": 2, "every": 1, "batch_size": BATCH}
    expected = jo.sweep(loss_fn, init, SGDS[:2], DATA, **arguments)
    with jax.disable_jit():
        found = jo.sweep(loss_fn, init, SGDS[:2], DATA, devices=jax.devices()[:1], **arguments)
    losses = expected.curves["training_loss"]
    np.testing.assert_allclose(found.curves["training_loss"], losses, rtol=1e-5)


def test_a_guard_against_transfers_lets_a_sweep_pass(tmp_path):
    expected = run(SGDS)
    with jax.transfer_guard("disallow"):
        found = run(SGDS, path=tmp_path)
        jo.sweeps.load(tmp_path)
    assert_same(found, expected)


def test_a_relative_folder_stays_where_it_was(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    run(SGDS, path="here", progress=lambda steps, best: os.chdir(tmp_path / "other"))
    assert list((tmp_path / "other").iterdir()) == []
    assert_same(run(SGDS, path=tmp_path / "here", resume=True), run(SGDS))
