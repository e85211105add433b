"""Look through a sweep and watch a run in TensorBoard, Optuna's dashboard and a file of lines of JSON.

Run: python examples/tracked_sweep.py   (after pip install "jaxopt-edu[data,optuna,tensorboard]")
It writes the folder tracked, which must not be there yet. Then `tensorboard --logdir tracked` shows all runs
with their hyperparameters, and `optuna-dashboard sqlite:///tracked/sweep.db` the sweep (after pip install
optuna-dashboard).
"""

import json
from pathlib import Path

import jax
import optuna

import jaxopt_edu as jo
from jaxopt_edu.problems import digits, mlp

FOLDER = Path("tracked")


def main():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = digits()

    def init(key):
        return mlp.init(key, (64, 32, 32, 10))

    def evaluate(params):
        return {"accuracy": mlp.accuracy(params, data.test)}

    # After a sweep: each run in TensorBoard, with its hyperparameters, its curves and how it ended.
    axes = {"learning_rate": jo.loguniform(1e-4, 1), "b1": [0.0, 0.9]}
    optimizers = jo.sample(jo.adam, 24, key=jax.random.key(0), quasi="halton", **axes)
    setup = {"batch_size": 128, "evaluate": evaluate}
    result = jo.sweep(mlp.loss, init, optimizers, data.train, steps=200, mode="max", **setup)
    result.track(lambda name: jo.trackers.TensorBoard(FOLDER / name))

    # And as a study of Optuna's, which tells what mattered.
    study = result.to_optuna(f"sqlite:///{FOLDER}/sweep.db", study_name="digits")
    for name, importance in optuna.importance.get_param_importances(study).items():
        print(f"{name} explains {importance:.2f} of the accuracy")

    # While it runs: the best setting with a cosine, in two places at once. "learning_rate" follows it.
    cosine = jo.schedules.cosine(peak=study.best_params["learning_rate"], steps=500)
    best = jo.replace(result.best().optimizer, learning_rate=cosine)
    lines = jo.trackers.JSONLines(FOLDER / "best.jsonl")
    trackers = [lines, jo.trackers.TensorBoard(FOLDER / "best")]
    key = jax.random.key(1)
    jo.fit(mlp.loss, init(key), best, data.train, steps=500, key=key, tracker=trackers, **setup)

    head, *told, end = map(json.loads, lines.path.read_text().splitlines())
    print(f"{head['hyperparameters']['optimizer']}, {end['outcome']} after {end['step']} steps")
    for line in told:
        rate, loss, accuracy = (line[name] for name in ("learning_rate", "training_loss", "accuracy"))
        print(f"step {line['step']}: rate {rate:.2g}, loss {loss:.2g}, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
