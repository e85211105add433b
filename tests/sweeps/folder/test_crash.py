"""A sweep that is killed, with no chance to clean up, goes on to the same bits.

This file is also the script that gets killed: `python test_crash.py FOLDER RESULT SEED KILLS`.
"""

import os
import random
import sys

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps import Halving, PopulationBased
from jaxopt_edu.sweeps.engine import worker
from tests.crash import finish, kill_at, killed, launch
from tests.sweeps.regression import run

RATES = np.geomspace(1e-4, 0.5, 8).tolist()
KEPT = {"steps": 16, "every": 2, "chunk_size": 4, "keep": 3, "seeds": 1}


def sweep(folder):
    # Saved at every evaluation, so that kills meet half-finished units too.
    worker.SAVE_SECONDS = 0.0
    keyed = [jo.half_state(jo.momentum(rate), jax.random.key(1)) for rate in RATES]
    where = [{} if folder is None else {"path": f"{folder}/{name}", "resume": True} for name in ("a", "b")]
    return (
        run(keyed, prune=Halving(min_steps=4, factor=2), **KEPT, **where[0]),
        run(jo.grid(jo.sgd, learning_rate=RATES), prune=PopulationBased(interval=4), **KEPT, **where[1]),
    )


def write(results, path):
    content = {}
    for number, result in enumerate(results):
        arrays = {**result.curves, "made": result.made, "top": [best.number for best in result.top]}
        leaves = jax.tree.leaves([(best.params, best.state) for best in result.top])
        for place, leaf in enumerate(leaves):
            keyed = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            arrays[f"leaf-{place}"] = jax.random.key_data(leaf) if keyed else leaf
        # As bytes, for which a NaN equals itself and -0 is not 0.
        content |= {
            f"{number}-{name}": np.frombuffer(np.asarray(array).tobytes(), np.uint8)
            for name, array in arrays.items()
        }
    np.savez(path, **content)


def script(folder, result, seed, kills):
    moments = random.Random(int(seed))
    for number in range(int(kills)):
        event, count, delay = (
            "open",
            moments.randrange(1, 24),
            moments.choice([0.0, moments.uniform(0, 0.05)]),
        )

        def work(event=event, count=count, delay=delay):
            kill_at(event, count, folder, delay)
            sweep(folder)

        killed(work, f"kill {number} ({count} files, {delay} s)")
        print(sum("curves" in place for place, _, files in os.walk(folder) for _ in files), flush=True)
    write(sweep(folder), result)
    write(sweep(None), f"{result}-whole.npz")


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed = {seed}")
    result = tmp_path / "result.npz"
    output = finish(launch(__file__, tmp_path, tmp_path / "run", result, seed, 20))
    reached = list(map(int, output.split()))
    # It did go on each time, rather than begin anew.
    assert reached == sorted(reached)
    assert reached[-1] > 2
    with np.load(result) as found, np.load(f"{result}-whole.npz") as expected:
        assert found.files == expected.files
        assert len(expected.files) > 20
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])


if __name__ == "__main__":
    script(*sys.argv[1:])
