"""Ways over the bowl are described as one would by hand."""

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.textbook.ways import fastest_over_the_bowl, ways_over_the_bowl

STARTS = np.array([[-7.0, 2.0], [4.0, -1.0]], np.float32)


def test_a_way_by_hand():
    ways = ways_over_the_bowl([jo.sgd(0.95), jo.sgd(0.5)], STARTS, reduction=10, budget=60)
    for i, rate in enumerate((0.95, 0.5)):
        for j, start in enumerate(STARTS.astype(np.float64)):
            path = start * np.array([1 - 0.1 * rate, 1 - 2 * rate]) ** np.arange(61)[:, None]
            length = np.hypot(*path.T)
            last = int(np.argmax(length <= length[0] / 10))
            assert ways.steps[i, j] == last
            walked = np.hypot(*np.diff(path[: last + 1], axis=0).T).sum()
            assert ways.detours[i, j] == pytest.approx(walked / length[0], rel=1e-4)
            # 1 − 2 · 0.95 = −0.9: across at every step, and at most by nine tenths; x never changes its sign.
            assert ways.crossings[i, j] == (last if rate == 0.95 else 0)
            assert ways.across[i, j] == pytest.approx(0.9 if rate == 0.95 else 0.0, abs=1e-6)
            assert ways.along[i, j] == 0


def test_coming_by_is_not_arriving():
    # Momentum swings through the minimum: where it first comes near it does not stay.
    ways = ways_over_the_bowl([jo.momentum(0.1)], STARTS, reduction=10, budget=100)
    shorter = ways_over_the_bowl([jo.momentum(0.1)], STARTS, reduction=10, budget=int(ways.steps.max()) - 1)
    assert np.isfinite(ways.steps).all()
    assert np.isnan(shorter.steps).any()


def test_the_fastest_is_that_whose_slowest_run_arrives_first():
    settings = [jo.sgd(rate) for rate in (0.1, 0.95, 1.2)]
    best, way = fastest_over_the_bowl(settings, STARTS, reduction=10, budget=60)
    assert jo.hyperparameters(best) == {"learning_rate": 0.95}
    assert way.steps == np.median(ways_over_the_bowl([best], STARTS, reduction=10, budget=60).steps)
