"""A race on a problem: chosen by one number, judged by another, best first."""

import csv
import json
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli import main
from jaxopt_edu.problems import Problem
from jaxopt_edu.race import problem_report, race_on_problem

RATES = (0.01, 0.3, 1e6)


def valley(mode: Literal["min", "max"] = "min") -> Problem:
    """½‖w‖² in noise, judged by another multiple of it."""
    sign = 1 if mode == "min" else -1

    def evaluate(w):
        height = sign * jnp.sum(jnp.square(w)) / 2
        return {"height": height, "test": 3 * height}

    return Problem(
        name="valley",
        why="To race on.",
        init=lambda key: jax.random.normal(key, (4,)),
        loss=lambda w, noise: jnp.sum(jnp.square(w)) / 2 + 0.01 * jnp.sum(w * noise),
        data=lambda key: jax.random.normal(key, (4,)),
        evaluate=evaluate,
        steps=30,
        trivial=2.0,
        trivial_is="the start",
        metric="height",
        mode=mode,
    )


@pytest.fixture(scope="module")
def results():
    made = []
    sgd = race_on_problem(
        valley(), "sgd", [jo.sgd(rate) for rate in RATES], seeds=2, every=10, advance=made.append
    )
    assert sum(made) == 30
    return [race_on_problem(valley(), "adam", [jo.adam(1e-4)], seeds=2, every=10), sgd]


def test_the_best_setting_leads_and_is_judged_by_the_other_number(results):
    report = problem_report(valley(), results)
    assert [record["method"] for record in report.records] == ["sgd", "adam"]
    first = report.records[0]
    assert first["setting"] == "sgd(learning_rate=0.3)"
    assert first["test"] == pytest.approx(3 * first["chosen"], rel=1e-5)
    assert first["runs"] == 6
    assert not first["edge_of_grid"]
    assert report.columns == ("method", "best setting", "height", "test", "seconds")
    assert "To race on." in report.notes
    assert {"curves", "sensitivity"} == report.figures.keys()


def test_where_high_is_good_the_highest_leads():
    problem = valley("max")
    settings = [jo.sgd(rate) for rate in (0.01, 0.3)]
    ranked = [
        race_on_problem(problem, "slow", settings[:1], seeds=1),
        race_on_problem(problem, "fast", settings, seeds=1),
    ]
    records = problem_report(problem, ranked).records
    assert [record["method"] for record in records] == ["fast", "slow"]
    assert records[0]["edge_of_grid"]


def test_what_diverges_comes_last_and_says_so():
    problem = valley()
    ranked = [
        race_on_problem(problem, name, [jo.sgd(rate)], seeds=1) for name, rate in (("a", 1e30), ("b", 0.3))
    ]
    report = problem_report(problem, ranked)
    assert [row[0] for row in report.rows] == ["b", "a"]
    assert report.rows[1][2:4] == ("diverged", "diverged")


def test_the_command_races_on_the_suite_and_writes_it(tmp_path, capsys):
    out = tmp_path / "race"
    command = [
        "race",
        "--problem",
        "quadratic_deep",
        "--methods",
        "sgd,adam",
        "--seeds",
        "1",
        "--steps",
        "40",
    ]
    assert main([*command, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "quadratic_deep: 40 steps, 1 seeds" in printed
    assert "none of them an axis" in printed
    with open(out / "quadratic_deep.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == {"sgd", "adam"}
    content = json.loads((out / "quadratic_deep.json").read_text("utf-8"))
    assert content["fingerprint"].keys() == {"data", "computation"}
    assert np.shape(content["runs"]["sgd"]["validation"])[:2] == (12, 1)
    assert (out / "quadratic_deep-curves.png").is_file()


def test_a_problem_that_is_none_is_told_all(capsys):
    assert main(["race", "--problem", "digits_mpl"]) == 2
    assert "there is no problem 'digits_mpl'; choose from bowl" in capsys.readouterr().err
