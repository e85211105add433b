"""`show` prints one optimizer's whole page."""

import inspect
import re
import sys

import pytest

from jaxopt_edu.cli import main
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.optimizers import OPTIMIZERS

# Who is to be read about which method; from the literature, not from the pages.
PAPERS = {
    "sgd": "Robbins",
    "momentum": "Polyak",
    "nesterov": "1212.0901",
    "adagrad": "Duchi",
    "adadelta": "1212.5701",
    "rmsprop": "Hinton",
    "adam": "1412.6980",
    "adamw": "1711.05101",
    "amsgrad": "1904.09237",
    "adamax": "1412.6980",
    "nadam": "Dozat",
    "radam": "1908.03265",
    "adabelief": "2010.07468",
    "yogi": "Zaheer",
    "adan": "2208.06677",
    "adopt": "2411.02853",
    "ademamix": "2409.03137",
    "lamb": "1904.00962",
    "lars": "1708.03888",
    "adafactor": "1804.04235",
    "prodigy": "2306.06101",
    "dog": "2302.12022",
    "rprop": "Riedmiller",
    "signum": "1802.04434",
    "lion": "2302.06675",
    "muon": "2502.16982",
    "soap": "2409.11321",
    "shampoo": "1802.09568",
    "psgd_kron": "1512.04202",
}


@pytest.mark.parametrize("factory", OPTIMIZERS, ids=lambda factory: factory.__name__)
def test_the_page(capsys, factory):
    name = factory.__name__
    assert main(["show", name]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    page = sys.modules[factory.__module__]
    lines = printed.out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.split() == ["Hyperparameters"])
    head = "\n".join(lines[:first])

    idea = (inspect.getdoc(page) or "").splitlines()[0]
    assert head.startswith(idea)
    assert "←" in head
    assert PAPERS[name] in head

    # Those of another optimizer that it holds are on that one's page.
    values = {name: value for name, value in hyperparameters(factory()).items() if "." not in name}
    # Below the title an empty line, the heads and a rule; then a row each, which may go on in further lines.
    rows = [row for line in lines[first + 4 :] if (row := line.split())[:1] and row[0] in values][
        : len(values)
    ]
    assert {row[0]: float(row[1]) for row in rows} == values
    assert min(map(len, rows)) > 3
    assert list(inspect.signature(factory).parameters)[: len(values)] == list(values)

    for piece in (page.rule, page.init, page.update):
        assert inspect.getsource(piece) in printed.out
    state = next(
        kind for kind in vars(page).values() if inspect.isclass(kind) and kind.__name__.endswith("State")
    )
    assert inspect.getsource(state) in printed.out
    assert "\x1b" not in printed.out


def test_on_a_terminal_the_code_is_the_same_in_colour(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    assert main(["show", "sgd"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b[" in printed
    plain = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()]
    page = sys.modules["jaxopt_edu.optimizers.descent.sgd"]
    for line in inspect.getsource(page.rule).splitlines():
        assert line in plain


def test_one_of_optax_is_shown_too(capsys):
    assert main(["show", "optax.adamw"]) == 0
    printed = capsys.readouterr().out
    assert "Adam with weight decay" in printed
    assert "weight_decay" in printed
    assert "0x" not in printed
    assert main(["show", "optax.nothing"]) == 2
    assert "there is no optimizer 'optax.nothing'" in capsys.readouterr().err
