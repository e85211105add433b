"""Momentum's theory, measured: 10,000 pairs of learning rate and momentum in one sweep.

On the quadratic f(w) = ½ Σ λᵢ wᵢ² momentum is a linear iteration: each coordinate's (w, v) is multiplied by

    M(λ) = [[1 − η λ, α], [−η λ, α]]

at every step, and the distance to the minimum shrinks by ρ = maxᵢ |eigenvalues of M(λᵢ)|. Polyak (1964) found
where that is smallest. With the least and the greatest curvature λ₁ and λₙ:

    η* = (2 / (√λ₁ + √λₙ))²,  α* = ((√λₙ − √λ₁) / (√λₙ + √λ₁))²,  ρ* = √α*

Run: python examples/momentum_theory.py   (after pip install "jaxopt-edu[plots]"; writes momentum-theory.png)
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo

CURVATURES = np.geomspace(1.0, 100.0, 9)  # their ratio is the condition number
STEPS, EVERY = 3000, 20
LEARNING_RATES = np.linspace(0.0003, 0.04, 100)
MOMENTA = np.linspace(0.0, 0.99, 100)


def loss_fn(w, batch):
    return jnp.sum(CURVATURES * w**2) / 2


def log_distance(w):
    """log ‖w‖, whose square would be too small a number."""
    return jax.nn.logsumexp(2 * jnp.log(jnp.abs(w))) / 2


def theory(learning_rate, momentum):
    """ρ of one pair: the largest eigenvalue of the iteration."""
    matrices = [[[1 - learning_rate * c, momentum], [-learning_rate * c, momentum]] for c in CURVATURES]
    return np.abs(np.linalg.eigvals(np.array(matrices))).max()


def measure(optimizers):
    """The factor by which the distance shrinks in a step, (optimizers,); NaN where the iteration diverges."""
    result = jo.sweep(
        loss_fn, jnp.ones(len(CURVATURES)), optimizers, steps=STEPS, every=EVERY, evaluate=log_distance
    )
    # The slope over the second half. Distances oscillate, and at first every coordinate has its say.
    half = result.evaluated_at >= STEPS // 2
    logs = result.curve_of()[:, 0, half].astype(np.float64)
    return np.exp(np.polyfit(result.evaluated_at[half], logs.T, 1)[0])


def main():
    optimizers = jo.grid(jo.momentum, learning_rate=LEARNING_RATES, momentum=MOMENTA)
    measured = measure(optimizers).reshape(len(LEARNING_RATES), len(MOMENTA))
    expected = np.array([[theory(rate, alpha) for alpha in MOMENTA] for rate in LEARNING_RATES])

    least, greatest = np.sqrt(CURVATURES[[0, -1]])
    optimum = (2 / (least + greatest)) ** 2, ((greatest - least) / (greatest + least)) ** 2
    row, column = np.unravel_index(np.nanargmin(measured), measured.shape)
    for name, rate, momentum, left in (
        ("best measured", LEARNING_RATES[row], MOMENTA[column], measured[row, column]),
        ("the theory's", *optimum, optimum[1] ** 0.5),
    ):
        print(f"{name}: learning rate {rate:.4f}, momentum {momentum:.3f}; a step leaves {left:.4f}")
    converges = expected < 1
    deviation = np.abs(measured - expected)[converges].max()
    print(
        f"largest deviation from the theory over the {converges.sum()} pairs that converge: {deviation:.1e}"
    )

    figure = jo.plots.heat_map(
        LEARNING_RATES,
        MOMENTA,
        measured.T,
        xlabel="learning rate",
        ylabel="momentum",
        label="what a step leaves of the distance",
        top=1.0,
        marks={"the theory's optimum": optimum},
        title="Momentum on a quadratic of condition number 100",
    )
    jo.plots.save(figure, "momentum-theory.png")
    return measured, expected


if __name__ == "__main__":
    # Distances of 10⁻²⁶⁰ are numbers only in float64.
    jax.config.update("jax_enable_x64", True)
    main()
