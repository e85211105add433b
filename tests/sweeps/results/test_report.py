"""The files of a sweep: what they are and what the pictures show."""

import csv
import dataclasses

import jax
import numpy as np
import PIL.Image
import pytest
import scipy.stats
from matplotlib.collections import LineCollection, PathCollection, QuadMesh

import jaxopt_edu as jo
from jaxopt_edu.core.distributions import loguniform, uniform
from jaxopt_edu.plots.drawing.scales import number
from jaxopt_edu.sweeps.results import axes, pictures, report
from jaxopt_edu.sweeps.space.settings import grid, sample
from tests.sweeps.quadratic import STEPS, sweep

RATES = [0.01, 0.1, 0.5, 3.0]


@pytest.fixture(scope="module")
def result():
    """SGD over four learning rates, of which the last diverges, and momentum over three peaks."""
    template = jo.momentum(jo.schedules.cosine(peak=0.1, steps=STEPS))
    peaks = grid(template, **{"learning_rate.peak": [0.02, 0.1, 0.3], "learning_rate.final": [0.0, 0.01]})
    return sweep(grid(jo.sgd, learning_rate=RATES) + peaks)


def lines(figure):
    """The (x, y) of what is drawn, by name."""
    return {
        line.get_label(): np.array(line.get_data())
        for line in figure.axes[0].lines
        if line.get_label() and not line.get_label().startswith("_")
    }


def cells(figure):
    """The values of a heat map's cells, NaN where there is none."""
    (drawn,) = (part for part in figure.axes[0].collections if isinstance(part, QuadMesh))
    return np.ma.filled(np.ma.asarray(drawn.get_array()).astype(float), np.nan)


def test_write(result, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    names = report.write(result, tmp_path)
    assert names == ["summary.txt", "table.csv", "curves.png", "sensitivity.png", "parallel.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "notes.txt"])
    assert (tmp_path / "summary.txt").read_text("utf-8") == result.summary() + "\n"
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == result.states.size
    for name in names[2:]:
        with PIL.Image.open(tmp_path / name) as picture:
            assert picture.size[0] == 1920
            # A picture of nothing is of one colour.
            assert len(set(picture.convert("L").tobytes())) > 50
    with pytest.raises(OSError, match="make the folder"):
        report.write(result, tmp_path / "missing")


def test_curves_are_those_of_the_best_settings_best_first(result):
    drawn = lines(pictures.curves(result))
    assert list(drawn) == ["sgd", "momentum(learning_rate=cosine)"]
    x, y = drawn["sgd"]
    np.testing.assert_array_equal(x, result.evaluated_at)
    np.testing.assert_allclose(y, 9 * 0.5 ** (2 * result.evaluated_at) / 2, rtol=1e-4)


def test_sensitivity_takes_the_best_of_each_learning_rate(result):
    assert axes.learning_rates(result) == {
        "sgd": "learning_rate",
        "momentum(learning_rate=cosine)": "learning_rate.peak",
    }
    figure = report.figures(result)["sensitivity"]
    drawn = lines(figure)
    x, y = drawn["sgd"]
    assert x.tolist() == RATES
    np.testing.assert_allclose(y[:3], [9 * (1 - rate) ** (2 * STEPS) / 2 for rate in RATES[:3]], rtol=1e-4)
    assert np.isnan(y[3])
    x, y = drawn["momentum(learning_rate=cosine)"]
    assert x.tolist() == [0.02, 0.1, 0.3]
    means = result.values()[4:].reshape(3, 2, 3).mean(axis=2)
    chosen = result.values()[4:].reshape(3, 2, 3)[np.arange(3), means.argmin(axis=1)]
    np.testing.assert_allclose(y, np.median(chosen, axis=1))
    assert figure.axes[0].get_xlabel() == "learning rate"


def test_many_samples_are_thinned_to_the_best_of_their_neighbours():
    key = jax.random.key(0)
    found = sweep(sample(jo.momentum, 200, key=key, learning_rate=loguniform(1e-3, 1), momentum=[0.0, 0.5]))
    figure = report.figures(found)["sensitivity"]
    x, y = lines(figure)["momentum"]
    assert len(x) == pictures.INTERVALS
    assert np.diff(np.log(x)).max() < 2.1 * np.log(1e3) / pictures.INTERVALS
    assert y.min() == np.median(found.values(), axis=1)[found.best().index]
    assert figure.axes[0].get_xlabel() == "learning_rate"
    alone = sweep(sample(jo.momentum, 200, key=key, learning_rate=loguniform(1e-3, 1)))
    assert len(lines(report.figures(alone)["sensitivity"])["momentum"][0]) == 200


def test_of_what_is_better_high_the_values_themselves_are_drawn(result):
    found = dataclasses.replace(result, metric="nearness", mode="max")
    drawn = report.figures(found)
    for name, ylabel in (("curves", "nearness"), ("sensitivity", "nearness at the end")):
        assert drawn[name].axes[0].get_ylabel() == ylabel
        assert drawn[name].axes[0].get_yscale() == "linear"
    np.testing.assert_allclose(
        lines(drawn["curves"])["sgd"][1], np.median(result.curves["nearness"][2], axis=0), atol=1e-6
    )
    y = lines(drawn["sensitivity"])["sgd"][1]
    assert np.nanargmax(y) == 2


@pytest.fixture(scope="module")
def several():
    """A grid of momentum, of which some diverge, draws of nesterov, and one setting of SGD."""
    key = jax.random.key(0)
    return sweep(
        grid(jo.momentum, learning_rate=[0.01, 0.1, 0.5, 4.0], momentum=[0.9, 0.0, 0.5])
        + sample(jo.nesterov, 12, key=key, learning_rate=loguniform(1e-3, 1), momentum=uniform(0, 0.9))
        + [jo.sgd(0.1)]
    )


@pytest.fixture(scope="module")
def figures(several):
    return report.figures(several)


def test_what_is_drawn_of_several_optimizers(figures):
    assert list(figures) == [
        "curves",
        "sensitivity",
        "heat-map-momentum",
        "heat-map-nesterov",
        "parallel",
        "budget",
    ]


def test_a_grid_is_drawn_as_cells_with_every_setting_in_its_place(several, figures):
    panel = figures["heat-map-momentum"].axes[0]
    means = several.values()[:12].mean(axis=1).reshape(4, 3)[:, [1, 2, 0]].T  # the axes are sorted
    np.testing.assert_allclose(cells(figures["heat-map-momentum"]), np.where(means > 10, np.nan, means))
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("learning_rate", "momentum")
    best = jo.hyperparameters(several.best(of="momentum").optimizer)
    rings = [line.get_xydata()[0].tolist() for line in panel.lines if line.get_marker() == "o"]
    assert rings == [[best["learning_rate"], best["momentum"]]] * 2


def test_the_hyperparameters_that_are_not_drawn_stand_at_their_best():
    cubed = sweep(grid(jo.adam, learning_rate=[0.1, 0.2, 0.4], b1=[0.0, 0.5, 0.9], b2=[0.9, 0.99, 0.999]))
    pair = axes.two_that_matter(cubed, "adam")
    assert pair is not None
    assert pair[0] == "learning_rate"
    figure = pictures.heat_map(cubed, "adam", "learning_rate", "b2")
    panel = figure.axes[0]
    assert panel.texts[1].get_text() == "adam, the rest at its best"
    assert (panel.get_ylabel(), panel.get_yscale()) == ("1 − b2", "log")
    means = cubed.values().mean(axis=1).reshape(3, 3, 3)
    np.testing.assert_allclose(cells(figure), means.min(axis=1).T[::-1])


def test_draws_are_marks_and_it_is_said_that_the_rest_varies():
    key = jax.random.key(1)
    drawn = sweep(
        sample(jo.adam, 12, key=key, learning_rate=uniform(0.1, 1), b1=uniform(0, 1), b2=[0.9, 0.99])
    )
    figure = pictures.heat_map(drawn, "adam", "learning_rate", "b1")
    (marks,) = (part for part in figure.axes[0].collections if isinstance(part, PathCollection))
    values = np.asarray(marks.get_array())
    means = drawn.values().mean(axis=1)
    assert set(values) <= set(means)
    place = int(np.flatnonzero(means == values[-1])[0])
    chosen = jo.hyperparameters(drawn.optimizers[place])
    np.testing.assert_allclose(np.asarray(marks.get_offsets())[-1], [chosen["learning_rate"], chosen["b1"]])
    assert figure.axes[0].texts[1].get_text() == "adam, the rest at random"


def test_parallel_coordinates_go_through_every_setting(several, figures):
    figure = figures["parallel"]
    written = {text.get_text() for text in figure.axes[0].texts}
    assert {"optimizer", "learning_rate", "momentum", "loss", "sgd", "nesterov", "none"} <= written
    assert "All settings, loss at the end, mean of 3 seeds" in written
    drawn = [part for part in figure.axes[0].collections if isinstance(part, LineCollection)]
    assert sum(len(part.get_segments()) for part in drawn) == len(several.optimizers)


def test_the_best_of_all_settings_is_the_best_of_the_sweep(several, figures):
    drawn = lines(figures["budget"])
    for name in several.groups:
        assert drawn[name][1][-1] == several.best(of=name).mean
    assert drawn["sgd"][0].tolist() == [1]


def pruned(result):
    """As if a rung at step 5 had ended all but three settings, better then than any is at the end."""
    states, made = result.states.copy(), result.made.copy()
    ended = np.argsort(result.ranking())[:, np.newaxis] >= 3
    states[np.broadcast_to(ended, states.shape)] = "PRUNED"
    made[states == "PRUNED"] = 5
    loss = np.where(result.evaluated_at == 5, 1e-9, result.curves["loss"])
    return dataclasses.replace(result, states=states, made=made, curves={"loss": loss})


def test_pruned_settings_are_no_rivals_to_whole_ones(several):
    found = pruned(several)
    drawn = report.figures(found)
    assert "budget" not in drawn
    assert drawn["sensitivity"].axes[0].get_ylabel() == "loss at each run's end"
    whole = found.best()
    name = next(name for name, places in found.groups.items() if whole.index in places)
    texts = [text.get_text() for text in drawn[f"heat-map-{name}"].axes[0].texts]
    assert texts[0].startswith(f"best {number(whole.mean)} at ")
    written = {text.get_text() for text in drawn["parallel"].axes[0].texts}
    assert {"steps made", number(whole.mean)} <= written
    # Nor does their end look like divergence.
    assert "diverged" not in " ".join(text.get_text() for text in drawn["curves"].axes[0].texts)


def test_where_all_is_lost_there_is_little_to_draw():
    found = sweep(grid(jo.momentum, learning_rate=[50.0, 60.0, 70.0, 80.0], momentum=[0.0, 0.1, 0.2]))
    assert (found.states == "DIVERGED").all()
    assert list(report.figures(found)) == ["curves", "sensitivity"]


def test_a_population_has_curves_only(several):
    final = (*several.optimizers[:-1], jo.sgd(0.08))
    assert list(report.figures(dataclasses.replace(several, final_optimizers=final))) == ["curves"]


def test_importance_tells_what_matters_from_noise():
    rows = np.random.default_rng(0)
    learning_rate, noise = rows.uniform(size=(2, 60))
    ranks = np.argsort(np.argsort((learning_rate - 0.6) ** 2 + 0.01 * rows.uniform(size=60)))
    assert axes.importance(learning_rate, ranks) > 0.8
    assert abs(axes.importance(noise, ranks)) < 0.15
    # scipy's statistic: ε² = (H − k + 1) / (n − k).
    classes = np.arange(60) % 4
    statistic = scipy.stats.kruskal(*(ranks[classes == k] for k in range(4))).statistic
    assert axes.importance(classes.astype(float), ranks) == pytest.approx((statistic - 3) / 56)


def test_without_a_range_of_learning_rates_there_is_no_sensitivity():
    found = sweep([jo.sgd(0.1), jo.sgd(0.2), jo.momentum(0.1)], seeds=1)
    assert list(report.figures(found)) == ["curves"]
