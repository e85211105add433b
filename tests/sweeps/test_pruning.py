"""Who goes on at a rung, and that those who do are the runs they would have been."""

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps.engine import lanes, program
from jaxopt_edu.sweeps.pruning import Halving, Hyperband, MedianStopping, PopulationBased, Rung
from tests.sweeps.regression import SGDS, run

RATES = np.geomspace(1e-4, 0.3, 9)
SETTINGS = jo.grid(jo.sgd, learning_rate=[float(rate) for rate in RATES])


@pytest.fixture(scope="module")
def whole():
    return run(SETTINGS, every=1)


def rung(history, index=0):
    history = np.asarray(history, float)
    return Rung(index, np.flatnonzero(~np.isnan(history[:, -1])), history)


def test_halving_keeps_the_best_third():
    assert Halving(min_steps=2, factor=3).cohorts(9, 50)[0].rungs == (2, 6, 18)
    assert Halving().cohorts(9, 270)[0].rungs == (10, 30, 90)
    decision = Halving(factor=3).decide(rung([[5, 9], [9, 2], [1, np.inf], [1, 3], [1, np.nan]]))
    assert decision.kept.tolist() == decision.sources.tolist() == [1, 3]


def test_hyperband_gives_each_bracket_its_share_and_every_setting_a_bracket():
    cohorts = Hyperband(min_steps=1, factor=3).cohorts(100, 9)
    assert [cohort.rungs for cohort in cohorts] == [(1, 3), (3,), ()]
    members = [member for cohort in cohorts for member in cohort.members]
    assert sorted(members) == list(range(100))
    # ∝ 9/3 : 3/2 : 1
    assert [len(cohort.members) for cohort in cohorts] == [55, 27, 18]
    # Of sorted settings every bracket has some of each end.
    assert all(min(cohort.members) < 20 and max(cohort.members) > 79 for cohort in cohorts)


def test_median_stopping_ends_what_was_never_as_good_as_the_average():
    # Averages 3, 5, 6, 9, of which the median is 5.5; the best so far are 1, 4, 6, 9.
    history = [[5, 1], [6, 4], [6, 6], [9, 9]]
    assert MedianStopping(min_steps=1).decide(rung(history)).kept.tolist() == [0, 1]
    lost = MedianStopping(min_steps=1).decide(rung([[np.inf, np.inf]] * 3))
    assert len(lost.kept) >= 1


def test_population_based_training_pairs_the_worst_with_the_best():
    pruner = PopulationBased(interval=1, share=0.4)
    decision = pruner.decide(rung([[3], [np.inf], [1], [2], [9]]))
    assert decision.kept.tolist() == [0, 1, 2, 3, 4]
    assert decision.sources[[0, 2, 3]].tolist() == [0, 2, 3]
    assert sorted(decision.sources[[1, 4]].tolist()) == [2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Halving(min_steps=0), "Halving: min_steps = 0"),
        (lambda: Hyperband(factor=1), "Hyperband: factor = 1 must be a whole number of at least 2"),
        (lambda: MedianStopping(interval=-1), "MedianStopping: interval = -1"),
        (
            lambda: PopulationBased(interval=5, share=0.6),
            "share = 0.6 is out of range; it must be above 0 and at most 0.5",
        ),
        (lambda: PopulationBased(interval=5, factors=(0, 1)), "factors = .* a finite number above 0"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_survivors_are_the_best_at_the_rung_and_go_on_as_if_nothing_had_been(whole):
    found = run(SETTINGS, every=1, prune=Halving(min_steps=2, factor=3))
    at_rung = whole.curves["loss"][:, :, 2].mean(axis=1)
    survivors = np.sort(np.argsort(at_rung)[:3])
    assert np.flatnonzero((found.made > 2).all(axis=1)).tolist() == survivors.tolist()
    last = np.argsort(whole.curves["loss"][survivors, :, 6].mean(axis=1))[:1]
    assert np.flatnonzero((found.states == "COMPLETE").all(axis=1)).tolist() == survivors[last].tolist()
    for name, values in whole.curves.items():
        ended = whole.evaluated_at > found.made[..., None]
        assert np.isnan(found.curves[name][ended]).all()
        # Fewer side by side: products are summed in another order.
        np.testing.assert_allclose(found.curves[name][~ended], values[~ended], rtol=2e-5)
    assert sorted(set(found.made.ravel().tolist())) == [2, 6, 12]
    assert found.best().index == survivors[last][0]


def test_each_kind_is_pruned_among_its_own():
    slow = jo.grid(jo.adam, learning_rate=[1e-6, 1e-5, 1e-4])
    found = run([*slow, *SGDS[:3]], prune=Halving(min_steps=4, factor=3))
    complete = (found.states == "COMPLETE").all(axis=1)
    assert complete[:3].sum() == complete[3:].sum() == 1


def test_hyperband_and_median_stopping_in_a_sweep(whole):
    found = run(SETTINGS, every=1, prune=Hyperband(min_steps=4, factor=3))
    assert set(found.made.ravel().tolist()) == {4, 12}
    assert (found.states == np.where(found.made == 12, "COMPLETE", "PRUNED")).all()
    stopped = run(SETTINGS, every=1, prune=MedianStopping(min_steps=3))
    values = whole.curves["loss"].mean(axis=1)
    kept = values[:, :4].min(axis=1) <= np.median(values[:, :4].mean(axis=1))
    assert ((stopped.made == 3).all(axis=1) == ~kept).all()


def test_a_population_takes_over_parameters_state_and_perturbed_hyperparameters():
    # Two good ones, and two that have no chance by themselves.
    population = [jo.momentum(rate, 0.5) for rate in (0.1, 0.05, 1e-7, 1e20)]
    found = run(population, every=1, prune=PopulationBased(interval=6, share=0.5), seeds=2)
    assert (found.states == "COMPLETE").all(), "the diverged one went on from a good one"
    # After the exchange the two have the losses of those that they took over.
    sources = found.curves["loss"][:2, :, 6]
    taken = found.curves["loss"][2:, :, 7]
    assert (taken < 1.1 * sources.max()).all()
    for optimizer in found.final_optimizers[2:]:
        values = jo.hyperparameters(optimizer)
        factors = [values["learning_rate"] / rate for rate in (0.1, 0.05)]
        assert any(factor == pytest.approx(step) for factor in factors for step in (0.8, 1.25))
        assert values["momentum"] == 0.5, "the same for all, so not searched over"
    assert found.optimizers == tuple(population)
    assert found.final_optimizers[:2] == tuple(population[:2])
    best = found.best()
    assert best.optimizer == found.final_optimizers[best.index]


def test_survivors_are_computed_in_a_smaller_batch():
    settings = jo.grid(jo.sgd, learning_rate=np.geomspace(1e-4, 0.1, 64).tolist())
    seen = []
    lower = lanes.advance.lower

    class Spy:
        """Notes how many settings are side by side in each program."""

        @staticmethod
        def lower(these, *rest, **options):
            seen.append(jax.tree.leaves(these)[0].shape[0])
            return lower(these, *rest, **options)

    program.compiled.cache_clear()  # or another test's program of the same shape is not compiled again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "advance", Spy)
        run(settings, prune=Halving(min_steps=1, factor=4), seeds=1)
    assert seen == [64, 16, 8], "eight devices take eight at least"
