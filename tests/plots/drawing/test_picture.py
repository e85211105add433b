import io
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxopt_edu.plots import animate, curves, heat_map


@pytest.fixture
def shown():
    """What a notebook would show of a cell's value: data and their metadata by MIME type."""
    formatters = pytest.importorskip("IPython.core.formatters")
    return formatters.DisplayFormatter().format


def test_a_figure_shows_by_itself_at_half_its_pixels(shown):
    data, more = shown(curves({"sgd": [3.0, 2.0, 1.0]}, ylabel="loss"))
    with Image.open(io.BytesIO(data["image/png"])) as image:
        assert image.size == (2 * more["image/png"]["width"], 2 * more["image/png"]["height"])
        assert more["image/png"]["width"] == 960


def test_an_animation_shows_by_itself(shown):
    data, _ = shown(
        animate(lambda w: w @ w, ((-2, 2), (-1, 1)), {"sgd": [[1.0, 0.5], [0.1, 0.2]]}, seconds=0.1)
    )
    assert "data:image/webp;base64," in data["text/html"]


def test_a_figure_may_be_pickled(shown):
    figure = heat_map([1.0, 2.0], [1.0, 2.0], np.ones((2, 2)), xlabel="a", ylabel="b", label="c")
    assert shown(pickle.loads(pickle.dumps(figure)))[0]["image/png"] == shown(figure)[0]["image/png"]
