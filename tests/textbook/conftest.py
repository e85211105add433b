"""A chapter with one figure of each kind, small enough to build in every session."""

import sys

import numpy as np
import pytest

from jaxopt_edu import optimizers, problems
from jaxopt_edu.textbook.build import WrittenChapter, write_chapter
from jaxopt_edu.textbook.chapter import Chapter, Finding
from jaxopt_edu.textbook.figures import HeatFigure, LinesFigure, PathsFigure, Series
from jaxopt_edu.textbook.runs import surface_paths


def walk(seed: int = 0) -> Finding:
    """Two paths over the bowl, to be played."""
    settings = {"SGD": optimizers.sgd(0.95), "Adam": optimizers.adam(0.3)}
    paths = surface_paths(problems.bowl, settings, steps=30)
    return Finding(
        name="walk",
        claim="Both walk, and </script><b>neither</b> runs.",
        verdict="holds",
        measured=f"SGD comes to {paths[0].values[-1]:.3f}.",
        setting="The bowl, 30 steps.",
        data={"seed": seed, "last": float(paths[0].values[-1])},
        figures=(PathsFigure(problems.bowl, paths, play=True),),
    )


def chart(seed: int = 0) -> Finding:
    """Lines with a gap, a band, and marks of theory on both axes."""
    x = np.geomspace(0.01, 10, 40)
    gap = np.where(x > 3, np.nan, x**2)
    return Finding(
        name="chart",
        claim="Lines go up.",
        verdict="depends",
        measured="One goes up to 9.",
        setting="None.",
        data={"top": 9.0},
        figures=(
            LinesFigure(
                (Series("SGD", x, gap), Series("Adam", x, x, 0.5 * x, 2 * x)),
                xlabel="learning rate",
                ylabel="loss",
                xscale="log",
                yscale="log",
                marks=(("x", 1.0, "limit"), ("y", 0.1, "target")),
            ),
        ),
    )


def map_(seed: int = 0) -> Finding:
    """A heat map in which one run diverged."""
    x, y = np.geomspace(0.01, 1, 5), np.linspace(0, 0.9, 4)
    values = 1 + x + y[:, None]
    values[-1, -1] = np.nan
    return Finding(
        name="map",
        claim="It is hot there.",
        verdict="fails",
        measured="It is 1.01 at the coolest.",
        setting="None.",
        data={"coolest": 1.01},
        figures=(
            HeatFigure(x, y, values, "rate", "momentum", "heat", xscale="log", points=((0.1, 0.0, "here"),)),
        ),
    )


@pytest.fixture(scope="session")
def sample() -> Chapter:
    """The chapter."""
    return Chapter(
        slug="sample",
        title="A sample",
        opening=walk,
        idea="Go *down*, by $\\eta < 1$.\n\nAgain.",
        equations=(r"w \leftarrow w - \eta \, g",),
        pages=(sys.modules["jaxopt_edu.optimizers.descent.sgd"],),
        experiments=(chart, map_),
        costs="Nothing.",
        use="| when | what |\n|---|---|\n| always | this |",
    )


@pytest.fixture(scope="session")
def written(sample) -> WrittenChapter:
    """The chapter with its findings."""
    return write_chapter(sample)
