"""Random numbers for tests that are the same whichever tests ran before."""

from typing import Any

import jax.numpy as jnp
import numpy as np


def draw(*shape: int, seed: int = 0) -> Any:
    """In float64; another seed for another leaf of the same shape."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Any:
    return jnp.asarray(draw(*shape, seed=seed), dtype)
