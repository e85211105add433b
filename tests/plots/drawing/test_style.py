import colorsys
import io
import itertools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from PIL import Image

from jaxopt_edu.plots import budget, curves, heat_map, parallel, save, styles
from jaxopt_edu.plots.drawing import style as style_module

AXES: Any = {"xlabel": "rate", "ylabel": "decay", "label": "loss"}
METHODS = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam")
# https://jfly.uni-koeln.de/color/: black, orange, sky blue, bluish green, blue, vermillion, reddish purple
OKABE_ITO = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
YELLOW = "#F0E442"
# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB
BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "none": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}


def linear(color: str) -> np.ndarray:
    values = np.array(to_rgb(color))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast_to_white(color: str) -> float:
    return 1.05 / (float(linear(color) @ np.array([0.2126, 0.7152, 0.0722])) + 0.05)


def cielab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = to_xyz @ rgb.clip(0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("method", METHODS)
def test_lines_and_words_stand_out_from_white(method):
    style = styles(METHODS)[method]
    assert contrast_to_white(style.color) >= 3.0
    assert contrast_to_white(style.text) >= 4.5


def test_every_color_is_one_of_okabe_and_ito_or_that_hue_darkened():
    def hue(color):
        return colorsys.rgb_to_hsv(*to_rgb(color))[0]

    used = set()
    for style in styles(METHODS).values():
        for color in (style.color, style.text):
            nearest = min(
                (one for one in OKABE_ITO if (one == "#000000") == (color == "#000000")),
                key=lambda one: abs(hue(one) - hue(color)),
            )
            assert abs(hue(nearest) - hue(color)) < 0.02, color
            assert contrast_to_white(color) >= contrast_to_white(nearest) - 1e-9
            used.add(nearest)
    assert used == set(OKABE_ITO)
    assert all(abs(hue(YELLOW) - hue(style.color)) > 0.03 for style in styles(METHODS).values())


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colors_stay_apart_without_one_kind_of_cone(blindness):
    seen = [
        cielab(np.array(BLINDNESS[blindness]) @ linear(style.color)) for style in styles(METHODS).values()
    ]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 9


def test_methods_differ_in_color_mark_and_dash():
    found = styles(METHODS).values()
    for part in ("color", "text", "marker", "dash"):
        assert len({getattr(style, part) for style in found}) == len(METHODS), part


def test_a_method_looks_the_same_in_every_figure_and_spelling():
    adam = styles(METHODS)["adam"]
    assert styles(["Adam"])["Adam"] == adam
    assert styles(["other", "adam(learning_rate=0.1)"])["adam(learning_rate=0.1)"] == adam
    both = styles(["adam 0.1", "adam 0.01"])
    assert both["adam 0.1"] == adam
    assert both["adam 0.01"] != adam


@given(st.lists(st.one_of(st.sampled_from(METHODS), st.text(max_size=4)), max_size=40, unique=True))
def test_any_labels_get_distinct_styles_and_the_same_ones_again(labels):
    found = styles(labels)
    assert list(found) == labels
    assert styles(labels) == found
    assert len(set(found.values())) == len(labels)


@pytest.mark.parametrize(
    ("suffix", "head"),
    [(".png", b"\x89PNG\r\n"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")],
)
def test_save_writes_the_format_of_the_suffix_and_the_same_bytes_again(tmp_path, losses, suffix, head):
    figure = curves(losses, ylabel="loss")
    first = save(figure, tmp_path / f"a{suffix}")
    second = save(figure, str(tmp_path / f"b{suffix}"))
    assert first.read_bytes().startswith(head)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_png_shows_something(tmp_path, losses):
    with Image.open(save(curves(losses, ylabel="loss"), tmp_path / "a.png")) as image:
        image.verify()
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert (pixels == 255).all(axis=1).mean() > 0.5
    wanted = np.array(to_rgb(styles(["adam"])["adam"].color)) * 255
    assert (np.abs(pixels - wanted).max(axis=1) < 2).sum() > 100


def test_new_file_has_the_usual_permissions(tmp_path, losses):
    path = save(curves(losses, ylabel="loss"), tmp_path / "a.png")
    (tmp_path / "usual").write_text("")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_save_leaves_the_old_file(tmp_path, losses, monkeypatch, failing):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(PermissionError, match=r"cannot write 'a.png' .*Permission denied"):
        save(curves(losses, ylabel="loss"), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_renderer_leaves_the_old_file(tmp_path, losses, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = curves(losses, ylabel="loss")

    def half(file, **_):
        file.write(b"half a picture")
        raise RuntimeError("no ink")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(RuntimeError, match="no ink"):
        save(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_save_names_what_is_wrong(tmp_path, losses):
    figure = curves(losses, ylabel="loss")
    with pytest.raises(ValueError, match=r"suffix is '\.jpeg'; end the name with one of \.png, \.svg, \.pdf"):
        save(figure, tmp_path / "a.jpeg")
    with pytest.raises(FileNotFoundError, match=r"into the folder .*nowhere.*make the folder"):
        save(figure, tmp_path / "nowhere" / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="into the folder"):
        save(figure, tmp_path / "file" / "a.png")


def test_importing_needs_no_matplotlib_and_calling_says_how_to_get_it():
    program = """
import sys
sys.modules["matplotlib"] = None
sys.modules["matplotlib.figure"] = None
import jaxopt_edu.plots as plots
for call in (
    lambda: plots.curves({"sgd": [2.0, 1.0]}, ylabel="loss"),
    lambda: plots.sensitivity({"sgd": ([0.1, 1.0], [2.0, 1.0])}),
    lambda: plots.budget({"sgd": [2.0, 1.0]}),
    lambda: plots.parallel({"rate": [0.1, 1.0]}, [2.0, 1.0], label="loss"),
    lambda: plots.heat_map([0.1, 1.0], [0.1, 1.0], [2.0, 1.0], xlabel="rate", ylabel="decay", label="loss"),
    lambda: plots.paths(lambda w: w[0] ** 2 + w[1] ** 2, ((-1, 1), (-1, 1)), {"sgd": [[0.5, 0.5]]}),
):
    try:
        call()
    except ImportError as error:
        print(error)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert len(lines) == 6
    assert all('pip install "jaxopt-edu[plots]"' in line for line in lines)


def test_figures_touch_no_global_state():
    program = """
import sys
import jaxopt_edu.plots as plots
assert not any(name.split(".")[0] == "matplotlib" for name in sys.modules), "imported too early"
figure = plots.curves({"sgd": [2.0, 1.0]}, ylabel="loss")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


PICTURES = {
    "budget": lambda: budget({"sgd": [1.0, 3.0, 2.0], "adam": [2.0, np.nan]}),
    "curves": lambda: curves({"sgd": [3.0, 2.0, 1.0], "adam": [2.0, np.nan, 1.0]}, ylabel="loss"),
    "heat_map": lambda: heat_map([1, 2], [1, 3], [[1.0, 2.0], [np.nan, 4.0]], **AXES, marks={"here": (1, 2)}),
    "scattered": lambda: heat_map([1, 2, 3], [1, 3, 2], [1.0, np.nan, 2.0], **AXES),
    "parallel": lambda: parallel({"a": ["x", "y", "y"], "b": [1, 2, None]}, [1.0, np.nan, 2.0], label="loss"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_users_settings_do_not_reach_a_figure(name):
    from matplotlib import rc_context

    def png(figure):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=40)
        return buffer.getvalue()

    plain = png(PICTURES[name]())
    dark: Any = {"text.color": "white", "axes.facecolor": "black", "axes.labelcolor": "white"}
    large: Any = {"figure.facecolor": "black", "axes.grid": True, "axes.edgecolor": "white", "font.size": 40}
    lines: Any = {
        "lines.linewidth": 9,
        "lines.markeredgewidth": 5,
        "hatch.linewidth": 4,
        "hatch.color": "red",
    }
    others: Any = {
        "image.cmap": "jet",
        "image.interpolation": "bicubic",
        "scatter.marker": "d",
        "hatch.color": "red",
    }
    with rc_context(dark | large | lines | others | {"axes.xmargin": 0.3, "legend.frameon": True}):
        assert png(PICTURES[name]()) == plain


def test_smallest_words_are_readable_at_half_size():
    smallest = min(style_module.TITLE, style_module.LABEL, style_module.NOTE)
    assert smallest / 72 * style_module.DPI / 2 >= 12
