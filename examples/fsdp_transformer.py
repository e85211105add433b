"""The transformer of transformer.py on eight devices: each holds an eighth of the layers and of their state.

Layers are split as Megatron's are (Shoeybi et al. 2019, arXiv:1909.08053), by outputs where they make heads
and hidden features and by inputs where they take them in, along "model"; their other axis, along "data", is
FSDP. The same run goes on, on four devices, from what eight have written, and its loss is that of one device.

Run: python examples/fsdp_transformer.py   (or more steps: python examples/fsdp_transformer.py --steps 200)
"""

import argparse
import os
import tempfile
from functools import partial

# Eight virtual devices on any CPU, asked for before JAX is imported; a machine that has eight does without;
# several machines call jax.distributed.initialize() instead, and give OrbaxFolder a disk that they share.
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
import numpy as np
import optax
import transformer
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from jax.tree_util import Partial

import jaxopt_edu as jo
from jaxopt_edu.training import OrbaxFolder

WIDTH, CONTEXT = 64, 32
LAYOUT = {
    "queries_keys_values": P("data", "model"),
    "attention_out": P("model", "data"),
    "hidden_in": P("data", "model"),
    "hidden_out": P("model", "data"),
    "embedding": P(None, ("data", "model")),
    "logits": P(("data", "model"), None),
}  # and norms, which are small, on all devices
OPTIMIZER = jo.chain(optax.clip_by_global_norm(1.0), jo.adamw(3e-3))


def split(params, mesh):
    def place(path, leaf):
        return jax.device_put(leaf, NamedSharding(mesh, LAYOUT.get(path[-1].key, P())))

    return jax.tree_util.tree_map_with_path(place, params)


def mesh_of(data, model):
    devices = jax.devices()[: data * model]
    return jax.make_mesh((data, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def main(steps):
    alphabet, indices = np.unique(list(transformer.repository_text()), return_inverse=True)
    windows = Partial(partial(transformer.random_windows, context=CONTEXT), jnp.asarray(indices, jnp.int32))
    whole = transformer.init(jax.random.key(0), len(alphabet), WIDTH)

    def train(params, steps, **options):
        total = jo.groups(OPTIMIZER, params).total
        size = f"{total.parameter_bytes_per_device:,} + {total.state_bytes_per_device:,}"
        run = {"steps": steps, "every": max(1, steps // 2), "key": jax.random.key(1), "progress": False}
        result = jo.fit(transformer.loss_fn, params, OPTIMIZER, windows, **run, **options)
        devices = len(result.params["logits"].sharding.device_set)
        print(f"{devices} devices, {size} bytes of parameters and state on each: ", end="")
        print(f"{result.history.losses[-1]:.5f} nats per character at step {steps}")

    train(whole, steps)
    with tempfile.TemporaryDirectory() as place:
        eight, four = mesh_of(2, 4), mesh_of(2, 2)
        train(split(whole, eight), steps // 2, mesh=eight, checkpoint=OrbaxFolder(place))
        train(split(whole, four), steps, mesh=four, checkpoint=OrbaxFolder(place), resume=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    main(parser.parse_args().steps)
