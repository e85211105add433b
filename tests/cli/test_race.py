"""`race` writes what it prints, keeps to what it was told, and loses nothing."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from jaxopt_edu.cli import main
from jaxopt_edu.optimizers import STORY

NAMES = [factory.__name__ for factory in STORY]
CONTROL_CODES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def table(folder, name):
    with open(Path(folder) / f"{name}.csv", newline="", encoding="utf-8") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def test_on_the_bowl(place, capsys):
    assert main(["race", "--problem", "bowl", "--steps", "5"]) == 0
    printed = capsys.readouterr()
    assert os.listdir(place) == ["race"]
    assert sorted(contents("race")) == ["bowl-paths.png", "bowl.csv", "bowl.json", "race.txt"]
    assert printed.out.endswith("wrote race/: bowl.csv, bowl.json, bowl-paths.png\n")
    assert printed.out.startswith("bowl: x²/20 + y² from (−7, 2), 5 steps")

    rows = table("race", "bowl")
    assert sorted(rows) == sorted(NAMES)
    # The article's settings; SGD's last point by hand: x · (1 − 0.095)⁵, y · (1 − 1.9)⁵.
    assert rows["sgd"]["setting"] == "sgd(learning_rate=0.95)"
    expected = (7 * 0.905**5) ** 2 / 20 + (2 * 0.9**5) ** 2
    assert float(rows["sgd"]["loss"]) == pytest.approx(expected, rel=1e-5)
    cells = [line.split() for line in printed.out.splitlines()]
    shown = [row for row in cells if row and row[0] in NAMES]
    assert [row[0] for row in shown] == list(rows)
    for row, numbers in zip(shown, rows.values(), strict=True):
        assert row[-3] == f"{float(numbers['loss']):.2e}"


def test_progress_is_plain_text_where_there_is_no_terminal(capsys):
    main(["race", "--problem", "bowl", "--methods", "sgd,adam", "--steps", "2"])
    printed = capsys.readouterr()
    assert not CONTROL_CODES.search(printed.err)
    assert not CONTROL_CODES.search(printed.out)
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("bowl ")
    assert "100 %" in printed.err


def test_methods_settings_problems_and_folder(place, capsys):
    words = "race --problem beale --problem bowl --methods adam,sgd --steps 4 --set adam.b1=0.5 --out there"
    assert main([*words.split(), "--set", "sgd.learning_rate=0.001"]) == 0
    assert os.listdir(place) == ["there"]
    assert {"beale.csv", "beale.json", "beale-paths.png", "bowl.csv"} <= set(contents("there"))
    beale, bowl = table("there", "beale"), table("there", "bowl")
    assert sorted(beale) == sorted(bowl) == ["adam", "sgd"]
    assert beale["sgd"]["setting"] == bowl["sgd"]["setting"] == "sgd(learning_rate=0.001)"
    assert "b1=0.5" in beale["adam"]["setting"]
    assert bowl["adam"]["setting"] == "adam(learning_rate=0.3, b1=0.5, b2=0.999, eps=1e-08)"
    out = capsys.readouterr().out
    assert out.index("beale: ") < out.index("bowl: ")


def test_a_diverging_run_is_shown(capsys):
    words = "race --problem bowl --methods sgd --steps 300 --set sgd.learning_rate=3"
    assert main(words.split()) == 0
    assert "diverged" in capsys.readouterr().out
    content = json.loads(Path("race/bowl.json").read_text("utf-8"))
    assert content["table"][0]["loss"] is None


def test_an_earlier_race_is_replaced_as_a_whole(capsys):
    main(["race", "--problem", "bowl", "--problem", "saddle", "--methods", "sgd", "--steps", "2"])
    assert "saddle.csv" in contents("race")
    main(["race", "--problem", "bowl", "--methods", "adam", "--steps", "2"])
    assert "saddle.csv" not in contents("race")
    assert list(table("race", "bowl")) == ["adam"]


@pytest.mark.parametrize(
    "broken",
    ["jaxopt_edu.cli.race.race_on_surface", "jaxopt_edu.cli.race.surface_report", "jaxopt_edu.plots.save"],
)
def test_an_earlier_race_survives_a_failing_one(place, capsys, monkeypatch, broken):
    main(["race", "--problem", "bowl", "--methods", "sgd", "--steps", "2"])
    before = contents("race")

    def fails(*words, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broken, fails)
    capsys.readouterr()
    assert main(["race", "--problem", "bowl", "--methods", "adam", "--steps", "3"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1] == "jaxopt-edu race: [Errno 28] No space left on device"
    assert contents("race") == before
    assert os.listdir(place) == ["race"]


def test_a_bug_is_not_hidden(place, monkeypatch):
    def buggy(*words, **options):
        raise TypeError("a bug")

    monkeypatch.setattr("jaxopt_edu.cli.race.race_on_surface", buggy)
    with pytest.raises(TypeError, match="a bug"):
        main(["race", "--problem", "bowl"])
    assert os.listdir(place) == []


def command(*words):
    script = Path(sys.executable).with_name("jaxopt-edu")
    began = time.perf_counter()
    done = subprocess.run([script, *words], capture_output=True, text=True, check=False)
    print(f"jaxopt-edu {' '.join(words)}: {time.perf_counter() - began:.1f} s")
    assert done.returncode == 0, done.stderr
    assert not CONTROL_CODES.search(done.stderr)
    return done


def test_a_race_over_a_surface_may_be_animated(capsys, monkeypatch):
    monkeypatch.setattr("jaxopt_edu.race.animation.SECONDS", 0.4)
    words = "race --problem saddle --methods sgd,momentum --steps 4 --animate"
    assert main(words.split()) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith("saddle-paths.png, saddle-race.webp, saddle-race.gif\n")
    assert printed.err.splitlines()[1].startswith("saddle: animation ")
    assert printed.err.count("100 %") == 2
    for name in ("saddle-race.webp", "saddle-race.gif"):
        with Image.open(Path("race", name)) as image:
            assert (getattr(image, "n_frames", 1), image.size[0]) == (6, 720)


def test_only_a_race_over_a_surface_may_be_animated(place, capsys):
    assert main(["race", "--problem", "digits", "--animate"]) == 2
    assert "--animate shows a race over a surface, and digits is none" in capsys.readouterr().err
    assert os.listdir(place) == []


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["bowl", "beale"])
def test_animations_are_small(problem):
    command("race", "--problem", problem, "--animate", "--steps", "100")
    for suffix in ("webp", "gif"):
        assert Path(f"race/{problem}-race.{suffix}").stat().st_size < 3_000_000


@pytest.mark.slow
def test_digits_end_to_end():
    done = command("race", *["--problem", "digits", "--methods", "sgd,adam", "--steps", "20", "--seeds", "3"])
    assert sorted(contents("race")) == [
        "digits-curves.png",
        "digits-sensitivity.png",
        "digits.csv",
        "digits.json",
        "race.txt",
    ]
    rows = table("race", "digits")
    assert sorted(rows) == ["adam", "sgd"]
    for row in rows.values():
        assert int(row["runs"]) == 12 * 3
        # Guessing gives ln 10 = 2.3 and 10 %.
        assert float(row["loss"]) < 0.5
        assert float(row["accuracy"]) > 0.85
    assert "20 steps, 3 seeds" in done.stdout
    runs = json.loads(Path("race/digits.json").read_text("utf-8"))["runs"]
    first = {name: [[seed[0] for seed in setting] for setting in run["losses"]] for name, run in runs.items()}
    assert first["sgd"] == first["adam"]
    assert all(setting == first["sgd"][0] for setting in first["sgd"])


@pytest.mark.slow
def test_the_race_without_arguments():
    done = command("race")
    assert {"bowl.csv", "bowl.json", "bowl-paths.png", "digits.csv", "digits.json"} <= set(contents("race"))
    assert {"digits-curves.png", "digits-sensitivity.png", "race.txt"} <= set(contents("race"))
    for name in ("bowl", "digits"):
        assert sorted(table("race", name)) == sorted(NAMES)
    for head in ("bowl: x²/20 + y²", "digits: MLP", "f at the end", "best setting", "wrote race/: bowl.csv"):
        assert head in done.stdout
    assert "diverged" not in done.stdout
    for row in table("race", "digits").values():
        assert float(row["loss"]) < 0.05
        assert float(row["accuracy"]) > 0.9


def test_pages_and_optax_race_side_by_side(capsys):
    words = "race --problem bowl --methods adam,lion,optax.lion --set optax.lion.learning_rate=0.1 --steps 5"
    assert main(words.split()) == 0
    shown = capsys.readouterr().out
    assert "optax.lion" in shown
    assert "learning_rate=0.1, b1=0.9, b2=0.99" in " ".join(shown.split())


def test_what_has_no_learning_rate_cannot_race(capsys):
    assert main(["race", "--problem", "bowl", "--methods", "optax.clip"]) == 2
    assert "optax.clip has no learning_rate" in capsys.readouterr().err
