from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import QuadMesh

import jaxopt_edu as jo
from jaxopt_edu.plots import layers
from jaxopt_edu.plots.layers import LOOKS
from tests.draws import draw

NAMES = ("embed/kernel", "blocks/0/kernel", "head/bias")
STEPS = np.array([10, 20, 30, 40])


def readings(values: Any, names: tuple[str, ...] = NAMES) -> jo.Readings:
    array = np.asarray(values, np.float64)
    return jo.Readings(STEPS[: len(array)], names, dict.fromkeys(LOOKS, array))


RATIOS = 10 ** draw(4, 3) / 1000


def cells(figure: Any) -> Any:
    (found,) = [part for part in figure.axes[0].collections if isinstance(part, QuadMesh)]
    return found


def notes(figure: Any) -> str:
    return " ".join(text.get_text() for text in figure.axes[0].texts)


def test_a_row_for_each_layer_and_a_cell_for_each_reading():
    figure = layers(readings(RATIOS))
    np.testing.assert_array_equal(cells(figure).get_array(), RATIOS.T)
    np.testing.assert_array_equal(cells(figure).get_coordinates()[0, :, 0], [0, 10, 20, 30, 40])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(NAMES)
    bottom, top = axes.get_ylim()
    assert bottom > top, "the first layer is on top"


def test_ratios_are_pale_where_networks_train_and_have_the_same_colors_in_every_picture():
    mesh = cells(layers(readings([[1e-6, 1e-3, 1.0]])))
    blue, pale, brown = (mesh.cmap(mesh.norm(value))[:3] for value in (1e-6, 1e-3, 1.0))
    assert blue[2] > blue[0]
    assert min(pale) > 0.9
    assert brown[0] > brown[2]
    other = cells(layers(readings([[1e-4, 1e-3, 1e-2]])))
    assert other.norm(1e-4) == mesh.norm(1e-4)


def test_norms_reach_from_the_lowest_to_the_highest():
    mesh = cells(layers(readings([[1.0, 10.0, 100.0]]), what="gradient"))
    np.testing.assert_allclose([mesh.norm(value) for value in (1.0, 10.0, 100.0)], [0, 0.5, 1])
    alike = cells(layers(readings([[1.0, 1.0, 1.0]]), what="gradient"))
    assert alike.norm(1.0) == pytest.approx(0.5)


def test_what_has_no_number_is_hatched_and_said():
    values = [[0.0, 1.0, np.nan]]
    figure = layers(readings(values), what="gradient")
    np.testing.assert_array_equal(np.ma.getmaskarray(cells(figure).get_array())[:, 0], [True, False, True])
    assert "hatched: 0, or no number" in notes(figure)
    figure = layers(readings(values), what="cosine")
    np.testing.assert_array_equal(np.ma.getmaskarray(cells(figure).get_array())[:, 0], [False, False, True])
    assert "hatched: no number" in notes(figure)
    assert "hatched" not in notes(layers(readings(RATIOS)))
    assert np.all(np.ma.getmaskarray(cells(layers(readings([[np.nan] * 3]), what="clipped")).get_array()))


@pytest.mark.parametrize("what", LOOKS)
def test_words_do_not_overlap(what, clashes):
    assert clashes(layers(readings(RATIOS), what=what, title="Layers")) == []


def test_many_layers_and_long_names_stay_readable(clashes):
    names = tuple(f"encoder/{'deep/' * 10}block/{place}" for place in range(200))
    figure = layers(readings(draw(4, 200) ** 2, names), title="Many")
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(shown) == 50
    assert all(len(name) == 44 and name.startswith("…") for name in shown)
    assert clashes(figure) == []
    assert figure.get_figheight() < 17


def test_a_single_reading_of_a_run_is_drawn():
    opt: Any = jo.monitor(jo.sgd())
    params = {"w": jnp.ones(2)}
    _, state = opt.update(params, opt.init(params), params)
    figure = layers(jo.readings(opt, state, params))
    assert figure.axes[0].get_xlim() == (0, 1)
    np.testing.assert_allclose(cells(figure).get_array(), [[0.01]], rtol=1e-6)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"^layers: what = 'speed'; it is 'gradient' or"):
        layers(readings(RATIOS), what="speed")
    with pytest.raises(TypeError, match=r"^layers: record = 3 is no readings"):
        layers(3)
    with pytest.raises(ValueError, match=r"^layers: record has no readings yet"):
        layers(readings(RATIOS)._replace(steps=STEPS[:0]))
