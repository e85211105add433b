import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from jaxopt_edu.plots import animate, frame_count, save, styles
from jaxopt_edu.plots.drawing.animation import Palette
from jaxopt_edu.plots.film.animate import BEGIN, END, FRAME, run_to
from jaxopt_edu.plots.film.heads import Names
from jaxopt_edu.plots.film.stage import build

DOMAIN = ((-8, 8), (-4, 4))
LONG = "adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-8)"


def bowl(w):
    return w[0] ** 2 / 20 + w[1] ** 2


@pytest.fixture(scope="module")
def ways(descents):
    """Two that stay, one that leaves at step 3, one that diverges at step 2."""
    away = np.array([-7.0, 2.0]) * np.array([0.9, -1.4]) ** np.arange(31)[:, None]
    lost = np.array([[-7.0, 2.0], [-6.0, 1.0], *[[np.nan, np.nan]] * 29])
    return {"sgd": descents["sgd"], "adam": descents["adam"], "momentum": away, "nesterov": lost}


@pytest.fixture(scope="module")
def stage(ways):
    return build(bowl, np.array(DOMAIN, float), ways, np.zeros((1, 2)), None, "A title")


def staged(ways, title=None):
    return build(bowl, np.array(DOMAIN, float), ways, np.zeros((0, 2)), None, title)


@pytest.fixture(scope="module")
def animation(ways):
    return animate(bowl, DOMAIN, ways, minima=[(0, 0)], seconds=0.8, title="A title")


def decoded(content: bytes) -> tuple[np.ndarray, list[int], int]:
    with Image.open(io.BytesIO(content)) as image:
        frames, shown = [], []
        count: int = getattr(image, "n_frames", 1)
        for index in range(count):
            image.seek(index)
            frames.append(np.asarray(image.convert("RGB")))
            shown.append(image.info["duration"])
        return np.array(frames), shown, image.info["loop"]


def pixels(animation) -> np.ndarray:
    return np.array([np.asarray(frame.convert("RGB")) for frame in animation.frames])


def test_heads_run_along_the_paths(stage, ways):
    def seen(time):
        return stage.axes.transData.inverted().transform(run_to(stage, time))

    np.testing.assert_allclose(seen(5.0)[:2], [ways[name][5] for name in ("sgd", "adam")], atol=1e-9)
    between = [(ways[name][5] + ways[name][6]) / 2 for name in ("sgd", "adam")]
    np.testing.assert_allclose(seen(5.5)[:2], between, atol=1e-9)
    np.testing.assert_allclose(seen(30.0)[0], ways["sgd"][-1], atol=1e-9)
    assert np.isnan(seen(5.0)[2]).all()  # outside the window
    np.testing.assert_allclose(seen(5.0)[3], ways["nesterov"][1])  # where it was last finite


def test_a_trail_is_the_path_so_far(stage, ways):
    run_to(stage, 7.25)
    sgd, _, momentum, nesterov = stage.runners
    points = ways["sgd"]
    expected = [*points[:8], 0.75 * points[7] + 0.25 * points[8]]
    for line in sgd.trail:
        np.testing.assert_allclose(line.get_xydata(), expected)
    # 2 · 1.4³ = 5.5 is the first point beyond 4.
    np.testing.assert_allclose(np.asarray(momentum.trail[1].get_xydata())[:4], ways["momentum"][:4])
    np.testing.assert_allclose(np.asarray(momentum.trail[1].get_xydata())[4:], ways["momentum"][3:4])
    np.testing.assert_allclose(np.asarray(nesterov.trail[1].get_xydata())[:2], ways["nesterov"][:2])


def test_the_key_says_the_value_or_what_happened(stage, ways):
    def said(time):
        run_to(stage, time)
        return [runner.score.get_text() for runner in stage.runners]

    assert said(2.0)[2:] == [f"{bowl(ways['momentum'][2]):.2g}", "diverged"]
    assert said(30.0)[::2] == [f"{bowl(ways['sgd'][-1]):.2g}", "out at 3"]
    assert stage.clock.get_text().startswith("step 30 of 30")


def test_a_path_that_comes_back_is_only_outside_for_a_while():
    points = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 1.0], [2.0, 1.0]])
    assert staged({"sgd": points}).runners[0].said == ["0", "outside", "outside", "1.2"]


def test_frames_are_as_many_and_as_long_as_asked_for(animation):
    assert len(animation.frames) == frame_count(0.8) == 11
    assert animation.milliseconds == (BEGIN, *[FRAME] * 9, END)
    assert {frame.size for frame in animation.frames} == {(720, animation.frames[0].size[1])}
    assert animation.frames[0].size[1] % 2 == 0


def test_the_first_frame_is_the_start_and_the_last_the_end(animation):
    found = pixels(animation)
    assert (found[0, 2, 2] == 255).all(), "white stays white"
    wanted = np.array(to_rgb(styles(["adam"])["adam"].color)) * 255
    counts = [(np.abs(frame - wanted).max(axis=-1) < 2).sum() for frame in found]
    assert counts[0] > 50
    assert counts[-1] > counts[0], "a trail"
    assert all((one != other).any() for one, other in zip(found[1:], found[:-1], strict=True))


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_a_file_holds_exactly_the_frames(animation, tmp_path, suffix):
    content = save(animation, tmp_path / f"a{suffix}").read_bytes()
    frames, shown, loop = decoded(content)
    np.testing.assert_array_equal(frames, pixels(animation))
    assert (shown, loop) == (list(animation.milliseconds), 0)
    assert content == animation.encode(suffix)


def test_the_same_race_gives_the_same_frames(animation, ways):
    counted = []
    again = animate(bowl, DOMAIN, ways, minima=[(0, 0)], seconds=0.8, title="A title", advance=counted.append)
    np.testing.assert_array_equal(pixels(again), pixels(animation))
    assert sum(counted) == frame_count(0.8)


@pytest.mark.parametrize("time", [0.0, 4.0, 29.0])
def test_words_do_not_overlap(descents, clashes, time):
    stage = staged(descents, "A title " * 9)
    Names(stage).follow(run_to(stage, time))
    assert sum(runner.name.get_visible() for runner in stage.runners) >= 6
    assert clashes(stage.figure) == []


def test_a_long_name_stands_in_the_key_only(ways, clashes):
    stage = staged({LONG: ways["sgd"], "sgd": ways["sgd"]})
    Names(stage).follow(run_to(stage, 3.0))
    assert [runner.name.get_visible() for runner in stage.runners] == [False, True]
    assert {"learning_rate=0.001,", "b1=0.9, b2=0.999,"} <= {text.get_text() for text in stage.figure.texts}
    assert clashes(stage.figure) == []


def test_frequent_colors_are_exact_and_the_others_near():
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    plain = np.full((40, 40, 3), 255, dtype=np.uint8)
    image = Palette([np.concatenate([plain, noise])]).image(np.concatenate([plain, noise]))
    found = np.asarray(image.convert("RGB")).astype(int)
    np.testing.assert_array_equal(found[:40], plain)
    assert np.abs(found[40:] - noise).mean() < 20


def test_bad_input_is_named(ways, animation, tmp_path):
    with pytest.raises(ValueError, match="animate: seconds = 0 is out of range; it must be a positive time"):
        animate(bowl, DOMAIN, ways, seconds=0)
    with pytest.raises(ValueError, match="no trajectories"):
        animate(bowl, DOMAIN, {})
    with pytest.raises(ValueError, match="low below high"):
        animate(bowl, ((8, -8), (-4, 4)), ways)
    with pytest.raises(ValueError, match=r"animation's format .* suffix is '\.png'; .* one of \.webp, \.gif"):
        save(animation, tmp_path / "a.png")
