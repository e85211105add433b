"""A sweep small enough to check by hand: every setting descends f(w) = w² / 2 from w = 2 + seed."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.runs import TopRun

STEPS = 20
EVERY = 5


@jax.jit
def descend(stacked, starts):
    """w at every step: (settings, seeds, STEPS + 1)."""

    def run(opt, start):
        def step(carry, _):
            w, state = carry
            updates, state = opt.update(w, state, w)
            return (w + updates, state), w

        (w, _), path = jax.lax.scan(step, (start, opt.init(start)), length=STEPS)
        return jnp.append(path, w)

    return jax.vmap(jax.vmap(run, (None, 0)), (0, None))(stacked, starts)


def sweep(optimizers: Sequence[jo.Optimizer], seeds: int = 3) -> SweepResult:
    """Sweep; a run whose loss passes 1e6 has diverged."""
    starts = 2 + jnp.arange(seeds, dtype=jnp.float32)
    groups = {}
    for place, opt in enumerate(optimizers):
        groups.setdefault(jax.tree.structure(opt), []).append(place)
    paths = np.empty((len(optimizers), seeds, STEPS + 1), np.float32)
    for places in groups.values():
        paths[places] = descend(jo.stack([optimizers[place] for place in places]), starts)
    at = np.arange(0, STEPS + 1, EVERY)
    with np.errstate(over="ignore"):
        curves = {"loss": paths[:, :, at] ** 2 / 2, "nearness": 1 / (1 + np.abs(paths[:, :, at]))}
    over = ~(curves["loss"] < 1e6)
    lost = over.any(axis=2)
    made = np.where(lost, at[over.argmax(axis=2)], STEPS)
    states = np.where(lost, "DIVERGED", "COMPLETE")
    for curve in curves.values():
        curve[at > made[:, :, np.newaxis]] = np.nan
    last = np.where(lost, np.inf, curves["loss"][:, :, -1])
    best = [int(number) for number in np.argsort(last, axis=None)[:3]]
    top = tuple(
        TopRun(number, optimizers[i], j, float(last[i, j]), paths[i, j, -1], None)
        for number in best
        for i, j in [divmod(number, seeds)]
    )
    return SweepResult(
        optimizers=tuple(optimizers),
        seeds=tuple(range(seeds)),
        steps=STEPS,
        evaluated_at=at,
        curves=curves,
        made=made,
        states=states,
        metric="loss",
        mode="min",
        top=top,
        final_optimizers=tuple(optimizers),
    )
