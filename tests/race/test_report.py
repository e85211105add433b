"""What is written agrees with what was measured, and a diverged run is shown as one."""

import csv
import json

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu import problems
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.core.reading import describe
from jaxopt_edu.race import LearningResult, data_report, race_on_surface, surface_report
from jaxopt_edu.race.drawing import named_paths, race_window

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def no_constant(word):
    raise AssertionError(f"{word} is no JSON")


def read_back(folder, name):
    with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    text = (folder / f"{name}.json").read_text(encoding="utf-8")
    return table, json.loads(text, parse_constant=no_constant)


@pytest.fixture(scope="module")
def surface_results():
    optimizers = {
        "sgd": jo.sgd(learning_rate=0.95),
        "momentum": jo.momentum(learning_rate=1e30),
        "adam": jo.adam(learning_rate=0.3),
    }
    return [race_on_surface(problems.bowl, name, each, steps=6) for name, each in optimizers.items()]


def test_pictures_state_learning_rates_and_show_where_something_happens(surface_results):
    assert list(named_paths(surface_results)) == ["sgd, η = 0.95", "momentum, η = 1e+30", "adam, η = 0.3"]
    window = race_window(problems.bowl, surface_results)
    whole = np.array(problems.bowl.domain)
    assert np.ptp(window, axis=1).prod() < 0.5 * np.ptp(whole, axis=1).prod()
    for point in (*problems.bowl.minima, problems.bowl.start, surface_results[0].path[-1]):
        assert ((window[:, 0] < point) & (point < window[:, 1])).all()
    # One path that fills the window leaves it as it is.
    wide = surface_results[0]._replace(path=0.95 * whole.T)
    np.testing.assert_array_equal(race_window(problems.bowl, [wide]), whole)


def test_surface_report(surface_results, tmp_path):
    report = surface_report(problems.bowl, surface_results)
    files = report.write(tmp_path)
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    assert (tmp_path / "bowl-paths.png").read_bytes().startswith(SIGNATURE)

    by_name = {result.method: result for result in surface_results}
    table, content = read_back(tmp_path, "bowl")
    order = sorted(("sgd", "adam"), key=lambda name: by_name[name].losses[-1])
    assert [row["method"] for row in table] == [*order, "momentum"]
    assert [row["method"] for row in content["table"]] == [*order, "momentum"]
    assert [row[0] for row in report.rows] == [*order, "momentum"]
    assert list(content["table"][0]) == list(table[0])
    for row, numbers in zip(table, content["table"], strict=True):
        result = by_name[row["method"]]
        assert row["setting"] == numbers["setting"] == describe(result.optimizer)
        np.testing.assert_equal(float(row["loss"]), float(result.losses[-1]))
        assert numbers["steps_to_target"] == result.steps_to_target
        reached = result.steps_to_target
        assert row["steps_to_target"] == ("" if reached is None else str(reached))
    for name, result in by_name.items():
        run = content["runs"][name]
        np.testing.assert_array_equal(np.array(run["path"][:2], np.float32), result.path[:2])
        assert run["hyperparameters"] == hyperparameters(result.optimizer)
    np.testing.assert_array_equal(
        np.array(content["runs"]["adam"]["losses"], np.float32), by_name["adam"].losses
    )
    assert content["title"] == report.title
    assert content["notes"] == list(report.notes)
    assert content["target"] == pytest.approx(0.0645)


def test_a_diverged_path_is_shown_and_null_in_json(surface_results, tmp_path):
    report = surface_report(problems.bowl, surface_results)
    report.write(tmp_path)
    assert [row[2] for row in report.rows if row[0] == "momentum"] == ["diverged"]
    _, content = read_back(tmp_path, "bowl")
    assert content["table"][-1]["loss"] is None
    assert content["runs"]["momentum"]["losses"][-1] is None
    assert content["runs"]["momentum"]["losses"][0] == pytest.approx(6.45)


def test_the_note_on_the_grid_stands_only_where_there_was_one(surface_results):
    assert not any("learning rates" in note for note in surface_report(problems.bowl, surface_results).notes)
    tried = surface_results[0]._replace(settings_tried=12)
    notes = surface_report(problems.bowl, [tried, *surface_results[1:]]).notes
    assert any("the same 12 learning rates from 0.00032 to 100" in note for note in notes)


STEPS = np.array([0, 10, 20])


def learning(method, optimizers, last, seconds=1.2345):
    """Runs whose loss goes from 2 through 1 to a given last value; `last` has shape (settings, seeds)."""
    last = np.asarray(last, np.float32)
    losses = np.stack([np.full_like(last, 2.0), np.full_like(last, 1.0), last], axis=-1)
    accuracies = np.where(np.isfinite(losses), np.float32(1.0) - losses / 4, np.float32(0.1))
    return LearningResult(method, tuple(optimizers), STEPS, losses, accuracies, seconds)


def rates(factory, *values):
    return [factory(learning_rate=value) for value in values]


@pytest.fixture(scope="module")
def learning_results():
    return [
        learning("sgd", rates(jo.sgd, 0.01, 0.1, 1.0), [[0.5, 0.5], [0.25, 0.75], [0.125, 0.25]]),
        learning("adam", rates(jo.adam, 0.01, 0.1, 1.0), [[0.5, 0.5], [0.001953125, 0.0], [np.nan, 0.0]]),
        learning("momentum", rates(jo.momentum, 0.5), [[np.inf, 1.0]]),
    ]


def test_data_report(learning_results, tmp_path):
    report = data_report("digits", learning_results, seeds=2)
    files = report.write(tmp_path)
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    assert {"digits-curves.png", "digits-sensitivity.png"} <= set(files)

    table, content = read_back(tmp_path, "digits")
    assert [row["method"] for row in table] == ["adam", "sgd", "momentum"]
    adam, sgd, momentum = content["table"]
    assert list(adam) == list(table[0])
    assert adam["setting"] == describe(jo.adam(learning_rate=0.1))
    assert (adam["loss"], adam["loss_spread"]) == (0.0009765625, 0.0009765625)
    assert adam["accuracy"] == pytest.approx(1 - 0.0009765625 / 4)
    assert (adam["steps_to_target"], sgd["steps_to_target"]) == (20, None)
    assert (sgd["loss"], sgd["loss_spread"]) == (0.1875, 0.0625)
    assert (adam["runs"], momentum["runs"]) == (6, 2)
    assert (momentum["loss"], momentum["loss_spread"]) == (None, None)
    assert adam["seconds"] == pytest.approx(1.2345, abs=1e-3)
    for row, numbers in zip(table, content["table"], strict=True):
        assert row["setting"] == numbers["setting"]
        if numbers["loss"] is not None:
            assert float(row["loss"]) == numbers["loss"]
            assert float(row["accuracy"]) == numbers["accuracy"]
    for result in learning_results:
        run = content["runs"][result.method]
        assert run["steps"] == STEPS.tolist()
        found = np.array(run["losses"], np.float32)  # null comes back as NaN
        np.testing.assert_array_equal(
            found, np.where(np.isfinite(result.losses), result.losses, np.float32(np.nan))
        )
        assert [setting["learning_rate"] for setting in run["settings"]] == [
            hyperparameters(each)["learning_rate"] for each in result.optimizers
        ]
    assert (content["seeds"], content["target"]) == (2, 0.003)


def test_the_edge_of_the_grid_is_flagged(learning_results):
    report = data_report("digits", learning_results, seeds=2)
    assert {record["method"]: record["edge_of_grid"] for record in report.records} == {
        "adam": False,  # in the middle
        "sgd": True,  # the last of three
        "momentum": False,  # there was no grid
    }
    shown = {row[0]: row[1] for row in report.rows}
    assert [name for name, setting in shown.items() if setting.endswith("(edge)")] == ["sgd"]
    assert any(note.startswith("(edge)") for note in report.notes)
    inside = data_report("digits", learning_results[1:], seeds=2)
    assert not any(note.startswith("(edge)") for note in inside.notes)


def test_cells(learning_results):
    rows = {row[0]: row for row in data_report("digits", learning_results, seeds=2).rows}
    assert rows["sgd"][2:] == ("1.9e-01 ± 6.2e-02", "95.3 ± 1.6", "–", "1.2")
    assert rows["adam"][4] == "20"
    assert rows["momentum"][2] == "diverged"


def test_without_a_grid_there_is_no_sensitivity_and_no_note_on_one(learning_results, tmp_path):
    report = data_report("digits", learning_results[2:], seeds=2)
    assert report.write(tmp_path) == ["digits.csv", "digits.json", "digits-curves.png"]
    assert not any("learning rates" in note for note in report.notes)


@pytest.mark.parametrize("last", [[3e38, 3e38], [np.inf, np.inf], [-np.inf, np.nan]])
def test_huge_losses_raise_no_warning(last, tmp_path):
    report = data_report("digits", [learning("sgd", rates(jo.sgd, 9.0), [last])], seeds=2)
    report.write(tmp_path)
    _, content = read_back(tmp_path, "digits")
    assert content["table"][0]["loss"] == (pytest.approx(3e38) if np.isfinite(last).all() else None)
