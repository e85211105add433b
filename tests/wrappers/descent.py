"""A noisy quadratic bowl, descended by an optimizer of ours, by a formula in NumPy and by one of torch's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo

STEPS = 300
RNG = np.random.default_rng(0)
START = {"b": RNG.normal(size=3), "w": RNG.normal(size=(2, 3))}
CURVATURE = {name: np.exp(RNG.normal(size=leaf.shape)) for name, leaf in START.items()}
NOISE = {name: 0.3 * RNG.normal(size=(STEPS, *leaf.shape)) for name, leaf in START.items()}
Tree = dict[str, Any]


def gradients(params: Tree, noise: Tree, curvature: Tree = CURVATURE) -> Tree:
    """Of ½ Σ curvature · w², with noise; of arrays of any library."""
    return {name: curvature[name] * w + noise[name] for name, w in params.items()}


def noise_at(t: int) -> Tree:
    """The noise of the step with this number, from 0."""
    return {name: leaf[t] for name, leaf in NOISE.items()}


@jax.jit
def path(opt: jo.Optimizer, start: Tree, noise: Tree) -> tuple[Any, Tree, Tree]:
    """The last state, and after each step the parameters held and those to evaluate."""
    curvature = jax.tree.map(lambda c, w: jnp.asarray(c, w.dtype), CURVATURE, start)

    def step(carry: Any, entry: Tree) -> Any:
        params, state = carry
        grad_fn = lambda params: gradients(params, entry, curvature)  # noqa: E731
        updates, state = opt.update(grad_fn(params), state, params, grad_fn=grad_fn)
        params = optax.apply_updates(params, updates)
        return (params, state), (params, jo.evaluation_params(opt, state, params))

    (_, state), (held, evaluated) = jax.lax.scan(step, (start, opt.init(start)), noise)
    return state, held, evaluated


def descended(opt: jo.Optimizer, dtype: Any = None, steps: int = STEPS) -> tuple[Any, Tree, Tree]:
    """`path` from START; in float64 where the test enables it."""
    start, noise = (jax.tree.map(lambda x: jnp.asarray(x, dtype), tree) for tree in (START, NOISE))
    return path(opt, start, {name: leaf[:steps] for name, leaf in noise.items()})


def by_formula(step: Callable[..., tuple[Tree, Tree]], steps: int = STEPS) -> tuple[Tree, Tree]:
    """What `step(t, params, gradient function) -> (held, evaluated)` makes of START, t from 1."""
    params, rows = START, []
    for t in range(1, steps + 1):
        params, evaluated = step(t, params, lambda params, t=t: gradients(params, noise_at(t - 1)))
        rows.append((params, evaluated))
    held, evaluated = zip(*rows, strict=True)
    return stacked(held), stacked(evaluated)


def by_torch(make: Callable[[list[Any]], Any], steps: int = STEPS, after: Any = None) -> list[Tree]:
    """Torch's parameters after each step, or what `after(parameters, optimizer)` says of them."""
    import torch

    params = {name: torch.nn.Parameter(torch.tensor(leaf)) for name, leaf in START.items()}
    optimizer, rows = make(list(params.values())), []

    def closure() -> Any:
        for name, p in params.items():
            p.grad = torch.tensor(CURVATURE[name]) * p.detach() + torch.tensor(NOISE[name][len(rows)])
        return torch.tensor(0.0)

    for _ in range(steps):
        closure()
        optimizer.step(closure) if after == "closure" else optimizer.step()
        rows.append({name: p.detach().numpy().copy() for name, p in params.items()})
        if callable(after):
            rows[-1] = after(params, optimizer)
    return rows


def stacked(rows: Any) -> Tree:
    """One tree with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def assert_close(found: Tree, expected: Tree, tolerance: float = 1e-12) -> None:
    """All leaves agree, absolutely; the numbers are about 1."""
    for name, leaf in expected.items():
        np.testing.assert_allclose(np.asarray(found[name]), leaf, rtol=0, atol=tolerance, err_msg=name)


def each(function: Callable[..., Any], *trees: Tree) -> Tree:
    """A function of arrays, of each leaf."""
    return {name: function(*(tree[name] for tree in trees)) for name in trees[0]}
