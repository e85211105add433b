"""Problems by their names, and from files of the user's own."""

import pytest

from jaxopt_edu import problems
from jaxopt_edu.cli import main
from jaxopt_edu.cli.named_problems import problem_called

MINE = """
import jax.numpy as jnp
from helper import start
from jaxopt_edu.problems import Problem

def tilted(steps=20):
    return Problem(
        name="tilted", why="Mine.", init=lambda key: start, loss=lambda w, batch: jnp.sum(w**2), data=None,
        evaluate=lambda w: {"validation": jnp.sum(w**2), "test": jnp.sum(w**2)}, steps=steps, trivial=3.0,
        trivial_is="the start", optimum=0.0,
    )

problem, number = tilted(), 3
"""


@pytest.fixture
def mine(tmp_path):
    """A file with a problem, which imports what stands beside it."""
    (tmp_path / "helper.py").write_text("import jax.numpy as jnp\nstart = jnp.ones(3)\n")
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_a_name_of_the_suite():
    assert problem_called("cancer_raw").name == "cancer_raw"


@pytest.mark.parametrize("place", ["problem", "tilted"])
def test_a_problem_in_a_file_or_a_function_that_makes_one(mine, place):
    made = problem_called(f"{mine}:{place}")
    assert isinstance(made, problems.Problem)
    assert made.steps == 20


def test_a_sweep_of_it_finds_the_better_rate(mine, tmp_path, capsys):
    words = ["sgd", "learning_rate=0.01,0.1", "--out", str(tmp_path / "out")]
    assert main(["sweep", f"{mine}:problem", *words, "--seeds", "1"]) == 0
    printed = capsys.readouterr().out
    assert "2 settings × 1 seeds = 2 runs of 20 steps" in printed
    assert "sgd(learning_rate=0.1)" in printed


def test_what_is_known_of_it_is_shown(mine, capsys):
    assert main(["show", f"{mine}:problem"]) == 0
    printed = capsys.readouterr().out
    assert "tilted: Mine." in printed
    assert "3 (the start)" in printed
    assert "version 1" in printed


def test_what_is_known_of_one_of_the_suite_is_shown(capsys):
    assert main(["show", "cancer_raw"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for part in ("hopeless for one rate", "even chances for all", "Args:", "cancer_raw(decay=0.01)", "31"):
        assert part in printed


@pytest.mark.parametrize(
    ("place", "content", "said"),
    [
        ("nothing", MINE, "has no 'nothing'; it has these problems: problem."),
        ("number", MINE, "mine.py:number is int; it has to be a jaxopt_edu.problems.Problem, or a function"),
        ("problem", "1 / 0", "mine.py cannot be run: ZeroDivisionError: division by zero"),
        ("problem", "def (", "mine.py cannot be run: SyntaxError: invalid syntax"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(mine, place, content, said, capsys):
    mine.write_text(content)
    assert main(["show", f"{mine}:{place}"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_file_that_is_not_there(capsys):
    assert main(["sweep", "nowhere.py:problem", "sgd"]) == 2
    assert "nowhere.py: there is no such Python file." in capsys.readouterr().err


def test_a_name_that_is_none_is_told_all(capsys):
    assert main(["sweep", "digits_mpl", "sgd"]) == 2
    error = capsys.readouterr().err
    assert "there is no problem 'digits_mpl'; choose from digits, mnist, bowl" in error
    assert "or name one in a file of yours, as mine.py:problem" in error


def test_a_metric_is_not_asked_of_what_has_its_own(capsys):
    assert main(["sweep", "cancer_raw", "sgd", "--metric", "accuracy"]) == 2
    assert "--metric is for digits and mnist; cancer_raw has a metric of its own" in capsys.readouterr().err
