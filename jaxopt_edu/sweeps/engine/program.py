"""Compiled programs: one for each structure of optimizer and shape of tile, kept for the next sweep."""

import os
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.processes import placed_array
from jaxopt_edu.sweeps.engine.lanes import (
    SEEDS,
    SETTINGS,
    Lanes,
    Layout,
    Objective,
    Record,
    Rules,
    advance,
    entries_spec,
    first_lanes,
)

SHARE_OF_MEMORY = 0.5
# Each takes about 5 MB, even of a line of two parameters.
KEPT_PROGRAMS = 32
MEMORY = Path("/proc/meminfo")


class Program:
    """A compiled `advance` for tiles of one shape.

    Args:
        lanes: the runs' arrays, or their shapes.
        settings: the stacked optimizers.
        objective: what all runs do.
        entries: what batches are made of.
        rules: how it is compiled.
    """

    def __init__(self, lanes: Any, settings: Any, objective: Objective, entries: Any, rules: Rules) -> None:
        number = placed_array(np.int32(0), rules.layout.sharding())
        leaves, treedef = jax.tree.flatten((lanes, settings, objective, entries, number, number))
        self.rules = rules
        # Without jit there is nothing to compile: the same function, step by step, for a debugger.
        self.compiled = (
            partial(advance, rules=rules)
            if jax.config.jax_disable_jit  # pyright: ignore[reportAttributeAccessIssue]
            else compiled(treedef, tuple(map(_shape, leaves)), rules)
        )

    def __call__(
        self, lanes: Lanes, settings: Any, objective: Objective, entries: Any, first: int, steps: int
    ) -> tuple[Lanes, Record]:
        """Make steps, as `lanes.advance`."""
        numbers = (placed_array(np.int32(number), self.rules.layout.sharding()) for number in (first, steps))
        lanes = self._with_empty_arrays_in_place(lanes)
        return self.compiled(lanes, settings, objective, entries, *numbers)

    def _with_empty_arrays_in_place(self, lanes: Lanes) -> Lanes:
        # A program gives arrays without any number back undivided, whatever it was told, and takes them only
        # where it was told that they lie.
        sharding = self.rules.layout.sharding((SETTINGS, SEEDS))

        def placed(leaf: jax.Array) -> jax.Array:
            return leaf if leaf.size else placed_array(np.zeros(leaf.shape, leaf.dtype), sharding)

        return jax.tree.map(placed, lanes)

    @property
    def fits(self) -> bool:
        """Whether the memory that the compiler says it takes is there, on each device."""
        needed = None if isinstance(self.compiled, partial) else self.compiled.memory_analysis()
        if needed is None:
            return True
        devices = self.rules.layout.mesh.local_devices
        bytes_needed = (
            needed.temp_size_in_bytes
            + needed.argument_size_in_bytes
            + needed.output_size_in_bytes
            - needed.alias_size_in_bytes
        )
        return bytes_needed <= SHARE_OF_MEMORY * _free_memory(devices[0]) / _sharing(devices)


@cache
def compiled(treedef: Any, shapes: tuple[Any, ...], rules: Rules) -> Any:
    """The compiled program for arguments of these shapes; the same ones compile once in a process.

    Args:
        treedef: of the arguments.
        shapes: their shapes, dtypes and places.
        rules: what is fixed.

    Returns:
        The executable.
    """
    return advance.lower(*jax.tree.unflatten(treedef, shapes), rules=rules).compile()


def release_programs() -> None:
    """Let go of all programs once there are many, as in a sweep over hundreds of structures."""
    if compiled.cache_info().currsize > KEPT_PROGRAMS:
        compiled.cache_clear()
        # What these were compiled of is held by the jitted functions, with all that it refers to.
        advance.clear_cache()  # pyright: ignore[reportAttributeAccessIssue]
        first_lanes.clear_cache()  # pyright: ignore[reportAttributeAccessIssue]


def place_entries(entries: Any, layout: Layout) -> Any:
    """Put what batches are made of where the runs are.

    Args:
        entries: leading axes (steps, seeds).
        layout: where the runs are.

    Returns:
        The same on the devices.
    """
    sharding = jax.sharding.NamedSharding(layout.mesh, entries_spec(layout))
    return jax.tree.map(lambda leaf: placed_array(leaf, sharding), entries)


def _shape(leaf: jax.Array | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(
        leaf.shape, leaf.dtype, sharding=leaf.sharding, weak_type=getattr(leaf, "weak_type", False)
    )


def _free_memory(device: Any) -> float:
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
    # Free pages alone would leave out what Linux only borrows for its file cache, which is nearly all.
    if MEMORY.is_file():
        for line in MEMORY.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * float(line.split()[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def _sharing(devices: list[Any]) -> int:
    # Devices of a CPU live in the same memory; others have their own.
    return len(devices) if devices[0].platform == "cpu" else 1
