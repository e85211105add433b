"""`sweep` checks first, writes what it prints, and goes on where it stopped."""

import csv
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli import main
from jaxopt_edu.sweeps.folder.journal import read_journal
from jaxopt_edu.sweeps.pruning import Halving

CONTROL_CODES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder to stand in; the programs of the tests do not go into the user's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", os.environ.get("JAX_COMPILATION_CACHE_DIR", ""))
    return tmp_path


@pytest.fixture
def called(monkeypatch):
    """What the sweep would be called with."""
    found = {}

    def stop(loss_fn, init, optimizers, data, **options):
        found.update(options, optimizers=[jo.describe(each) for each in optimizers])
        raise ValueError("stopped")

    monkeypatch.setattr("jaxopt_edu.cli.sweep.sweep", stop)
    return found


def table(folder):
    with open(Path(folder) / "table.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_words_and_options_reach_the_sweep(called, capsys):
    words = "sweep digits adam learning_rate=loguniform(1e-4,1) b1=0,0.9 sgd learning_rate=0.1,1 --num 3"
    options = (
        "--seeds 2 --steps 7 --metric accuracy --prune halving --out there --key 1 --quasi sobol --resume"
    )
    assert main([*words.split(), *options.split(), "--quasi", "sobol"]) == 2
    assert capsys.readouterr().err.endswith("jaxopt-edu sweep: stopped\n")
    assert called["optimizers"][3:] == ["sgd(learning_rate=0.1)", "sgd(learning_rate=1)"]
    assert len(called["optimizers"]) == 5
    asked = {"seeds": 2, "steps": 7, "metric": "accuracy", "mode": "max", "path": "there", "resume": True}
    assert {name: called[name] for name in asked} == asked
    assert called["prune"] == Halving()
    assert called["batch_size"] == 128
    first = called["optimizers"]
    main(["sweep", "digits", "adam", "learning_rate=loguniform(1e-4,1)", "b1=0,0.9"])
    assert len(called["optimizers"]) == 64
    assert not set(first) & set(called["optimizers"])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("digits adam b1=2", "adam: grid: setting 0 (b1=2) cannot be built: adam: b1 = 2 is out of range"),
        ("digits adam b1=0,0.9 --num 8", "--num is for distributions, and all values are lists"),
        ("digits adam --quasi sobol", "--quasi is for distributions"),
        ("mnist adam", "mnist needs --data FOLDER"),
        ("digits adam --data here", "mnist needs --data FOLDER"),
        ("digits adam --processes 2", "--coordinator, --processes and --process are for --distributed"),
        ("digits adam --distributed --processes 2", "go together; give all three, or none"),
        ("digits adam --out full", "full holds a sweep already; add --resume to go on with it, or choose"),
    ],
)
def test_everything_is_checked_first_and_said_in_one_line(place, capsys, called, words, text):
    (place / "full").mkdir()
    (place / "full" / "spec.json").write_text("{}")
    assert main(["sweep", *words.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("jaxopt-edu sweep: ")
    assert text in printed.err
    assert printed.err.count("\n") == 1
    assert called == {}
    assert sorted(os.listdir(place)) == ["full"]


@pytest.mark.parametrize("library", ["matplotlib", "rich"])
def test_a_missing_extra_is_said_before_the_sweep(monkeypatch, capsys, called, library):
    monkeypatch.setitem(sys.modules, library, None)
    for name in [name for name in sys.modules if name.startswith(f"{library}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("jaxopt_edu.cli.sweep.find_spec", lambda name: None if name == library else object())
    assert main(["sweep", "digits", "adam"]) == 2
    assert re.search(rf"need.* {library}: pip install", capsys.readouterr().err)
    assert called == {}


def test_help_shows_how_values_are_written(capsys):
    with pytest.raises(SystemExit):
        main(["sweep", "--help"])
    out = capsys.readouterr().out
    assert "'learning_rate=loguniform(1e-4,1)' b1=0,0.9 --num 64 --seeds 5 --out runs/adam" in out
    assert "--prune {halving,hyperband,median}" in out


@pytest.mark.slow
def test_a_sweep_of_digits_and_then_another_optimizer(place, capsys):
    words = "sweep digits sgd learning_rate=0.01,0.1,1 --seeds 2 --steps 6 --out runs/sgd"
    assert main(words.split()) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(
        "3 settings × 2 seeds = 6 runs of 6 steps: 6 complete, 0 pruned, 0 diverged"
    )
    assert printed.out.endswith("wrote runs/sgd/: summary.txt, table.csv, curves.png, sensitivity.png\n")
    assert "3 settings × 2 seeds = 6 runs in 1 program" in printed.err
    assert not CONTROL_CODES.search(printed.out + printed.err)
    rows = table("runs/sgd")
    assert [(row["learning_rate"], row["seed"]) for row in rows] == [
        (rate, seed) for rate in ("0.01", "0.1", "1.0") for seed in ("0", "1")
    ]
    # Guessing gives ln 10 = 2.3, and six steps with the best learning rate are worth something.
    assert min(float(row["value"]) for row in rows) < 1.5
    assert (place / "runs" / "sgd" / "summary.txt").read_text("utf-8").strip() in printed.out

    assert main(words.split()) == 2
    assert "add --resume" in capsys.readouterr().err
    assert main([*words.replace("0.1,1", "0.1,1,0.3").split(), "--resume"]) == 0
    more = table("runs/sgd")
    assert more[:6] == rows
    assert [row["learning_rate"] for row in more[6:]] == ["0.3", "0.3"]


def run(code, **environment):
    environment = {name: value for name, value in os.environ.items() if "XLA" not in name} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_core_is_a_device_unless_the_user_or_a_running_jax_says_otherwise():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    use = "import os, jax, jaxopt_edu.cli.devices as d; d.use_all_cores(); "
    counted = f"{use} print(jax.device_count()); d.use_all_cores(); print(jax.device_count())"
    assert run(counted) == [str(cores), str(cores)]
    assert run(counted, JAX_NUM_CPU_DEVICES="3") == ["3", "3"]


def two_processes(words):
    """Start a distributed sweep."""
    script = Path(sys.executable).with_name("jaxopt-edu")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if "XLA" not in name}
    together = f"--distributed --processes 2 --coordinator 127.0.0.1:{port}"
    return [
        subprocess.Popen(
            [script, *words.split(), *together.split(), "--process", str(i)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for i in range(2)
    ]


@pytest.mark.slow
def test_two_processes_make_one_sweep():
    words = "sweep digits sgd learning_rate=0.01,0.1,1 --seeds 2 --steps 6"
    both = two_processes(words)
    printed = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    said = [out.splitlines() for out, _ in printed]
    assert said[0][0] == "3 settings × 2 seeds = 6 runs of 6 steps: 6 complete, 0 pruned, 0 diverged"
    assert said[0][-1] == "wrote sweep/: summary.txt, table.csv, curves.png, sensitivity.png"
    # Standard output is the command's alone, whatever the library that connects the processes has to say.
    assert said[1] == []
    assert all("[Gloo]" in errors for _, errors in printed)
    assert len(table("sweep")) == 6
    assert main([*words.split(), "--out", "alone"]) == 0
    for one, two in zip(table("alone"), table("sweep"), strict=True):
        assert float(one["value"]) == pytest.approx(float(two["value"]), rel=1e-4)


def test_a_surface_is_a_problem(place, capsys):
    assert main(["sweep", "bowl", "sgd", "learning_rate=0.1,0.5", "--steps", "5", "--out", "there"]) == 0
    assert [float(row["value"]) for row in table("there") if row["learning_rate"] == "0.5"]
    assert "sgd" in capsys.readouterr().out
    assert main(["sweep", "bowl", "sgd", "--metric", "accuracy", "--out", "other"]) == 2
    assert "a surface has its value only" in capsys.readouterr().err


def finished_units(folder):
    """The curves of what the journal has a line of, by name."""
    units = [event for event in read_journal(folder) if event["kind"] == "unit"]
    return {unit["name"]: (folder / "curves" / f"{unit['name']}.npz").read_bytes() for unit in units}


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_of_two_processes_one_is_killed_and_both_go_on_later(victim, place):
    words = "sweep digits sgd learning_rate=0.01,0.1 adam learning_rate=0.001,0.01 --seeds 1 --steps 3000"
    both = two_processes(words)
    # One optimizer is done then, and the other one is being compiled or run.
    until = time.monotonic() + 120
    while not finished_units(place / "sweep"):
        assert time.monotonic() < until
        time.sleep(0.02)
    both[victim].kill()
    begun = time.monotonic()
    errors = both[1 - victim].communicate(timeout=100)[1]
    assert time.monotonic() - begun < 60
    assert both[1 - victim].returncode
    both[victim].communicate()
    line = f"sweep: process {victim} of 2 has ended, and process {1 - victim} cannot go on without; what was "
    # Where process 0 ends, JAX aborts the other one; the line comes before that, if Python is quick enough.
    assert line in errors or (victim == 0 and "JAX distributed service detected fatal errors" in errors)
    done = finished_units(place / "sweep")
    both = two_processes(f"{words} --resume")
    printed = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert len(table("sweep")) == 4
    assert done.items() <= finished_units(place / "sweep").items()
