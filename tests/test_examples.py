"""Every script in examples/ runs as a user would run it, and no line of it warns."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import chex
import jax
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import gradient_stream, scan_updates, updates_of

FOLDER = Path(__file__).parents[1] / "examples"
LEARNING_RATE = FOLDER / "learn_the_learning_rate.py"
CHAINS = FOLDER / "chains.py"
TRANSFORMER = FOLDER / "transformer.py"
MOMENTUM = FOLDER / "momentum_theory.py"
SWEEP = FOLDER / "sweep.py"
COMPARE = FOLDER / "compare_optimizers.py"
FINE_TUNING = FOLDER / "fine_tuning.py"
FSDP = FOLDER / "fsdp_transformer.py"
# With tests of their own, that look at what they print.
TOLD_APART = {LEARNING_RATE, CHAINS, TRANSFORMER, MOMENTUM, SWEEP, COMPARE, FINE_TUNING, FSDP}
OTHERS = sorted(set(FOLDER.glob("*.py")) - TOLD_APART)
QUICK = ("smallest.py",)

ACCURACY = r"(\S+) of the held-out digits"
# What each script prints: a pattern, how often it is found, and between which numbers it lies.
FIGURES = {
    "smallest.py": (r"held-out digits after 500 steps: (\S+)", 1, 0.05, 0.2),
    "flax_nnx.py": (ACCURACY, 2, 0.96, 1.0),
    "flax_linen.py": (ACCURACY, 1, 0.95, 1.0),
    "equinox_mlp.py": (r"after 500 steps " + ACCURACY, 1, 0.95, 1.0),
    "numpyro_svi.py": (r"difference: (\S+)", 1, -0.02, 0.05),
    "diagnose.py": (r"clip and eps: (\S+) of the held-out digits\nnothing found", 1, 0.92, 1.0),
    "sweep_by_vmap.py": (ACCURACY, 1, 0.95, 1.0),
    "tracked_sweep.py": (r"step 500: .* accuracy (\S+)", 1, 0.95, 1.0),
    "hand_written_optimizer.py": (ACCURACY, 1, 0.94, 1.0),
}


def output(path: Path, folder: Path, *arguments: str) -> str:
    """What the script prints, run in an empty folder with warnings as errors."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            library = name.partition(".")[0]
            beside = (path.parent / f"{library}.py").exists()
            if not beside and importlib.util.find_spec(library) is None:
                pytest.skip(f"{path.name} is about {library}, which is not installed")
    command = [sys.executable, "-W", "error", str(path), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    assert done.stdout, "an example has to show something"
    return done.stdout


def numbers(pattern: str, text: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.name in QUICK else pytest.mark.slow) for path in OTHERS],
    ids=[path.name for path in OTHERS],
)
def test_it_runs_and_reaches_its_figure(path, tmp_path):
    printed = output(path, tmp_path)
    if path.name in FIGURES:
        pattern, times, lowest, highest = FIGURES[path.name]
        found = numbers(pattern, printed)
        assert len(found) == times, printed
        assert all(lowest <= number <= highest for number in found), printed


def test_every_figure_belongs_to_a_script():
    assert FIGURES.keys() <= {path.name for path in OTHERS}


@pytest.mark.slow
def test_the_learned_learning_rate_is_better_than_the_first(tmp_path):
    found = re.findall(r"learning rate (\S+), loss after training (\S+)", output(LEARNING_RATE, tmp_path))
    rates, losses = zip(*((float(rate), float(loss)) for rate, loss in found), strict=True)
    assert losses[-1] < losses[0] / 10
    assert losses[-1] <= 1.01 * min(losses), "it has not settled"
    assert rates[-1] > 10 * rates[0]


@pytest.mark.slow
def test_a_chain_is_the_same_passed_and_closed_over_and_tells_its_learning_rates(tmp_path):
    printed = output(CHAINS, tmp_path)
    closed_over, passed, changed = numbers(r"held-out loss ([\d.]+),", printed)
    assert closed_over == pytest.approx(passed, abs=2e-4)
    assert changed != passed
    assert max(passed, changed) < 0.35
    _, compiled, not_compiled = numbers(r"after (\S+) s\n", printed)
    assert not_compiled < compiled / 4, "other numbers are no new compilation"
    in_force = printed.rpartition("in force:")[2].split()
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.02, warmup_steps=10, decay_steps=50)
    expected = np.array([schedule(batch // 4) for batch in range(0, 200, 20)])
    np.testing.assert_allclose(np.array(in_force, float), expected, atol=6e-5)


@pytest.mark.slow
def test_ten_thousand_pairs_of_momentum_do_what_the_theory_says(tmp_path):
    printed = output(MOMENTUM, tmp_path)
    found = re.findall(r"learning rate (\S+), momentum (\S+); a step leaves (\S+)", printed)
    measured, theory = (np.array(row, float) for row in found)
    # Of condition number 100: (2 / 11)², (9 / 11)² and 9 / 11.
    np.testing.assert_allclose(theory, [0.0331, 0.669, 0.8182], atol=5e-4)
    # The pairs are 0.0004 and 0.01 apart, and the factor has a kink at its lowest place.
    assert theory[2] <= measured[2] < theory[2] + 0.01
    assert abs(measured[0] - theory[0]) < 0.003
    assert abs(measured[1] - theory[1]) < 0.02
    (count,) = numbers(r"over the (\d+) pairs", printed)
    # Those below η = 2 (1 + α) / 100: three quarters of the square.
    assert 7300 < count < 7600
    (deviation,) = numbers(r"that converge: (\S+)", printed)
    assert deviation < 1e-3
    assert [path.name for path in tmp_path.iterdir()] == ["momentum-theory.png"]


@pytest.mark.slow
def test_a_sweep_compares_optimizers_and_run_again_runs_nothing(tmp_path):
    printed = output(SWEEP, tmp_path)
    assert printed.startswith("42 settings × 3 seeds = 126 runs of 300 steps: ")
    (accuracy,) = numbers(ACCURACY, printed)
    assert accuracy > 0.95
    (described,) = re.findall("read again, the best setting is (.*)", printed)
    assert printed.count(described) >= 2
    journal = tmp_path / "sweep-digits" / "journal.jsonl"

    def units():  # the result is written again, as the example asks for fewer seeds first
        return [line for line in journal.read_text().splitlines() if '"kind": "unit"' in line]

    before = units()
    assert output(SWEEP, tmp_path) == printed
    assert units() == before != []
    assert [path.name for path in tmp_path.iterdir()] == ["sweep-digits"]


@pytest.mark.slow
def test_a_comparison_of_six_optimizers_has_a_row_for_each(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setenv("XLA_FLAGS", "")  # a device, as users have; eight at a time would each train alone
    printed = output(COMPARE, tmp_path, "--quick", "--out", "runs")
    rows = [line.split(" | ") for line in printed.splitlines() if " ± " in line]
    names = [row[0].strip("| ") for row in rows]
    assert names == ["AdamW", "Lion", "Muon", "SOAP", "schedule-free AdamW", "Prodigy"]
    assert {len(row) for row in rows} == {8}
    first, last = (np.array([float(row[place].split()[0]) for row in rows]) for place in (1, 3))
    assert np.all(last < first), "some have learned nothing"
    assert last.max() < np.log(103), "all characters alike"
    described = [line.partition(": ")[0] for line in printed.splitlines() if "weight_decay=" in line]
    assert described == names
    # Against itself AdamW's time is that of all its steps.
    assert rows[0][7].strip(" |") == rows[0][3]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["final", "tuning"]


@pytest.mark.slow
def test_what_was_learned_before_helps_most_where_it_is_least_moved(tmp_path):
    printed = output(FINE_TUNING, tmp_path)
    nothing, alike, falling, head = numbers(ACCURACY, printed)
    assert nothing < alike < min(falling, head)
    assert min(falling, head) > 0.9


@pytest.mark.parametrize("learning_rate", [0.01, jo.schedules.cosine(peak=0.01, steps=50)])
def test_the_hand_written_optimizer_is_optax_lion(learning_rate, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    lion = importlib.import_module("hand_written_optimizer").lion
    gradients = gradient_stream(100)
    ours = scan_updates(lion(learning_rate, b1=0.8, b2=0.95), gradients)
    with jax.numpy_dtype_promotion("standard"):
        oracle = optax.lion(learning_rate, b1=0.8, b2=0.95, weight_decay=0.0)
        theirs = jax.jit(lambda gradients: updates_of(oracle, gradients))(gradients)
    chex.assert_trees_all_close(ours, theirs, rtol=1e-6)
    assert np.any(ours > 0)


@pytest.mark.slow
def test_the_transformer_on_eight_devices_and_then_on_four_is_that_on_one(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    printed = output(FSDP, tmp_path)
    found = re.findall(
        r"(\d) devices, (\S+) \+ (\S+) bytes .*: (\S+) nats per character at step (\d+)", printed
    )
    devices, *sizes, losses, steps = zip(*found, strict=True)
    assert (devices, steps) == (("1", "8", "4"), ("20", "10", "20"))
    assert float(losses[2]) == pytest.approx(float(losses[0]), rel=1e-5)
    for size in sizes:
        one, eight, four = (int(each.replace(",", "")) for each in size)
        # All but the norms, which are small, is split evenly.
        assert one / 8 < eight < 1.05 * one / 8
        assert one / 4 < four < 1.05 * one / 4


@pytest.mark.slow
def test_the_transformer_learns_the_text_of_this_repository(tmp_path):
    losses = numbers(r"(\S+) nats per held-out character", output(TRANSFORMER, tmp_path))
    assert losses[-1] < 1.5
