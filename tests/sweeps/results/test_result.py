"""What a sweep says: values, ranking, tables and the summary."""

import csv
import dataclasses
import sys

import jax
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import xarray as xr

import jaxopt_edu as jo
from jaxopt_edu.sweeps.results import summary
from jaxopt_edu.sweeps.space.settings import grid
from tests.sweeps import regression
from tests.sweeps.quadratic import STEPS, sweep

RATES = [0.01, 0.1, 0.5, 3.0]


@pytest.fixture(scope="module")
def result():
    """Four SGDs, of which the last diverges, two momenta with a schedule, and three seeds of each."""
    cosines = [jo.schedules.cosine(peak=peak, steps=STEPS) for peak in (0.1, 0.3)]
    return sweep(grid(jo.sgd, learning_rate=RATES) + grid(jo.momentum, learning_rate=cosines))


def pruned(result, run, made):
    """The same sweep with one run pruned."""
    states, steps, curves = result.states.astype("<U8"), result.made.copy(), dict(result.curves)
    states[run], steps[run] = "PRUNED", made
    for name, curve in curves.items():
        curves[name] = np.where(result.evaluated_at <= steps[:, :, np.newaxis], curve, np.nan)
    return dataclasses.replace(result, states=states, made=steps, curves=curves)


def closed_form(rate):
    """The loss of SGD after all steps: (2 + seed)² (1 − rate)^(2 · steps) / 2."""
    return (2 + np.arange(3)) ** 2 * (1 - rate) ** (2 * STEPS) / 2


def test_values_are_each_runs_last_and_nan_where_it_diverged(result):
    values = result.values()
    assert values.shape == (6, 3)
    assert values.dtype == np.float64
    for row, rate in zip(values, RATES[:3], strict=False):
        np.testing.assert_allclose(row, closed_form(rate), rtol=1e-4)
    assert np.isnan(values[3]).all()
    assert (result.states[3] == "DIVERGED").all()
    np.testing.assert_allclose(
        result.values("nearness")[1], 1 / (1 + (2 + np.arange(3)) * 0.9**STEPS), rtol=1e-5
    )
    with pytest.raises(ValueError, match="no metric 'accuracy' in this sweep; it has loss, nearness"):
        result.values("accuracy")


def test_the_value_of_a_pruned_run_is_the_last_that_was_seen(result):
    after = pruned(result, (1, 2), 7)
    np.testing.assert_allclose(after.values()[1, 2], 16 * 0.9**10 / 2, rtol=1e-5)


def test_best_is_the_lowest_mean_with_its_standard_error(result):
    best = result.best()
    assert jo.describe(best.optimizer) == "sgd(learning_rate=0.5)"
    assert best.index == 2
    losses = closed_form(0.5)
    np.testing.assert_allclose(best.values, losses, rtol=1e-4)
    assert best.mean == pytest.approx(losses.mean(), rel=1e-4)
    assert best.standard_error == pytest.approx(losses.std(ddof=1) / np.sqrt(3), rel=1e-4)
    assert result.best(of="momentum(learning_rate=cosine)").index == 5
    assert np.isnan(sweep([jo.sgd(0.1)], seeds=1).best().standard_error)
    with pytest.raises(ValueError, match=r"no 'adam' in this sweep; it has sgd, momentum\(learning_rate=cos"):
        result.best(of="adam")


def test_diverged_settings_are_last_in_either_direction(result):
    assert result.ranking().tolist()[-1] == 3
    assert result.ranking("nearness", "max").tolist()[-1] == 3
    assert result.ranking("loss", "max").tolist() == [*result.ranking().tolist()[-2::-1], 3]
    assert result.best("loss", "max").index == 0
    # One lost seed is enough, and the fewer the better.
    states = result.states.copy()
    states[2, 1] = "DIVERGED"
    assert dataclasses.replace(result, states=states).ranking().tolist()[-2:] == [2, 3]
    assert dataclasses.replace(result, states=states).best().index == 5


def test_pruned_settings_come_after_complete_ones(result):
    early, late = pruned(result, (2, 0), 5), pruned(pruned(result, (2, 0), 5), (5, 1), 15)
    assert early.ranking().tolist()[-2:] == [2, 3]
    assert late.ranking().tolist()[-3:] == [5, 2, 3]
    assert late.ranking("nearness", "max").tolist()[-3:] == [5, 2, 3]


def test_a_metric_needs_a_direction(result):
    assert result.best("nearness", "max").index == 2
    assert result.best("loss").index == 2
    with pytest.raises(ValueError, match="mode = None for 'nearness'; say mode='min' or mode='max'"):
        result.best("nearness")
    by_nearness = dataclasses.replace(result, metric="nearness", mode="max")
    assert by_nearness.best().index == 2
    assert by_nearness.best("loss").index == 2


def test_optimizers_of_one_structure_are_a_group():
    halves = [jo.schedules.joined([jo.schedules.constant(0.1)] * n, [4] * (n - 1)) for n in (1, 2, 1)]
    found = sweep([jo.sgd(0.1), *map(jo.sgd, halves), jo.sgd(0.2)], seeds=1)
    assert {name: places.tolist() for name, places in found.groups.items()} == {
        "sgd": [0, 4],
        "sgd(learning_rate=joined)": [1, 3],
        "sgd(learning_rate=joined) #2": [2],
    }


COLUMNS = [
    *["number", "state", "value", "optimizer", "learning_rate"],
    *["learning_rate.peak", "learning_rate.steps", "learning_rate.final", "momentum", "seed", "steps"],
    "nearness",
]


def test_the_table_has_a_row_for_each_run(result):
    table = result.table()
    assert [list(row) for row in table] == [COLUMNS] * 18
    assert [row["number"] for row in table] == list(range(18))
    row = table[1 * 3 + 2]
    assert row["value"] == result.values()[1, 2]
    assert (row["state"], row["optimizer"], row["seed"], row["steps"]) == ("COMPLETE", "sgd", 2, STEPS)
    assert (row["learning_rate"], row["learning_rate.peak"], row["momentum"]) == (0.1, None, None)
    assert (table[9]["state"], table[9]["value"], table[9]["steps"]) == ("DIVERGED", None, 10)
    assert (table[12]["learning_rate"], table[12]["learning_rate.peak"]) == (None, 0.1)


def test_pandas_parquet_and_csv_hold_the_same_table(result, tmp_path):
    table = result.table()
    frame = result.to_pandas()
    assert list(frame.columns) == COLUMNS
    assert frame["value"].isna().sum() == 3
    assert frame.dtypes[["value", "learning_rate.peak", "nearness"]].eq("float64").all()
    best = (
        frame[frame["state"] == "COMPLETE"].groupby(["optimizer", "learning_rate"])["value"].mean().idxmin()
    )
    assert best == ("sgd", 0.5)

    result.to_parquet(tmp_path / "table.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "table.parquet").to_pylist() == table
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), frame)

    result.to_csv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [[row[name] for name in COLUMNS] for row in rows] == [
        ["" if row[name] is None else str(row[name]) for name in COLUMNS] for row in table
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.parquet"]


def test_a_sweep_in_which_all_is_lost_has_a_table_too(tmp_path):
    lost = sweep(grid(jo.sgd, learning_rate=[3.0, 4.0]), seeds=2)
    assert lost.to_pandas()["value"].dtype == np.float64
    lost.to_parquet(tmp_path / "table.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "table.parquet")["value"].null_count == 4
    assert np.isnan(lost.best().mean)
    assert "diverged  " in lost.summary()
    assert np.isnan(summary.sensitivity(lost, "sgd"))
    assert summary.edges(lost, "sgd") == []


def test_names_that_the_table_has_itself_are_set_apart(result):
    curves = {"loss": result.curves["loss"], "steps": result.curves["nearness"]}
    found = dataclasses.replace(result, curves=curves)
    assert [name for name in found.table()[0] if name.endswith("steps")] == [
        "learning_rate.steps",
        "steps",
        "metric.steps",
    ]
    assert "metric.steps" in found.to_xarray()


def test_xarray_has_the_curves_by_name(result):
    found = result.to_xarray()
    assert isinstance(found, xr.Dataset)
    assert dict(found.sizes) == {"setting": 6, "seed": 3, "step": 5}
    curve = found["loss"].sel(seed=1, step=10)
    np.testing.assert_allclose(curve[found["learning_rate"] == 0.1], 9 * 0.9**20 / 2, rtol=1e-5)
    assert found["optimizer"].to_numpy().tolist() == ["sgd"] * 4 + ["momentum(learning_rate=cosine)"] * 2
    assert (found["state"].sel(seed=0) == "DIVERGED").sum() == 1
    assert found.attrs == {"metric": "loss", "mode": "min"}


def test_summary(result):
    lines = result.summary().splitlines()
    assert lines[0] == "6 settings × 3 seeds = 18 runs of 20 steps: 15 complete, 0 pruned, 3 diverged"
    assert lines[1] == "loss: mean ± standard error over 3 seeds, lower is better"
    cells = [line.split("  ") for line in lines[4:7]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in cells]
    assert cells[0] == ["optimizer", "loss", "within 10 %", "complete", "pruned", "diverged", "best setting"]
    losses = closed_form(0.5)
    assert cells[1] == [
        "sgd",
        f"{losses.mean():.4g} ± {losses.std(ddof=1) / np.sqrt(3):.2g}",
        # 0.1 leaves (1 − 0.1)^40 = 1.5 % of the loss, 0.01 leaves 67 %, and 3 diverges.
        "50 %",
        *["9", "0", "3"],
        "sgd(learning_rate=0.5)",
    ]
    assert cells[2][0] == "momentum(learning_rate=cosine)"
    # Two peaks are no range.
    assert len(lines) == 7


def test_an_optimum_on_the_edge_is_pointed_out():
    found = sweep(grid(jo.momentum, learning_rate=[0.001, 0.002, 0.004], momentum=[0.0, 0.25, 0.5]))
    assert summary.edges(found, "momentum") == [
        ("learning_rate", 0.004, "highest"),
        ("momentum", 0.5, "highest"),
    ]
    assert found.summary().endswith(
        "\n\nmomentum: the best learning_rate, 0.004, is the highest tried; a better one may lie beyond.\n"
        "momentum: the best momentum, 0.5, is the highest tried; a better one may lie beyond."
    )
    found = sweep(grid(jo.momentum, learning_rate=[1.0, 1.5, 1.9], momentum=[0.0, 0.25, 0.5]))
    assert summary.edges(found, "momentum") == [("learning_rate", 1.0, "lowest")]
    found = sweep(grid(jo.momentum, learning_rate=[0.5, 1.0, 1.5], momentum=0.0))
    assert summary.edges(found, "momentum") == []


@pytest.mark.parametrize("shift", [-100.0, 0.0, 1e3])
@pytest.mark.parametrize("sign", [1, -1])
def test_sensitivity_does_not_ask_where_zero_is_or_which_way_is_up(result, shift, sign):
    curves = {"loss": (shift + sign * result.curves["loss"].astype(np.float64))}
    found = dataclasses.replace(result, curves=curves, mode="min" if sign == 1 else "max")
    assert found.ranking().tolist() == result.ranking().tolist()
    assert summary.sensitivity(found, "sgd") == 0.5
    # Nobody knows where a pruned setting would have come.
    assert np.isnan(summary.sensitivity(pruned(found, (1, 0), 15), "sgd"))


def test_the_top_runs_are_numbered_by_setting_and_seed(result):
    for run in result.top:
        i, j = divmod(run.number, 3)
        assert (run.optimizer, run.seed) == (result.optimizers[i], result.seeds[j])
        assert run.value == pytest.approx(result.values()[i, j])


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("pandas", lambda result: result.to_pandas()),
        ("pyarrow", lambda result: result.to_parquet("table.parquet")),
        ("xarray", lambda result: result.to_xarray()),
    ],
)
def test_a_missing_library_is_one_clear_line(result, monkeypatch, library, call):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'needs {library}: pip install "jaxopt-edu\[results\]"$'):
        call(result)


def test_without_libraries_there_are_still_numbers_text_and_csv(result, monkeypatch, tmp_path):
    for library in ("pandas", "pyarrow", "xarray", "matplotlib"):
        monkeypatch.setitem(sys.modules, library, None)
    assert result.best().index == 2
    assert result.summary()
    result.to_csv(tmp_path / "table.csv")


def test_a_random_key_is_no_column():
    keyed = [jo.half_state(jo.momentum(rate), jax.random.key(1)) for rate in (0.01, 0.1)]
    result = regression.run(keyed, seeds=1, steps=2)
    assert "momentum" in result.summary()
    assert [row["learning_rate"] for row in result.table()] == [0.01, 0.1]
    assert not any("key" in name for name in result.table()[0])
