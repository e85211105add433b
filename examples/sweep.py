"""Compare optimizers fairly: sweep each one's numbers, with seeds, into a folder that survives a kill.

Run: python examples/sweep.py   (after pip install "jaxopt-edu[data,plots]"; writes the folder sweep-digits)
Kill it at any moment and run it again: it goes on where it was.
"""

import jax
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.problems import digits, mlp
from jaxopt_edu.sweeps import load
from jaxopt_edu.sweeps.report import write

STEPS, FOLDER = 300, "sweep-digits"


def cosine_adam(peak, b1):
    return jo.adam(jo.schedules.cosine(peak=peak, steps=STEPS), b1=b1)


def main():
    jax.config.update("jax_num_cpu_devices", 2)  # before JAX starts: the runs are split over the devices
    data = digits()

    def init(key):
        return mlp.init(key, (64, 32, 32, 10))

    def evaluate(params):
        return {"loss": mlp.loss(params, data.train), "accuracy": mlp.accuracy(params, data.test)}

    # Lists add up, and each kind of optimizer is one compiled program.
    optimizers = jo.grid(jo.momentum, learning_rate=np.geomspace(0.003, 3, 7), momentum=[0.0, 0.5, 0.9])
    peak = jo.loguniform(1e-4, 0.3)
    optimizers += jo.sample(cosine_adam, 21, key=jax.random.key(0), quasi="halton", peak=peak, b1=[0.0, 0.9])
    for seeds in (2, 3):  # the second call could come on another day: it runs the third seed only
        setup = {"steps": STEPS, "batch_size": 128, "seeds": seeds, "evaluate": evaluate}
        result = jo.sweep(mlp.loss, init, optimizers, data.train, **setup, path=FOLDER, resume=True)
    print(result.summary())

    best = result.top[0]
    accuracy = mlp.accuracy(best.params, data.test)
    print(f"\nbest run: {jo.describe(best.optimizer)}, seed {best.seed}, loss {best.value:.2g}")
    print(f"its parameters get {accuracy:.3f} of the held-out digits right")
    print(f"wrote {FOLDER}/: {', '.join(write(result, FOLDER))}")
    print(f"read again, the best setting is {jo.describe(load(FOLDER).best().optimizer)}")


if __name__ == "__main__":
    main()
