"""The chapters are whole and in order."""

import ast
import inspect
import itertools

import pytest
from latex2mathml.converter import convert

from jaxopt_edu.optimizers import STORY
from jaxopt_edu.textbook.chapters import CHAPTERS


def test_the_story_is_told_in_order():
    assert [chapter.slug for chapter in CHAPTERS] == [
        "gradient-descent",
        "momentum",
        "nesterov",
        "adagrad",
        "rmsprop",
        "adadelta",
        "adam",
        "choosing",
    ]


def test_every_optimizer_has_a_chapter_that_shows_its_rule():
    first = {}
    for chapter in CHAPTERS:
        for page in chapter.pages:
            first.setdefault(page.__name__.rpartition(".")[2], chapter.slug)
    assert set(first) == {optimizer.__name__ for optimizer in STORY}
    assert "choosing" not in first.values()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_experiments_take_a_seed_and_have_defaults_for_the_rest(chapter):
    experiments = (chapter.opening, *chapter.experiments)
    assert len(set(experiments)) == len(experiments) > 1
    for experiment in experiments:
        parameters = inspect.signature(experiment).parameters
        assert "seed" in parameters
        assert all(parameter.default is not parameter.empty for parameter in parameters.values())


def test_no_experiment_stands_in_two_chapters():
    told = [(chapter.opening, *chapter.experiments) for chapter in CHAPTERS]
    for one, other in itertools.combinations(told, 2):
        assert not set(one) & set(other)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_equations_become_mathml(chapter):
    assert chapter.equations
    for latex in chapter.equations:
        # What the converter does not know it passes on with its backslash.
        assert "\\" not in convert(latex)


@pytest.mark.parametrize(
    ("slug", "roots", "divisions"), [("rmsprop", 1, 1), ("adadelta", 1, 1), ("adam", 1, 3)]
)
def test_the_operations_counted_are_those_of_the_rule_shown(slug, roots, divisions):
    (chapter,) = [chapter for chapter in CHAPTERS if chapter.slug == slug]
    code = list(ast.walk(ast.parse(inspect.getsource(chapter.pages[0].rule))))
    called = [node.func.id for node in code if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    divided = sum(isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) for node in code)
    assert (called.count("squared_root"), called.count("divide") + divided) == (roots, divisions)
    words = " ".join(chapter.costs.split())
    assert "one root" in words
    assert ("one division", "three divisions")[divisions > 1] in words
