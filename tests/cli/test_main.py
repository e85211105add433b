"""Every mistake is one line on standard error and status 2, before anything is done."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jaxopt_edu.cli import main


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def status(words):
    """The exit status, whether it is returned or raised by the parser."""
    try:
        return main(words)
    except SystemExit as stop:
        return stop.code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "jaxopt-edu: the following arguments are required: COMMAND (see jaxopt-edu --help)"),
        ("rase", "invalid choice: 'rase' (choose from"),
        ("--verbose list", "jaxopt-edu: "),
        ("list all", "argument what: invalid choice: 'all'"),
        ("show", "jaxopt-edu show: the following arguments are required: NAME (see jaxopt-edu show --help)"),
        ("show adum", "jaxopt-edu show: there is no optimizer 'adum'; choose from sgd, momentum"),
        (
            "race --steps 0",
            "argument --steps: '0' is not a whole number above 0 (see jaxopt-edu race",
        ),
        ("race --steps -3", "'-3' is not a whole number above 0"),
        ("race --steps 1.5", "'1.5' is not a whole number above 0"),
        ("race --steps", "argument --steps: expected one argument"),
        ("race --seeds many", "argument --seeds: 'many' is not a whole number above 0"),
        ("race --problem hill", "jaxopt-edu race: there is no problem 'hill'; choose from bowl, "),
        ("race --problem bowl --problem hill", "there is no problem 'hill'"),
        ("race --methods adam,adum", "there is no method 'adum'; choose from sgd, "),
        ("race --methods ,", "there is no method ''"),
        ("race --set adam=1", "the setting 'adam=1' should look like adam.learning_rate=0.1"),
        ("race --set adam.b3=1", "has no hyperparameter 'b3'; it has learning_rate, b1, b2, eps"),
        ("race --set adam.b1=x", "needs a number after '=', not 'x'"),
        ("race --set adam.b1=1", "adam: b1 = 1.0 is out of range"),
        ("race --set adam.b1=nan", "adam: b1 = nan is out of range"),
        ("race --set sgd.learning_rate=-1", "sgd: learning_rate = -1.0 is out of range"),
        ("race --methods adam --set sgd.learning_rate=1", "is for 'sgd', but the race has adam"),
        ("race --problem mnist", "mnist needs --data FOLDER"),
        ("race --problem mnist --data absent", "absent: there is no such folder"),
        ("race --problem mnist --data .", "there is no train-images-idx3-ubyte"),
        ("race --problem bowl --data .", "--data . is for mnist, which is not in this race"),
        ("race --out absent/out", "there is no folder"),
    ],
)
def test_mistakes_are_one_line(place, capsys, words, message):
    assert status(words.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("jaxopt-edu")
    assert printed.err.count("\n") == 1
    assert printed.err.endswith("\n")
    assert message in printed.err
    assert os.listdir(place) == []


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("mine", "it holds other things (there is no race.txt in it)"),
        ("mine/notes", "a file of that name exists"),
        ("mine/notes/out", "there is no folder"),
        (".", "it holds other things"),
    ],
)
def test_what_is_the_users_is_refused_and_kept(place, capsys, out, message):
    (place / "mine").mkdir()
    (place / "mine" / "notes").write_text("years of work")
    assert status(["race", "--problem", "bowl", "--out", out]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert os.listdir(place) == ["mine"]
    assert os.listdir(place / "mine") == ["notes"]
    assert (place / "mine" / "notes").read_text() == "years of work"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder in which even root cannot write")
def test_unwritable_place(capsys):
    assert status(["race", "--problem", "bowl", "--out", "/proc/race"]) == 2
    assert capsys.readouterr().err.startswith("jaxopt-edu race: cannot write into /proc")


@pytest.mark.parametrize(
    ("words", "missing", "line"),
    [
        (["list"], "rich", 'pip install "jaxopt-edu[cli]"'),
        (["show", "adam"], "rich", 'pip install "jaxopt-edu[cli]"'),
        (["race", "--problem", "bowl"], "rich", 'pip install "jaxopt-edu[cli]"'),
        (["race", "--problem", "bowl"], "matplotlib", 'pip install "jaxopt-edu[plots]"'),
        (["race", "--problem", "digits"], "matplotlib", 'pip install "jaxopt-edu[plots]"'),
        (["race", "--problem", "digits"], "sklearn", 'pip install "jaxopt-edu[data]"'),
        (["race"], "sklearn", 'pip install "jaxopt-edu[data]"'),
    ],
)
def test_missing_extras_are_told_before_any_work(place, capsys, monkeypatch, words, missing, line):
    monkeypatch.setitem(sys.modules, missing, None)
    for name in [name for name in sys.modules if name.startswith(f"{missing}.")]:
        monkeypatch.setitem(sys.modules, name, None)

    def race(*words, **options):
        raise AssertionError("the race began")

    monkeypatch.setattr("jaxopt_edu.cli.race.race_on_surface", race)
    monkeypatch.setattr("jaxopt_edu.cli.race.race_on_data", race)
    assert status(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith(f"jaxopt-edu {words[0]}: ")
    assert line in printed.err
    assert os.listdir(place) == []


@pytest.mark.parametrize("command", [[], ["race"], ["textbook"], ["list"], ["show"]])
def test_help_has_examples(capsys, command):
    assert status([*command, "--help"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    words = " ".join(["jaxopt-edu", *command])
    assert printed.out.startswith(f"usage: {words} ")
    examples = [line for line in printed.out.splitlines() if line.startswith(f"  {words}")]
    assert examples
    # Narrower terminals than these lines are rare, and argparse leaves them as they are.
    assert max(map(len, printed.out.splitlines())) <= 110


def test_help_of_race_names_every_problem_and_option(capsys):
    from jaxopt_edu import problems

    status(["race", "--help"])
    words = capsys.readouterr().out.replace(",", " ").split()
    for surface in problems.SURFACES:
        assert surface.name in words
    assert {"digits", "mnist", "--methods", "--steps", "--seeds", "--set", "--data", "--out"} <= set(words)


def test_interrupt(place, capsys, monkeypatch):
    def interrupted(*words, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxopt_edu.cli.race.race_on_surface", interrupted)
    assert status(["race", "--problem", "bowl"]) == 130
    assert capsys.readouterr().err.endswith("jaxopt-edu race: interrupted.\n")
    assert os.listdir(place) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["jaxopt_edu.cli.race.race_on_surface", "jaxopt_edu.race.Report.write"])
def test_signals_end_a_race_with_one_line_and_no_drafts(number, moment, place, capsys, monkeypatch):
    def interrupted(*words, **options):
        os.kill(os.getpid(), number)
        time.sleep(10)

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(moment, interrupted)
    assert status(["race", "--problem", "bowl", "--methods", "sgd"]) == 128 + number
    said = f"jaxopt-edu race: ended by {number.name}; nothing was written.\n"
    assert capsys.readouterr().err.endswith(said)
    assert os.listdir(place) == []
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_installed_command(place):
    script = os.path.join(os.path.dirname(sys.executable), "jaxopt-edu")
    done = subprocess.run([script, "show", "nobody"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("jaxopt-edu show: there is no optimizer 'nobody'")
    assert done.stderr.count("\n") == 1
