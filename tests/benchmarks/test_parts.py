"""Every part of the benchmarks runs, checks before it times, and says what it measured."""

import json
from contextlib import closing
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks import (
    catalogue,
    growth,
    memory,
    mixed_precision,
    packing,
    precision,
    products,
    start,
    step,
    sweep,
)
from tests.benchmarks.output import Bars, Report, as_markdown, ratios_figure
from tests.benchmarks.shapes import TREES
from tests.benchmarks.sweep_rivals import Case, Server
from tests.benchmarks.timing import Rival, in_turns, ratio, spread
from tests.registry import named


def test_the_trees_are_the_models():
    """The numbers of parameters that the models' own papers and model cards give."""
    sizes = {name: sum(int(np.prod(shape)) for shape in shapes) for name, shapes in TREES.items()}
    assert sizes["ResNet-50"] == 25_557_032
    assert sizes["GPT-2 small"] == 124_439_808
    assert len(TREES["ResNet-50"]) == 161
    assert len(TREES["GPT-2 small"]) == 148


def test_rivals_take_turns():
    calls = []
    rivals = {name: Rival(lambda number, name=name: calls.append((name, number)), 0.0) for name in "ab"}
    seconds = in_turns(rivals, 6)
    assert [name for name, _ in calls[:4]] == ["a", "a", "b", "b"]
    turns = ["".join(name for name, _ in calls[first : first + 4]) for first in range(4, len(calls), 4)]
    assert set(turns) == {"aabb", "bbaa"}
    assert all(number == 1 for _, number in calls[4::2]), "a step that does not count comes first"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 6, "b": 6}


def test_ratios_are_taken_turn_by_turn():
    found = ratio([2.0, 20.0, 3.0, 8.0, 5.0], [1.0, 10.0, 3.0, 2.0, 1.0])
    assert found == (2.0, 2.0, 4.0)
    assert str(found) == "2.00 (2.00–4.00)"
    assert ratio([2.0], [1.0]) == (2.0, 2.0, 2.0)
    assert spread([0.002, 0.001], 1e-3) == "1–2"


def tiny(leaves):
    return step.numbers([(3,)] * leaves, seed=0), step.numbers([(3,)] * leaves, seed=1)


@pytest.mark.slow
def test_a_step_of_many_small_leaves_has_all_rivals():
    measured = step.cell(named("adam"), "tiny", *tiny(4), 1e9, repeats=2)
    ours = [step.OURS, step.OPTAX, step.PACKED, step.CARRIED]
    assert [each["who"] for each in measured] == ours + (list(step.TORCH) if find_spec("torch") else [])
    for each in measured:
        assert each["bytes_that_must_move"] == 4 * 12 * 7  # g, w, m and v read, w, m and v written
        assert all(seconds > 0 for seconds in each["seconds"])
    for shown in (step.report(measured, 1e9), step.beside_optax(measured)):
        assert {len(row) for row in shown.rows} == {len(shown.columns)}


def test_a_rival_that_computes_something_else_is_not_timed():
    row = named("sgd")._replace(optax=lambda learning_rate: optax.sgd(2 * learning_rate))
    with pytest.raises(AssertionError, match="sgd, optax"):
        step.cell(row, "tiny", *tiny(1), 1e9, repeats=1)


@pytest.mark.slow
@pytest.mark.slow
def test_the_catalogue_has_times_ratios_and_bytes():
    pages, wrappers = catalogue.run(True, bars := Bars())
    assert bars.failures == {}
    assert [row[0] for row in pages.rows] == ["adam", "muon"]
    assert [row[0] for row in wrappers.rows] == ["cautious"]
    adam = next(each for each in pages.measurements if each["optimizer"] == "adam")
    assert adam["state_bytes"] == pytest.approx(8 + 4 / 15)  # m, v, and a count for 15 numbers
    for shown in (pages, wrappers):
        assert {len(row) for row in shown.rows} == {len(shown.columns)}


def test_matrix_methods_are_counted_in_their_products():
    # Five iterations of X Xᵀ, of its square, and of a product with X.
    assert products.muon(2, 3) == 5 * 2 * (2 * 2 * 3 + 2 * 2 * 2 + 2 * 2 * 3)
    assert products.turns(2, 3) == 2 * (2 * 2 * 3 + 2 * 3 * 3)


@pytest.mark.slow
def test_matrix_methods_stay_below_the_peak():
    (shown,) = products.run(True, bars := Bars())
    assert bars.failures == {}
    assert {len(row) for row in shown.rows} == {len(shown.columns)}
    assert [row[0] for row in shown.rows] == [method.name for method in products.METHODS]


def test_packing_is_compared_for_whole_steps_alone_and_side_by_side():
    model = packing.sums(jnp.square, "w²", 3, 4, 2)
    measured = [packing.measure(each, 2) for each in (model, model._replace(runs=2))]
    assert [each["runs"] for each in measured] == [1, 2]
    shown = packing.report(measured)
    assert {len(row) for row in shown.rows} == {len(shown.columns)}


def test_packing_is_not_timed_where_it_computes_something_else():
    model = packing.sums(jnp.square, "w²", 3, 4, 2)
    functions = {
        "one": (lambda rate, *_: rate * jnp.ones(2), 1.0),
        "other": (lambda rate, *_: rate * jnp.ones(2), 1.001),
    }
    with pytest.raises(AssertionError, match="w², in float64"):
        packing.check_in_float64(model, functions)


def test_a_case_that_fails_leaves_the_others(monkeypatch, capsys):
    models = [packing.sums(jnp.square, word, 3, 4, 2) for word in ("first", "second")]
    one = packing.measure(models[1], 1)

    def measure(model, repeats):
        if model is models[0]:
            raise AssertionError("\nNot equal to tolerance\nand more")
        return one

    monkeypatch.setattr(packing, "models", lambda quick: models)
    monkeypatch.setattr(packing, "measure", measure)
    bars = Bars()
    (shown,) = packing.run(True, bars)
    assert [row[0] for row in shown.rows] == ["3 leaves of 4, loss Σ second"]
    assert bars.failures == {
        "packing, 3 leaves of 4, loss Σ first, 1 side by side": "AssertionError: Not equal to tolerance"
    }
    assert "and more" in capsys.readouterr().err


def test_a_server_whose_work_fails_says_so_and_ends():
    with (
        closing(Server(None)) as server,
        pytest.raises(RuntimeError, match=r"nobody with .* ended its process"),
    ):
        server.run("nobody", Case(1, 1, 1))
    assert server.process.exitcode == 1


def test_precision_shows_speed_beside_error():
    stream = precision.gradients(20)
    row = named("sgd")
    run = precision.errors(row, "optax", stream, precision.exact_updates(row, stream))
    shown = precision.report([run], (), {("sgd", "optax"): 0.25})
    assert shown.columns[-1] == "ms a step"
    assert shown.rows[0][-1] == "0.25"


def test_memory_counts_parameters_gradients_and_state():
    measured = memory.measure("adam", 10**5)
    assert measured["state"] == 8
    assert 16 <= measured["xla"] < 17  # with the gradient; parameters and state are updated in place
    assert memory.report([measured]).rows[0][0] == "adam"


@pytest.mark.slow
def test_half_precision_has_losses_times_and_bytes(monkeypatch):
    monkeypatch.setattr("examples.transformer.BLOCKS", 1)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        (shown,) = mixed_precision.run(True, bars := Bars())
    assert bars.failures == {}
    assert {len(row) for row in shown.rows} == {len(shown.columns)}
    whole, half = shown.measurements
    assert half["bytes"] < whole["bytes"]
    assert half["losses"] == pytest.approx(whole["losses"], rel=0.02)


@pytest.mark.slow
def test_growth_is_shown_for_runs_structures_and_steps(monkeypatch):
    monkeypatch.setattr(growth, "EVERY", 10)
    swept = [growth.measure_runs(count) for count in (2, 3)]
    assert [each["runs"] for each in swept] == [2, 3]
    kinds = growth.measure_structures((1, 2))
    assert [each["structures"] for each in kinds] == [1, 2]
    assert kinds[0]["peak"] <= kinds[1]["peak"]
    fitted = growth.measure_steps((40, 80))
    assert [each["steps"] for each in fitted] == [40, 80]
    for each in fitted:
        assert 40 < each["bytes"] < 10_000  # ten losses and the checkpoint
    reports = growth.report_runs(swept), growth.report_structures(kinds), growth.report_steps(fitted)
    for report in reports:
        assert {len(row) for row in report.rows} == {len(report.columns)}


def test_the_picture_of_sweeps_shows_all_that_was_measured():
    measured = {
        "cores": 2,
        "growth": [(1, 5e-4), (10, 1e-4), (1000, 4e-5)],
        "devices": [(1, 6e-5), (2, 4e-5)],
        "widths": [(8, 0.1), (512, 0.3)],
    }
    figure = sweep.scaling_figure(measured)
    lines = [axes.get_lines()[0] for axes in figure.axes]
    assert all(axes.get_title(loc="left") and axes.get_xlabel() for axes in figure.axes)
    assert [axes.get_ylabel().rpartition(", ")[2] for axes in figure.axes] == ["µs", "µs", "%"]
    assert figure.axes[1].get_xlabel() == "virtual devices (on 2 cores)"
    shown = [np.asarray(line.get_xydata()).tolist() for line in lines]
    assert shown[0] == [[1, pytest.approx(500)], [10, pytest.approx(100)], [1000, pytest.approx(40)]]
    assert [[place for place, _ in points] for points in shown[1:]] == [[1, 2], [8, 512]]
    assert shown[2][1][1] == pytest.approx(30)


def test_the_picture_of_ratios_says_what_its_rows_and_its_axis_are():
    values = {(step.in_words(tree), who): 1.5 for tree in TREES for who in ("ours", "optax")}
    axes = ratios_figure("title", "time over the limit", values, best="the limit").axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows[0] == "1 array of 10⁷ numbers"
    assert rows[2:5] == ["100 arrays of 10⁴ numbers", "1,000 arrays of 10³ numbers", "ResNet-50"]
    assert axes.get_xlabel() == "time over the limit"
    assert [text.get_text() for text in axes.texts] == ["the limit"]
    assert axes.xaxis.get_major_formatter()(2.0) == "2"


@pytest.mark.slow
def test_a_warm_start_compiles_less_than_a_cold_one():
    words = ["race", "--problem", "bowl", "--methods", "sgd", "--steps", "5"]
    cold, warm = start.cold_and_warm(
        "race", lambda folder: start.COMMAND.format(words=[*words, "--out", str(folder)]), lambda: None
    )
    assert cold["picture"] <= cold["seconds"][0]
    assert cold["compilations"] > warm["compilations"] >= 0


def test_the_command_writes_tables_measurements_and_pictures(tmp_path, monkeypatch, capsys):
    def part(quick, bars):
        with bars.task("part", 1) as advance:
            advance()
        figure = lambda: ratios_figure("title", "ratio", {("case", "ours"): 1.0, ("case", "other"): 2.0})  # noqa: E731
        return [Report("A table", ("a", "b"), [("1", "2")], ["a note"], [{"a": 1}], {"picture": figure})]

    monkeypatch.setitem(command.PARTS, "step", part)
    monkeypatch.setattr("sys.argv", ["benchmarks", "--only", "step", "--quick", "--out", str(tmp_path / "b")])
    monkeypatch.setattr(command, "machine", lambda: "a machine")
    command.main()
    assert {file.name for file in (tmp_path / "b").iterdir()} == {
        "benchmarks.md",
        "benchmarks.json",
        "picture.png",
    }
    text = (tmp_path / "b" / "benchmarks.md").read_text()
    assert "A quick run" in text
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |" in text
    assert json.loads((tmp_path / "b" / "benchmarks.json").read_text())["measurements"] == [{"a": 1}]
    assert "A table" in capsys.readouterr().out


def test_a_part_that_fails_is_a_row_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    def broken(quick, bars):
        raise ValueError("no | such thing")

    def undrawable():
        raise RuntimeError("no screen")

    def whole(quick, bars):
        return [Report("A table", ("a",), [("1",)], [], [{"a": 1}], {"picture": undrawable})]

    monkeypatch.setitem(command.PARTS, "step", broken)
    monkeypatch.setitem(command.PARTS, "memory", whole)
    monkeypatch.setattr("sys.argv", ["benchmarks", "--only", "step,memory", "--out", str(tmp_path / "b")])
    monkeypatch.setattr(command, "machine", lambda: "a machine")
    with pytest.raises(SystemExit, match="failed: step, the picture picture"):
        command.main()
    text = (tmp_path / "b" / "benchmarks.md").read_text()
    assert "| a |\n| --- |\n| 1 |" in text
    assert r"| step | ValueError: no \| such thing |" in text
    assert "| the picture picture | RuntimeError: no screen |" in text
    titles = [each["title"] for each in json.loads((tmp_path / "b" / "benchmarks.json").read_text())]
    assert titles == ["A table", "Failed"]
    printed = capsys.readouterr()
    assert "no | such thing" in printed.out
    assert "ValueError" in printed.err


def test_unknown_parts_are_refused():
    assert command.parts("memory,step") == ["step", "memory"]
    with pytest.raises(Exception, match=r"no part 'speed'; choose from step, catalogue"):
        command.parts("speed")


def test_a_table_is_markdown():
    shown = as_markdown(Report("Title", ("a",), [("1",)], ["note"], []))
    assert shown == "## Title\n\n| a |\n| --- |\n| 1 |\n\n- note\n"
