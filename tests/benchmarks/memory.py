"""How much memory a step takes, by XLA's own account and by the process's.

    python -m tests.benchmarks --only memory

The process's account is its peak resident size above what it was before there was a parameter, in a process
of its own for each optimizer, after ten steps with donated buffers.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

import jaxopt_edu as jo
from tests.benchmarks.output import Bars, Report

SIZE = 2 * 10**7
STEPS = 10
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": jo.sgd,
    "adam": jo.adam,
    "optax.adam": lambda: optax.adam(1e-3),
    "half_state(adam)": lambda: jo.half_state(jo.adam(), jax.random.key(0)),
    "compensated(adam), bfloat16": lambda: jo.compensated(jo.adam()),
}


def run(quick: bool, bars: Bars) -> list[Report]:
    """Measure every optimizer in a process of its own."""
    size = 10**6 if quick else SIZE
    names = ["adam"] if quick else list(OPTIMIZERS)
    measured = []
    with bars.task("memory", len(names)) as advance:
        for name in names:
            command = [sys.executable, "-m", "tests.benchmarks.memory", name, str(size)]
            with bars.case(f"memory, {name}"):
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                measured.append(json.loads(output.splitlines()[-1]))
            advance()
    return [report(measured)]


def measure(name: str, size: int) -> dict[str, Any]:
    """What a step of one optimizer takes, in bytes for each parameter."""
    opt = OPTIMIZERS[name]()
    dtype = jnp.bfloat16 if "bfloat16" in name else jnp.float32

    def step(params: Any, state: Any, gradients: Any) -> Any:
        updates, state = opt.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(step, donate_argnums=(0, 1))
    shapes = jax.ShapeDtypeStruct((size,), dtype)
    state_shapes = jax.eval_shape(opt.init, shapes)
    program = compiled.lower(shapes, state_shapes, shapes).compile()
    before = peak_bytes()
    params, gradients = jnp.ones(size, dtype), jnp.ones(size, dtype)
    carry = params, opt.init(params)
    del params
    for _ in range(STEPS):
        carry = program(*carry, gradients)
    jax.block_until_ready(carry)
    after = peak_bytes()
    sizes = program.memory_analysis()
    state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(carry[1]) if leaf.ndim)
    return {
        "optimizer": name,
        "parameters": size,
        "state": state_bytes / size,
        "xla": None
        if sizes is None
        else (
            sizes.argument_size_in_bytes
            + sizes.output_size_in_bytes
            - sizes.alias_size_in_bytes
            + sizes.temp_size_in_bytes
        )
        / size,
        "xla_temporary": None if sizes is None else sizes.temp_size_in_bytes / size,
        "process": (after - before) / size,
    }


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Linux counts into ru_maxrss what the process that started this one had.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def report(measured: list[dict[str, Any]]) -> Report:
    """The table."""
    keys = ("state", "xla", "xla_temporary", "process")
    rows = [
        (each["optimizer"], *("" if each[key] is None else f"{each[key]:.1f}" for key in keys))
        for each in measured
    ]
    columns = ("optimizer", "state", "step, by XLA", "of it temporary", "step, by the process")
    notes = (
        f"Bytes for each parameter, of one leaf of {measured[0]['parameters']:,}; the step's peak holds "
        "parameters, gradients and state.",
    )
    return Report("Memory of a step", columns, rows, notes, measured)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
