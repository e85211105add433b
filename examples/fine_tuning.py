"""Fine-tuning: a network that can read digits learns from forty examples whether a digit is odd.

Its layers are pretrained, its head is new. Four ways to go on, each a sweep: from nothing, all layers alike,
rates that fall from layer to layer, where how much they fall is one more number to sweep, and the head alone,
whose frozen layers cost no gradient. Settings are chosen on one half of the held-out digits, and judged on
the other.

Run: python examples/fine_tuning.py   (after pip install "jaxopt-edu[data]")
"""

import jax
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.problems import Examples, digits, mlp

SIZES, LAYERS, HEAD = (64, 64, 64, 64, 10), ["0", "1", "2", "3"], "3"
RATES, DECAYS = np.geomspace(1e-4, 3e-2, 8), [0.1, 0.3]


def odd(examples, places):
    return Examples(examples.inputs[places], examples.labels[places] % 2)


def falling(rate, decay):
    return jo.adam(jo.layerwise(LAYERS, value=rate, decay=decay))


def main():
    data = digits()
    known = Examples(data.train.inputs[40:], data.train.labels[40:])
    few, half, other_half = (
        odd(data.train, np.s_[:40]),
        odd(data.test, np.s_[::2]),
        odd(data.test, np.s_[1::2]),
    )
    first, setup = mlp.init(jax.random.key(0), SIZES), {"batch_size": 64, "key": jax.random.key(1)}
    pretrained = jo.fit(mlp.loss, first, jo.adam(3e-3), known, steps=500, **setup).params

    def from_nothing(key):
        return mlp.init(key, (*SIZES[:-1], 2))

    def with_new_head(key):
        return (*pretrained[:-1], from_nothing(key)[-1])

    def evaluate(params):
        return {"chosen by": mlp.accuracy(params, half), "judged by": mlp.accuracy(params, other_half)}

    print(jo.groups(falling(1e-2, 0.3), with_new_head(jax.random.key(0))))
    alike, fall = jo.grid(jo.adam, learning_rate=RATES), jo.grid(falling, rate=RATES, decay=DECAYS)
    setup = {"steps": 300, "batch_size": 20, "seeds": 8, "metric": "chosen by", "mode": "max"}
    for name, init, optimizers, trainable in [
        ("from nothing", from_nothing, alike, None),
        ("all layers alike", with_new_head, alike, None),
        ("rates that fall", with_new_head, fall, None),
        ("the head alone", with_new_head, alike, HEAD),
    ]:
        found = jo.sweep(mlp.loss, init, optimizers, few, trainable=trainable, evaluate=evaluate, **setup)
        best = found.best()
        accuracy = found.curves["judged by"][best.index, :, -1].mean()
        print(f"{name}: {accuracy:.3f} of the held-out digits, by {jo.describe(best.optimizer)}")


if __name__ == "__main__":
    main()
