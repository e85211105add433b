"""The lab's plots, which are empty until the page fills them, and the data that it fills them with."""

from typing import Any, NamedTuple

import numpy as np
from bokeh.core.types import ID
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, Span
from markupsafe import Markup

from jaxopt_edu.plots.drawing.contours import evaluate, grid
from jaxopt_edu.plots.drawing.style import QUIET
from jaxopt_edu.textbook.figures import Path
from jaxopt_edu.textbook.lab import (
    ANGLES,
    DECAYS,
    METHODS,
    MOMENTA,
    NOISES,
    RATES,
    STARTS,
    STEPS,
    SURFACES,
    Lab,
    rotated,
)
from jaxopt_edu.textbook.page.drawing.canvas import Scale, canvas
from jaxopt_edu.textbook.page.drawing.ground import draw_ground, draw_minima, ground_of, image_place
from jaxopt_edu.textbook.page.drawing.key import Entry, entries
from jaxopt_edu.textbook.page.drawing.look import PAPER, dash, mark
from jaxopt_edu.textbook.page.drawing.looks import looks
from jaxopt_edu.textbook.page.drawing.paths import REACH, START, WIDTH, draw_path
from jaxopt_edu.textbook.page.packing import pack
from jaxopt_edu.textbook.page.shown import script_json

MARKED = np.arange(0, STEPS + 1, 4)  # which points of a path have a mark
_LOOKS = looks([method.name for method in METHODS])
SYMBOLS = {"momentum": "α", "b1": "β₁", "b2": "β₂", "rho": "ρ", "decay": "ρ", "eps": "ε"}


class ShownLab(NamedTuple):
    """What the template needs of the lab.

    Attributes:
        map: the plot of the paths, as JSON.
        caption: what stands under it at first.
        losses: the plots of f, by scale, as JSON.
        choices: what the controls can choose, as JSON.
        chunks: the data of each surface, by its name, as JSON.
        key: the methods with their lines and marks.
        controls: what the template lists.
    """

    map: Markup
    caption: str
    losses: dict[str, Markup]
    choices: Markup
    chunks: dict[str, Markup]
    key: tuple[Entry, ...]
    controls: dict[str, Any]


def show_lab(lab: Lab) -> ShownLab:
    """Make the lab's plots and pack its data.

    Args:
        lab: what ran.

    Returns:
        Everything that the template needs.
    """
    choices = {
        "steps": STEPS,
        "reach": REACH,
        "rates": RATES,
        "momenta": MOMENTA,
        "decays": DECAYS,
        "methods": [
            {
                "name": method.name,
                "momentum": SYMBOLS.get(method.momentum, ""),
                "decay": SYMBOLS.get(method.decay, ""),
                "decays": method.decays(),
                "defaults": {
                    "rate": RATES.index(method.default("learning_rate")),
                    "decay": method.decays().index(method.default(method.decay)) if method.decay else 0,
                },
                "fixed": [f"{SYMBOLS[name]} = {value:g}" for name, value in method.fixed.items()],
                "remembers": method.remembers(),
            }
            for method in METHODS
        ],
        "shape": [len(STARTS["bowl"]), len(ANGLES), len(NOISES)],
    }
    return ShownLab(
        map=_map(),
        caption=f"f = {SURFACES[0].formula}. ○ start, ☆ minimum. {ground_of(SURFACES[0]).note}",
        losses={scale: _losses(scale) for scale in ("log", "linear")},
        choices=script_json(choices),
        chunks={surface.name: _chunk(lab, which) for which, surface in enumerate(SURFACES)},
        key=entries(_LOOKS),
        controls={
            "surfaces": [(surface.name, surface.name.capitalize(), surface.formula) for surface in SURFACES],
            "starts": len(STARTS["bowl"]),
            "angles": ANGLES,
            "noises": [f"{noise:.0%}".replace("%", " %") if noise else "none" for noise in NOISES],
            "rates": RATES,
            "momenta": MOMENTA,
            "decays": DECAYS,
            "steps": STEPS,
        },
    )


def _chunk(lab: Lab, which: int) -> Markup:
    surface = SURFACES[which]
    grounds = []
    for angle in ANGLES:
        turned = rotated(surface, angle)
        ground = ground_of(turned)
        grounds.append(
            {
                # Shades are whole numbers, so they survive as floats.
                "shades": pack(ground.shades.astype(np.float32)),
                "lines": pack(ground.lines.T),
                "points": len(ground.lines),
                "minima": turned.minima,
                "note": ground.note,
            }
        )
    chunk = {
        "formula": surface.formula,
        "domain": surface.domain,
        "image": image_place(surface.domain),
        "side": len(ground_of(surface).shades),
        "starts": STARTS[surface.name],
        "log": surface.minimum is not None,
        "low": float(evaluate(surface.function, grid(np.asarray(surface.domain))[2]).min()),
        "grounds": grounds,
        "runs": {name: pack(runs[which]) for name, runs in lab.runs.items()},
    }
    return script_json(chunk)


def _map() -> Markup:
    surface = SURFACES[0]
    plot = canvas(surface.domain[0], surface.domain[1], height=460, right=14, grid=False)
    draw_ground(plot, surface)
    window = np.asarray(surface.domain)
    nowhere = np.full((STEPS + 1, 2), np.nan)
    for name, look in _LOOKS.items():
        draw_path(plot, Path(name, nowhere, nowhere[:, 0]), look, window, marked=MARKED, played=True)
    draw_minima(plot, surface)
    plot.scatter("x", "y", source=ColumnDataSource({"x": [], "y": []}, name="start"), **START)
    return script_json(json_item(plot, ID("lab-map-plot")))


def _losses(scale: Scale) -> Markup:
    plot = canvas(
        (0, STEPS), (1e-6, 10), xlabel="step", ylabel="f(x, y)", yscale=scale, height=300, right=14, grid=True
    )
    for name, look in _LOOKS.items():
        empty = {"x": np.zeros(0, np.float32), "y": np.zeros(0, np.float32)}
        line = ColumnDataSource(dict(empty), name=f"line:{name}")
        marks = ColumnDataSource(dict(empty), name=f"marks:{name}")
        drawn = (
            plot.line(
                "x",
                "y",
                source=line,
                line_color=look.color,
                line_width=WIDTH,
                line_dash=dash(look.dash, WIDTH),
            ),
            plot.scatter("x", "y", source=marks, **mark(look, 8.0), fill_color=look.color, line_color=PAPER),
        )
        for renderer in drawn:
            renderer.name = name
    plot.add_layout(
        Span(
            location=STEPS, dimension="height", line_color=QUIET, line_dash=[2, 3], line_width=1.5, name="now"
        )
    )
    return script_json(json_item(plot, ID(f"lab-losses-{scale}-plot")))
