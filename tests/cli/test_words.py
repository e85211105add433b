"""What the words of a sweep mean, and what is said of those that mean nothing."""

import hypothesis.strategies as st
import jax
import optax
import pytest
from hypothesis import given

import jaxopt_edu as jo
from jaxopt_edu.cli.words import Scheduled, read_value, read_words, settings_of
from jaxopt_edu.core import distributions as d
from jaxopt_edu.sweeps.space.settings import grid, sample

KEY = jax.random.key(0)


def described(optimizers):
    return [jo.describe(optimizer) for optimizer in optimizers]


def settings(words, num=4):
    return described(settings_of(read_words(words.split()), num=num, key=KEY))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("-1e-4", -1e-4),
        ("0,0.9", [0, 0.9]),
        ("0.5,", [0.5]),
        ("[1, 2]", [1, 2]),
        ("True,None", [True, None]),
        ("loguniform(1e-4,1)", d.loguniform(1e-4, 1)),
        ("uniform(low=0, high=0.5)", d.uniform(0, 0.5)),
        ("quniform(0,1,0.25)", d.quniform(0, 1, 0.25)),
        ("randint(1,9)", d.randint(1, 9)),
        ("normal(0,0.5)", d.normal(0, 0.5)),
        ("choice(0,0.9)", d.choice([0, 0.9])),
        ("choice([0,0.9])", d.choice([0, 0.9])),
        ("cosine(0.1,500)", Scheduled("cosine", {"peak": 0.1, "steps": 500})),
        (
            "warmup(peak=loguniform(1e-3,1),steps=[10,20])",
            Scheduled("warmup", {"peak": d.loguniform(1e-3, 1), "steps": [10, 20]}),
        ),
    ],
)
def test_values(text, value):
    assert read_value(text, text) == value


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers()))
def test_every_number_is_read_as_python_reads_it(number):
    assert read_value(repr(number), "") == number
    assert read_value(f"{number!r},{number!r}", "") == [number, number]


@given(st.text())
def test_any_other_text_is_refused_and_nothing_else_happens(text):
    try:
        read_value(text, f"b1={text}")
    except ValueError as error:
        assert repr(f"b1={text}") in str(error)  # noqa: PT017


def test_lists_are_a_grid():
    assert settings("momentum learning_rate=0.1,0.2 momentum=0,0.9") == described(
        grid(jo.momentum, learning_rate=[0.1, 0.2], momentum=[0, 0.9])
    )
    assert settings("sgd") == ["sgd(learning_rate=0.01)"]


def test_a_distribution_makes_a_sample_in_which_lists_are_choices():
    [entry] = read_words(["adam", "learning_rate=loguniform(1e-4,1)", "b1=0,0.9"])
    assert entry.drawn
    assert settings("adam learning_rate=loguniform(1e-4,1) b1=0,0.9", num=7) == described(
        sample(jo.adam, 7, key=KEY, learning_rate=d.loguniform(1e-4, 1), b1=[0, 0.9])
    )
    assert len(settings("adam b1=choice(0,0.9)", num=7)) == 7


def test_optimizers_add_up_and_the_same_one_may_come_twice():
    assert settings("sgd learning_rate=1 adam sgd learning_rate=uniform(2,3)", num=2)[:2] == [
        "sgd(learning_rate=1)",
        jo.describe(jo.adam()),
    ]
    assert len(settings("sgd learning_rate=1 adam sgd learning_rate=uniform(2,3)", num=2)) == 4


def test_a_schedules_numbers_are_axes():
    expected = grid(
        lambda steps, peak: jo.sgd(jo.schedules.cosine(peak=peak, steps=steps)),
        steps=[10, 20],
        peak=[0.1, 0.2],
    )
    assert settings("sgd learning_rate=cosine(steps=[10,20],peak=[0.1,0.2])") == described(expected)
    # Of the middle of 5 and 995 steps of warm-up, and 500 in all, nothing could be built.
    warmed = settings("sgd learning_rate=warmup_cosine(1,randint(5,995),1000)", num=5)
    assert len(set(warmed)) == 5
    restarted = settings("sgd learning_rate=restarts(1,[10,20],factor=2)")
    assert restarted == [
        f"sgd(learning_rate=restarts(peak=1, period={period}, factor=2, final=0))" for period in (10, 20)
    ]
    listed = settings("sgd learning_rate=0.1,cosine(0.2,10)")
    assert listed == ["sgd(learning_rate=0.1)", "sgd(learning_rate=cosine(peak=0.2, steps=10, final=0))"]


def test_optax_is_lifted():
    assert settings("optax.lion learning_rate=0.1,0.2 b1=0.5") == described(
        grid(jo.lift(optax.lion), learning_rate=[0.1, 0.2], b1=0.5)
    )
    assert len(settings("optax.nadam learning_rate=0.1")) == 1
    assert len(settings("optax.sgd learning_rate=0.1 momentum=0.9 nesterov=True,False")) == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("adma", "there is no optimizer 'adma'; choose from sgd, .*, or one of optax's as optax.lion"),
        ("optax.liom", "there is no optimizer 'optax.liom'"),
        ("optax.__dict__", "there is no optimizer 'optax.__dict__'"),
        ("optax.chain", "optax.chain: lift: chain takes a variable number of arguments"),
        ("optax.apply_updates params=1 updates=2", "lift: apply_updates makes a .*, not an optax transform"),
        ("b1=0.9", "'b1=0.9' comes before any optimizer; write the optimizer first, as in adam b1=0.9"),
        ("adam lr=1", "adam has no hyperparameter 'lr'; it has learning_rate, b1, b2, eps"),
        ("adam b1=0 b1=1", "'b1=1': adam has b1 already; several values make one list, b1=a,b"),
        ("adam b1=", "'b1=': '' cannot be read; a value is a number, a list such as 0.1,0.2, a distribution"),
        ("adam b1=fast", "'b1=fast': 'fast' is no value; a value is a number"),
        ("adam b1='a'", "is no value"),
        ("adam b1=0.1+0.2", "'0.1 \\+ 0.2' is no value"),
        ("adam b1=__import__('os').getcwd()", "is no value"),
        ("adam b1=open('x')", "no 'open'; distributions are uniform, .*, and schedules are constant,"),
        ("adam b1=[[0]]", r"'\[0\]' cannot stand in a list; a list has numbers or schedules"),
        ("adam b1=0,uniform(0,1)", r"'uniform\(0, 1\)' cannot stand in a list"),
        ("adam b1=0,constant([0,1])", "a schedule in a list has single numbers, but .* has several"),
        ("adam b1=uniform(0)", r"uniform\(0\) does not fit uniform\(low, high\): missing a required"),
        ("adam b1=uniform(0,top=1)", r"does not fit uniform\(low, high\)"),
        ("adam b1=uniform(1,0)", r"'b1=uniform\(1,0\)': uniform: low = 1.0 is not below high = 0.0"),
        ("adam b1=uniform(0,None)", r"'b1=uniform\(0,None\)': uniform: high = None is NoneType"),
        ("adam b1=uniform(*[0,1])", "is no value"),
        ("adam b1=uniform(**{})", "is no value"),
        ("adam b1=choice(3)", "choice: options = 3 is not a list"),
        ("adam b1=choice()", "choice: there is nothing to choose from"),
        ("adam b1=cosine(peak=1)", r"cosine\(peak=1\) does not fit cosine\(peak, steps, final\)"),
        ("adam b1=cosine(cosine(1,2),3)", "peak of cosine must be a number, a list or a distribution"),
        ("adam b1=0.5,1.5", r"adam: grid: setting 1 \(b1=1.5\) cannot be built: adam: b1 = 1.5 is out"),
        ("adam b1=None", "adam: grid: .*: adam: b1 = None is NoneType"),
        ("adam learning_rate=cosine(1,-5)", "adam: grid: .*: cosine: steps = -5 is out of range"),
        ("", "there is nothing to sweep; name an optimizer: sgd, "),
        ("adam b1=" + "(" * 5000, "cannot be read"),
        ("adam b1=" + "-" * 50000 + "1", "cannot be read|is no value"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named(words, text):
    with pytest.raises(ValueError, match=text):
        settings(words)
