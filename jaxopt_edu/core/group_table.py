"""The table that `groups` gives: a row for each leaf, and totals by group."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp


class Size(NamedTuple):
    """How much memory an array takes, in all and on one of the devices over which it is split."""

    bytes: int
    per_device: int

    @classmethod
    def of(cls, leaf: Any) -> "Size":
        """The size of an array, or of what its ShapeDtypeStruct is of."""
        sharding = getattr(leaf, "sharding", None)
        shape = leaf.shape if sharding is None else sharding.shard_shape(leaf.shape)
        return cls(leaf.size * leaf.dtype.itemsize, math.prod(shape) * leaf.dtype.itemsize)

    def with_more(self, other: "Size") -> "Size":
        """The size of two arrays."""
        return Size(self.bytes + other.bytes, self.per_device + other.per_device)


NOTHING = Size(0, 0)


@dataclass(frozen=True)
class LeafRow:
    """What one leaf gets.

    Attributes:
        name: of the leaf, such as "dense/kernel".
        shape: of the leaf.
        dtype: its name.
        group: the optimizer that the leaf has, after the labels by which it goes there: "others: adamw".
        values: the numbers in force there, by name.
        parameter_bytes: of the leaf.
        state_bytes: of the state that belongs to it.
        parameter_bytes_per_device: of the leaf on one of the devices over which it is split.
        state_bytes_per_device: of the state, likewise.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    group: str
    values: Mapping[str, float]
    parameter_bytes: int
    state_bytes: int
    parameter_bytes_per_device: int
    state_bytes_per_device: int

    @classmethod
    def of(cls, name: str, leaf: Any, group: str, values: Mapping[str, float], state: Size) -> "LeafRow":
        """The row of a leaf."""
        leaf = leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)
        own = Size.of(leaf)
        return cls(
            name,
            tuple(leaf.shape),
            str(leaf.dtype),
            group,
            dict(values),
            own.bytes,
            state.bytes,
            own.per_device,
            state.per_device,
        )

    @property
    def numbers(self) -> int:
        """How many numbers the leaf has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Total:
    """What the leaves of a group have together."""

    leaves: int
    numbers: int
    parameter_bytes: int
    state_bytes: int
    parameter_bytes_per_device: int
    state_bytes_per_device: int

    @classmethod
    def of(cls, rows: Sequence[LeafRow], shared: Size = NOTHING) -> "Total":
        """The sum over some rows, and the state that is no leaf's."""
        return cls(
            len(rows),
            sum(row.numbers for row in rows),
            sum(row.parameter_bytes for row in rows),
            sum(row.state_bytes for row in rows) + shared.bytes,
            sum(row.parameter_bytes_per_device for row in rows),
            sum(row.state_bytes_per_device for row in rows) + shared.per_device,
        )


@dataclass(frozen=True)
class Groups:
    """Which leaf gets what; printed, a table.

    Attributes:
        rows: one for each leaf, in the tree's order.
        shared_bytes: of state that belongs to no single leaf, such as a count.
        shared_bytes_per_device: of that on one device.
    """

    rows: tuple[LeafRow, ...]
    shared_bytes: int
    shared_bytes_per_device: int

    @property
    def totals(self) -> dict[str, Total]:
        """The sums by group, in the order of their first leaves."""
        names = dict.fromkeys(row.group for row in self.rows)
        return {name: Total.of([row for row in self.rows if row.group == name]) for name in names}

    @property
    def total(self) -> Total:
        """The sum over all leaves, with the state that belongs to none."""
        return Total.of(self.rows, Size(self.shared_bytes, self.shared_bytes_per_device))

    @property
    def is_split(self) -> bool:
        """Whether some of it is split over devices."""
        total = self.total
        whole, of_state = total.parameter_bytes, total.state_bytes
        return (whole, of_state) != (total.parameter_bytes_per_device, total.state_bytes_per_device)

    def __str__(self) -> str:
        """Two tables: the leaves with those numbers that are not the same everywhere, and the groups.

        Where anything is split over devices, they say the bytes on one device, too.
        """
        names = dict.fromkeys(name for row in self.rows for name in row.values)
        told = {name: {row.values.get(name) for row in self.rows if row.values} for name in names}
        varying = [name for name in names if len(told[name]) > 1]
        sizes = ["parameter_bytes", "state_bytes"]
        heads = ["bytes", "state bytes"]
        if self.is_split:
            sizes += [f"{size}_per_device" for size in sizes]
            heads += [f"{head} a device" for head in heads]
        leaves = [["leaf", "shape", "dtype", "group", *varying, *heads]]
        for row in self.rows:
            values = [f"{row.values[name]:g}" if name in row.values else "-" for name in varying]
            shape = " × ".join(map(str, row.shape)) or "scalar"
            figures = [f"{getattr(row, size):,}" for size in sizes]
            leaves.append([row.name or "(the whole tree)", shape, row.dtype, row.group, *values, *figures])
        sums = [["group", "leaves", "numbers", *heads]]
        for name, total in {**self.totals, "all": self.total}.items():
            sums.append([name, *(f"{getattr(total, size):,}" for size in ("leaves", "numbers", *sizes))])
        same = [f"{name}={told[name].copy().pop():g}" for name in names if name not in varying]
        lines = [*aligned(leaves, 4), "", *aligned(sums, 1)]
        return "\n".join([*lines, "", f"the same for all: {', '.join(same)}"] if same else lines)


def aligned(table: list[list[str]], texts: int) -> list[str]:
    """Rows of cells as lines; so many first columns are texts, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
