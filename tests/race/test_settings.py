"""Which hyperparameters a race starts with, and how words change them."""

import itertools

import pytest

import jaxopt_edu as jo
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.core.reading import describe
from jaxopt_edu.optimizers import OPTIMIZERS, STORY
from jaxopt_edu.race import LEARNING_RATES, apply_settings, article_settings, default_settings
from jaxopt_edu.race.settings import shown_setting

NAMES = [factory.__name__ for factory in STORY]


def test_the_articles_settings():
    settings = article_settings()
    assert list(settings) == NAMES
    rates = {name: hyperparameters(settings[name])["learning_rate"] for name in NAMES}
    assert (rates["sgd"], rates["momentum"], rates["adagrad"], rates["adam"]) == (0.95, 0.1, 1.5, 0.3)
    for name, optimizer in settings.items():
        assert describe(optimizer).startswith(f"{name}(")


def test_default_settings_keep_the_order_given():
    assert {name: describe(each) for name, each in default_settings(["adam", "sgd"]).items()} == {
        "adam": describe(jo.adam()),
        "sgd": describe(jo.sgd()),
    }
    assert list(default_settings(["adam", "sgd"])) == ["adam", "sgd"]
    assert list(default_settings()) == NAMES


def test_every_optimizer_may_race():
    names = [factory.__name__ for factory in OPTIMIZERS]
    assert list(default_settings(names)) == names
    assert len(set(names)) == len(names)


def test_unknown_method_is_named():
    with pytest.raises(ValueError, match=r"there is no method 'adran'; choose from sgd, .*, adam"):
        default_settings(["sgd", "adran"])


def test_learning_rates_are_half_decades():
    assert len(LEARNING_RATES) == 12
    for low, high in itertools.pairwise(LEARNING_RATES):
        assert high / low == pytest.approx(10**0.5)
    assert LEARNING_RATES[-1] == 100


def test_settings_change_only_what_they_name():
    before = default_settings(["sgd", "adam"])
    after, pairs = apply_settings(before, ["adam.b1=0.5", " adam.learning_rate = 1e-1", "adam.b1=0.7"])
    assert hyperparameters(after["adam"]) == hyperparameters(jo.adam(learning_rate=0.1, b1=0.7))
    assert hyperparameters(after["sgd"]) == hyperparameters(jo.sgd())
    assert hyperparameters(before["adam"]) == hyperparameters(jo.adam())
    assert pairs == {("adam", "b1"), ("adam", "learning_rate")}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("", "'' should look like adam.learning_rate=0.1"),
        ("adam", "'adam' should look like"),
        ("adam=0.1", "'adam=0.1' should look like"),
        ("adam.=0.1", "'adam.=0.1' should look like"),
        ("adam.b1", "'adam.b1' should look like"),
        ("sgd.learning_rate=1", "is for 'sgd', but the race has adam"),
        ("adam.b1=", "needs a number after '=', not ''"),
        ("adam.b1=fast", "needs a number after '=', not 'fast'"),
        ("adam.b3=0.1", "has no hyperparameter 'b3'; it has learning_rate, b1, b2, eps"),
        ("adam.b1=1", "b1 = 1.0 is out of range"),
        ("adam.b1=nan", "b1 = nan is out of range"),
        ("adam.learning_rate=-1", "learning_rate = -1.0 is out of range"),
        ("adam.learning_rate=inf", "learning_rate = inf is out of range"),
    ],
)
def test_bad_settings_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        apply_settings(default_settings(["adam"]), [setting])


def test_shown_setting():
    assert shown_setting(jo.momentum(learning_rate=0.25)) == "learning_rate=0.25, momentum=0.9"
