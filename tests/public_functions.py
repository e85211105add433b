"""Every public function with right arguments, and which of the usual wrong ones are right for it.

An optimizer is in the table at once; another function by a row in ROWS. A public name that is no function, or
of which something else is tested, stands in tests/other_public_names.py with the reason.
"""

import inspect
import os
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu import core, optimizers, plots, problems, schedules, storage, sweeps, trackers, training
from jaxopt_edu.optimizers import OPTIMIZERS


class Other:
    """An object of another library."""


ADAM = jo.adam()
MONITORED = jo.monitor(ADAM)
KEY = jax.random.key(0)
WRONG: dict[str, Any] = {
    "None": None,
    "text": "fast",
    "NaN": float("nan"),
    "negative": -1,
    "vector": [0.5, -0.5, "x"],
    "a number": 3,
    "an object": Other(),
    "a class": Other,
}
NUMBERS = {"NaN", "negative", "a number"}
FINITE = {"negative", "a number"}
COUNT = {"a number"}  # of steps, of runs, of anything
OPTIONAL = {"None"}
WORD = {"text", "None"}  # a title, a label, a path
ANY = set(WRONG)  # any pytree, or what is looked at only together with the optimizer it belongs to


class Row(NamedTuple):
    """A function, its right arguments, and which of the values above are right for which of them."""

    call: Callable[..., Any]
    good: dict[str, Any]
    right: Mapping[str, set[str]] = types.MappingProxyType({})


def loss(w, batch):
    """A parabola."""
    return w**2


def numbers_of(factory):
    """What an optimizer's own arguments are, where they are numbers."""
    parameters = inspect.signature(factory).parameters.values()
    return {each.name: COUNT for each in parameters if type(each.default) in (int, float)}


POINTS = np.linspace(1.0, 2.0, 12).reshape(3, 4)
READ = jo.readings(
    MONITORED, MONITORED.update(jnp.ones(()), MONITORED.init(jnp.ones(())), jnp.ones(()))[1], jnp.ones(())
)
LIMITS: dict[str, set[str]] = {
    "threshold": COUNT | OPTIONAL | {"negative"},
    "top": COUNT | OPTIONAL | {"negative"},
}
LABELS: dict[str, set[str]] = dict.fromkeys(("title", "xlabel", "ylabel", "label"), WORD)
PLOTTED = {**LIMITS, **LABELS, "log": OPTIONAL, "xlog": OPTIONAL, "ylog": OPTIONAL}
RATED: dict[str, Any] = {"loss_fn": loss, "params_or_init": jnp.ones(()), "optimizer": ADAM, "steps": 3}
RATES: dict[str, set[str]] = {
    "params_or_init": {"NaN"},
    **dict.fromkeys(("low", "high", "num", "steps", "seeds", "smooth"), COUNT),
    **dict.fromkeys(("data", "loss_key", "name", "progress"), OPTIONAL),
    "batch_size": OPTIONAL | COUNT,
    "model_state": ANY,
}
ROWS: dict[str, Row] = {
    # jaxopt_edu and jaxopt_edu.core
    "describe": Row(jo.describe, {"optimizer": ADAM}),
    "kind": Row(core.kind, {"optimizer": ADAM}),
    "hyperparameters": Row(jo.hyperparameters, {"optimizer": ADAM}, {"state": ANY}),
    "settings": Row(core.settings, {"optimizer": ADAM}),
    "replace": Row(jo.replace, {"optimizer": ADAM}, {"changes": ANY}),
    "stack": Row(jo.stack, {"optimizers": [ADAM]}),
    "unstack": Row(jo.unstack, {"optimizer": jo.stack([ADAM, ADAM])}),
    "lift": Row(jo.lift, {"factory": optax.sgd}, {"factory": {"a class"}}),
    "chain": Row(jo.chain, {"transforms": ADAM}),
    "partition": Row(
        jo.partition, {"optimizers": {"a": ADAM, "b": ADAM}, "labels": {"*": "a"}}, {"labels": {"a class"}}
    ),
    "where": Row(
        jo.where,
        {"predicate": "*/bias", "where": 0.5, "otherwise": 0.25},
        {"predicate": {"text"}, "where": FINITE, "otherwise": FINITE},
    ),
    "layerwise": Row(jo.layerwise, {"layers": ["a"], "value": 0.5, "decay": 0.5}, {"value": FINITE}),
    "groups": Row(
        jo.groups,
        {"optimizer": ADAM, "params": jnp.ones(())},
        {"params": {"NaN"} | OPTIONAL, "trainable": OPTIONAL, "step": COUNT},
    ),
    "evaluation_params": Row(
        jo.evaluation_params,
        {"optimizer": ADAM, "state": None, "params": None},
        {"state": ANY, "params": ANY},
    ),
    "loguniform": Row(jo.loguniform, {"low": 0.1, "high": 1.0}, {"high": COUNT}),
    "uniform": Row(jo.uniform, {"low": 0.1, "high": 1.0}, {"low": {"negative"}, "high": COUNT}),
    "quniform": Row(
        jo.quniform,
        {"low": 0.0, "high": 1.0, "q": 0.5},
        {"low": {"negative"}, "high": COUNT, "q": COUNT},
    ),
    "randint": Row(jo.randint, {"low": 0, "high": 2}, {"low": {"negative"}, "high": COUNT}),
    "normal": Row(jo.normal, {"mean": 0.0, "deviation": 1.0}, {"mean": FINITE, "deviation": COUNT}),
    "choice": Row(jo.choice, {"options": [1, 2]}, {"options": {"vector"}}),
    "one_minus": Row(jo.one_minus, {"distribution": jo.uniform(0.1, 0.5)}),
    # jaxopt_edu.wrappers
    "weight_decay": Row(jo.weight_decay, {"optimizer": ADAM, "rate": 0.1}, {"rate": COUNT, "mask": OPTIONAL}),
    "averaged": Row(jo.averaged, {"optimizer": ADAM, "decay": 0.9}, {"decay": OPTIONAL}),
    "schedule_free": Row(jo.schedule_free, {"optimizer": ADAM}, numbers_of(jo.schedule_free)),
    "lookahead": Row(jo.lookahead, {"optimizer": ADAM}, numbers_of(jo.lookahead)),
    "cautious": Row(jo.cautious, {"optimizer": ADAM}),
    "accumulated": Row(jo.accumulated, {"optimizer": ADAM, "steps": 2}, {"steps": COUNT}),
    "loss_scaling": Row(jo.loss_scaling, {"optimizer": ADAM}, numbers_of(jo.loss_scaling)),
    "loss_scale": Row(jo.loss_scale, {"optimizer": ADAM, "state": None}, {"state": ANY}),
    "sam": Row(jo.sam, {"optimizer": ADAM}, numbers_of(jo.sam)),
    "monitor": Row(
        jo.monitor,
        {"optimizer": ADAM, "layers": 1, "every": 1, "window": 2},
        {"layers": COUNT | OPTIONAL, "every": COUNT, "window": COUNT},
    ),
    "readings": Row(
        jo.readings,
        {"optimizer": MONITORED, "state": MONITORED.init(jnp.ones(())), "params": jnp.ones(())},
        {"state": ANY, "params": ANY},
    ),
    "mars": Row(jo.mars, {"optimizer": ADAM}, numbers_of(jo.mars)),
    "compensated": Row(jo.compensated, {"optimizer": ADAM}),
    "packed": Row(jo.packed, {"optimizer": ADAM}),
    "half_state": Row(jo.half_state, {"optimizer": ADAM, "key": KEY}),
    # jaxopt_edu.diagnosis
    "diagnose": Row(jo.diagnose, {"record": READ, "optimizer": ADAM}, {"optimizer": OPTIONAL}),
    # jaxopt_edu.schedules
    "constant": Row(schedules.constant, {"value": 0.5}, {"value": FINITE}),
    "linear": Row(
        schedules.linear,
        {"initial": 0.5, "final": 0.1, "steps": 9},
        {"initial": FINITE, "final": FINITE, "steps": COUNT},
    ),
    "warmup": Row(
        schedules.warmup,
        {"peak": 0.5, "steps": 9},
        {"peak": FINITE, "steps": COUNT, "initial": FINITE},
    ),
    "exponential": Row(
        schedules.exponential,
        {"initial": 0.5, "rate": 0.9},
        {"initial": FINITE, "rate": COUNT, "steps": COUNT},
    ),
    "cosine": Row(
        schedules.cosine,
        {"peak": 0.5, "steps": 9},
        {"peak": FINITE, "steps": COUNT, "final": FINITE},
    ),
    "joined": Row(schedules.joined, {"schedules": [schedules.constant(0.5)], "boundaries": []}),
    "warmup_cosine": Row(
        schedules.warmup_cosine,
        {"peak": 0.5, "warmup_steps": 2, "steps": 9},
        {"peak": FINITE, "warmup_steps": COUNT, "steps": COUNT, "final": FINITE},
    ),
    "polynomial": Row(
        schedules.polynomial,
        {"initial": 0.5, "final": 0.1, "steps": 9},
        {"initial": FINITE, "final": FINITE, "steps": COUNT, "power": COUNT},
    ),
    "warmup_stable_decay": Row(
        schedules.warmup_stable_decay,
        {"peak": 0.5, "warmup_steps": 1, "decay_steps": 2, "steps": 9},
        {"peak": FINITE, "final": FINITE, **dict.fromkeys(("warmup_steps", "decay_steps", "steps"), COUNT)},
    ),
    "inverse_square_root": Row(
        schedules.inverse_square_root,
        {"peak": 0.5, "warmup_steps": 2},
        {"peak": FINITE, "warmup_steps": COUNT},
    ),
    "one_cycle": Row(
        schedules.one_cycle,
        {"peak": 0.5, "steps": 9},
        {"peak": FINITE, **dict.fromkeys(("steps", "div_factor", "final_div_factor"), COUNT)},
    ),
    "restarts": Row(
        schedules.restarts,
        {"peak": 0.5, "period": 9},
        {"peak": FINITE, "final": FINITE, "period": COUNT, "factor": COUNT},
    ),
    # jaxopt_edu.optimizers
    "space": Row(optimizers.space, {"factory": jo.adam}),
    # jaxopt_edu.storage
    "save": Row(
        storage.save,
        {"path": os.devnull, "tree": ADAM},
        {"path": {"text"}, "tree": NUMBERS | OPTIONAL, "extra": OPTIONAL},
    ),
    "load": Row(storage.load, {"path": "nowhere.npz", "like": ADAM}, {"path": {"text"}, "like": ANY}),
    # jaxopt_edu.trackers
    "CSV": Row(trackers.CSV, {"path": "run.csv"}, {"path": {"text"}}),
    "JSONLines": Row(trackers.JSONLines, {"path": "run.jsonl"}, {"path": {"text"}}),
    "TensorBoard": Row(trackers.TensorBoard, {"folder": "run"}, {"folder": {"text"}}),
    "WandB": Row(
        trackers.WandB,
        {"project": "digits"},
        {"project": {"text"}, "name": WORD, "id": WORD, "mode": OPTIONAL, "options": ANY},
    ),
    "MLflow": Row(
        trackers.MLflow, {"experiment": "digits"}, {"experiment": {"text"}, "uri": WORD, "name": WORD}
    ),
    "carry_over": Row(storage.carry_over, {"old": {"w": 1.0}, "new": {"w": 0.0}}, {"only": OPTIONAL}),
    # jaxopt_edu.training
    "fit": Row(
        jo.fit,
        {"loss_fn": loss, "params": jnp.ones(()), "optimizer": ADAM, "steps": 0},
        {
            "params": {"NaN"},
            "trainable": OPTIONAL,
            "data": OPTIONAL | {"vector"},  # a list of batches: each is looked at when it is drawn
            "steps": COUNT,
            "seconds": COUNT | OPTIONAL,
            "batch_size": COUNT | OPTIONAL,
            "key": OPTIONAL,
            "loss_key": OPTIONAL,
            "model_state": ANY,
            "state": OPTIONAL,
            "first_batch": COUNT,
            "evaluate": OPTIONAL,
            "every": COUNT | OPTIONAL,
            "metric": OPTIONAL,
            "patience": COUNT | OPTIONAL,
            "callback": OPTIONAL,
            "tracker": OPTIONAL,
            "checkpoint": WORD,
            "mesh": OPTIONAL,
            "data_axis": OPTIONAL,
            "progress": OPTIONAL,
        },
    ),
    "mean_over": Row(
        jo.mean_over,
        {"function": loss, "data": POINTS},
        {"data": {"vector"}, "batch_size": COUNT | OPTIONAL},  # batches are looked at when they are read
    ),
    "CheckpointFolder": Row(training.CheckpointFolder, {"path": "kept"}, {"path": {"text"}, "keep": COUNT}),
    "OrbaxFolder": Row(training.OrbaxFolder, {"path": "kept"}, {"path": {"text"}, "keep": COUNT}),
    # jaxopt_edu.losses
    "micro_batches": Row(
        jo.micro_batches, {"loss_fn": loss, "parts": 2}, {"parts": COUNT, "loss_scale": COUNT | OPTIONAL}
    ),
    "mixed_precision": Row(jo.mixed_precision, {"loss_fn": loss}, {"keep": {"text"}}),
    "cast": Row(jo.cast, {"tree": jnp.ones(()), "dtype": jnp.bfloat16}, {"tree": ANY, "keep": {"text"}}),
    # jaxopt_edu.sweeps
    "grid": Row(jo.grid, {"factory": jo.adam}, {"axes": ANY}),
    "sample": Row(
        jo.sample,
        {"factory": jo.adam, "n": 1, "key": KEY},
        {"n": COUNT, "quasi": OPTIONAL, "distributions": ANY},
    ),
    "sweep": Row(
        jo.sweep,
        {"loss_fn": loss, "params_or_init": jnp.ones(()), "optimizers": [ADAM], "steps": 1},
        {
            "params_or_init": {"NaN"},
            "trainable": OPTIONAL,
            "data": OPTIONAL,
            "steps": COUNT,
            "seeds": COUNT,
            "batch_size": OPTIONAL | COUNT,
            "loss_key": OPTIONAL,
            "model_state": ANY,
            "evaluate": OPTIONAL,
            "every": OPTIONAL | COUNT,
            "metric": OPTIONAL,
            "prune": OPTIONAL,
            "keep": COUNT,
            "path": WORD,
            "devices": OPTIONAL,
            "chunk_size": COUNT,
            "progress": OPTIONAL,
        },
    ),
    "Halving": Row(sweeps.Halving, {}, {"min_steps": COUNT | OPTIONAL, "factor": COUNT}),
    "Hyperband": Row(sweeps.Hyperband, {}, {"min_steps": COUNT | OPTIONAL, "factor": COUNT}),
    "MedianStopping": Row(
        sweeps.MedianStopping, {}, {"min_steps": COUNT | OPTIONAL, "interval": COUNT | OPTIONAL}
    ),
    "PopulationBased": Row(sweeps.PopulationBased, {"interval": 5}, {"interval": COUNT, "seed": COUNT}),
    "sweeps.load": Row(sweeps.load, {"path": "nowhere"}, {"path": {"text"}, "optimizers": OPTIONAL}),
    "rewrite": Row(sweeps.rewrite, {"path": "nowhere"}, {"path": {"text"}, "optimizers": OPTIONAL}),
    # jaxopt_edu.rates
    "rate_test": Row(jo.rate_test, RATED | {"num": 3}, RATES),
    "rate_ramp": Row(jo.rate_ramp, RATED, RATES),
    # jaxopt_edu.problems
    "digits": Row(problems.digits, {}, {"seed": COUNT}),
    "mnist": Row(problems.mnist, {"path": "nowhere"}, {"path": {"text"}}),
    "problem": Row(problems.problem, {"name": "zipf"}),
    "variants": Row(problems.variants, {"name": "zipf"}),
    "suite": Row(problems.suite, {"name": "core"}),
    "noisy_quadratic": Row(
        problems.noisy_quadratic, {"curvatures": [1.0, 2.0], "noise_scale": 0.1}, {"noise_scale": COUNT}
    ),
    "sparse_regression": Row(
        problems.sparse_regression,
        {"key": KEY, "examples": 8, "features": 4},
        {"examples": COUNT, "features": COUNT, "power": COUNT},
    ),
    # jaxopt_edu.plots
    "curves": Row(
        plots.curves,
        {"histories": {"a": POINTS}, "ylabel": "loss"},
        {**PLOTTED, "steps": OPTIONAL, "smooth": COUNT},
    ),
    "budget": Row(plots.budget, {"results": {"a": POINTS}}, PLOTTED),
    "heat_map": Row(
        plots.heat_map,
        {
            "x": [1.0, 2.0],
            "y": [1.0, 2.0],
            "values": [1.0, 2.0],
            "xlabel": "x",
            "ylabel": "y",
            "label": "loss",
        },
        {**PLOTTED, "best": OPTIONAL, "marks": OPTIONAL},
    ),
    "parallel": Row(
        plots.parallel,
        {"columns": {"a": [1.0, 2.0], "b": [1.0, 2.0]}, "values": [1.0, 2.0], "label": "loss"},
        {**PLOTTED, "best": OPTIONAL, "logs": OPTIONAL},
    ),
    "sensitivity": Row(plots.sensitivity, {"results": {"a": ([0.1, 0.2, 0.3], POINTS)}}, PLOTTED),
    "paths": Row(
        plots.paths,
        {
            "function": problems.bowl.function,
            "domain": problems.bowl.domain,
            "trajectories": {"a": np.ones((3, 2))},
        },
        {**PLOTTED, "start": OPTIONAL},
    ),
    "plots.layers": Row(plots.layers, {"record": READ, "what": "gradient"}, PLOTTED),
    "plots.rate_test": Row(
        plots.rate_test,
        {"rates": [0.1, 0.2, 0.3, 0.4], "losses": POINTS},
        {
            **LABELS,
            "first": COUNT | OPTIONAL | {"negative"},
            "suggestion": COUNT | OPTIONAL,
            **dict.fromkeys(("smoothed", "interval"), OPTIONAL),
        },
    ),
    "plots.schedules": Row(
        plots.schedules,
        {"schedules": {"a": schedules.constant(0.5)}, "steps": 5},
        {**LABELS, "steps": COUNT},
    ),
    "animate": Row(
        plots.animate,
        {
            "function": problems.bowl.function,
            "domain": problems.bowl.domain,
            "trajectories": {"a": np.ones((3, 2))},
            "seconds": 0.1,
        },
        {**PLOTTED, "start": OPTIONAL, "seconds": COUNT},
    ),
    "frame_count": Row(plots.frame_count, {"seconds": 1.0}, {"seconds": COUNT}),
    "styles": Row(plots.styles, {"labels": ["a"]}),
    "plots.save": Row(plots.save, {"picture": None, "path": "x.png"}, {"path": {"text"}}),
    **{factory.__name__: Row(factory, {}, numbers_of(factory)) for factory in OPTIMIZERS},
}


# What takes seconds; the doctests call it rightly.
SLOW = {
    "curves",
    "budget",
    "heat_map",
    "parallel",
    "sensitivity",
    "paths",
    "plots.layers",
    "plots.rate_test",
    "plots.schedules",
    "animate",
    "rate_test",
    "rate_ramp",
    "digits",
    "sparse_regression",
}


def called(row: Row, argument: str, value: Any) -> Any:
    """Call a function rightly but for one argument."""
    given = row.good | {argument: value}
    parameters = inspect.signature(row.call).parameters
    ahead = [
        given.pop(name)
        for name, each in parameters.items()
        if each.kind in (each.POSITIONAL_ONLY, each.VAR_POSITIONAL)
    ]
    return row.call(*ahead, **given)


def check_line(function, argument, message):
    """An error is one line that begins with the function's name and names the argument."""
    assert message.startswith(f"{function}: "), message
    assert "\n" not in message
    assert argument in message or "argument 0" in message, message
    assert len(message) < 400
