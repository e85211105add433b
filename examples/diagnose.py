"""Find out why a network does not learn: three runs, each mended by what the report of the one before says.

A network on the handwritten digits, with a fault in its first weights and two in its optimizer. Each run has
a monitor around the optimizer, which measures every layer's gradient and step, and changes neither.

Run: python examples/diagnose.py   (after pip install "jaxopt-edu[data,plots]"; writes two pictures)
"""

import jax
import optax

import jaxopt_edu as jo
from jaxopt_edu.problems import digits, mlp

SIZES, STEPS = (64, 32, 32, 32, 10), 400


def sick_params(key):
    """A bias of the wrong sign and size: no unit of the second layer is ever positive."""
    params = list(mlp.init(key, SIZES))
    params[1] = params[1]._replace(bias=params[1].bias - 100)
    return tuple(params)


def clipped_adam(max_norm, learning_rate, eps):
    """Adam behind a clip; both are known to `hyperparameters` by their names."""
    return jo.chain(jo.lift(optax.clip_by_global_norm)(max_norm), jo.adam(learning_rate, eps=eps))


def run(name, params, optimizer, data):
    """Train, and print what is wrong."""
    optimizer = jo.monitor(optimizer)
    setup = {"steps": STEPS, "batch_size": 128, "key": jax.random.key(1), "every": 100}
    result = jo.fit(mlp.loss, params, optimizer, data.train, **setup)
    accuracy = float(mlp.accuracy(result.params, data.test))
    print(f"{name}: {accuracy:.3f} of the held-out digits\n{jo.diagnose(result, optimizer)}\n")
    return result


def main():
    data = digits()
    first = run("as it was written", sick_params(jax.random.key(0)), clipped_adam(1e-3, 1e-3, 1e-2), data)
    # Dead: its biases begin at 0, as all others do.
    params = mlp.init(jax.random.key(0), SIZES)
    run("with another beginning", params, clipped_adam(1e-3, 1e-3, 1e-2), data)
    # Always clipped, and eps rules: a threshold near the norm of most gradients, and Adam's own eps.
    last = run("with another clip and eps", params, clipped_adam(5.0, 1e-3, 1e-8), data)

    for name, result in (("sick", first), ("mended", last)):
        picture = jo.plots.layers(result, title=f"How far each layer moves: {name}")
        print("written:", jo.plots.save(picture, f"diagnose-{name}.png").name)


if __name__ == "__main__":
    main()
