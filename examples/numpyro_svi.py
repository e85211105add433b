"""NumPyro: variational inference whose answer is known, with our Adam as its optimizer.

Bayesian linear regression of how diabetes progressed in 442 patients, on ten measurements of each. With a
Gaussian prior and a known noise the posterior is Gaussian, so a full-rank Gaussian guide can reach it: the
evidence lower bound (ELBO) then *is* the evidence log p(y), which linear algebra gives exactly.

Run: python examples/numpyro_svi.py   (after pip install "jaxopt-edu[data]" numpyro)
"""

import jax
import jax.numpy as jnp
import numpyro
from jax.scipy.stats import multivariate_normal
from numpyro import distributions
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoMultivariateNormal
from numpyro.optim import optax_to_numpyro
from sklearn.datasets import load_diabetes

import jaxopt_edu as jo

NOISE, STEPS = 0.7, 2000


def model(inputs, targets):
    weights = numpyro.sample("weights", distributions.Normal(0.0, 1.0).expand([inputs.shape[1]]).to_event(1))
    numpyro.sample("targets", distributions.Normal(inputs @ weights, NOISE).to_event(1), obs=targets)


def log_evidence(inputs, targets):
    """log p(y) for y = X w + noise, w ~ N(0, I): y ~ N(0, X Xᵀ + noise² I)."""
    covariance = inputs @ inputs.T + NOISE**2 * jnp.eye(len(targets))
    return multivariate_normal.logpdf(targets, jnp.zeros_like(targets), covariance)


def standardised(columns):
    return jnp.asarray((columns - columns.mean(axis=0)) / columns.std(axis=0))


def main():
    inputs, targets = map(standardised, load_diabetes(return_X_y=True))
    guide = AutoMultivariateNormal(model, init_scale=0.1)
    optimizer = jo.adam(learning_rate=jo.schedules.cosine(peak=0.1, steps=STEPS))
    svi = SVI(model, guide, optax_to_numpyro(optimizer), Trace_ELBO(num_particles=10))
    result = svi.run(jax.random.key(0), STEPS, inputs, targets, progress_bar=False)

    elbo = -float(svi.evaluate(result.state, inputs, targets))
    exact = float(jnp.asarray(log_evidence(inputs, targets)))
    print(f"exact log evidence: {exact:.3f}   ELBO of the guide: {elbo:.3f}   difference: {exact - elbo:.3f}")
    return {"elbo": elbo, "log_evidence": exact}


if __name__ == "__main__":
    main()
