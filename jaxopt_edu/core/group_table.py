"""The table that `groups` gives: a row for each leaf, and totals by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp


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
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    group: str
    values: Mapping[str, float]
    parameter_bytes: int
    state_bytes: int

    @classmethod
    def of(cls, name: str, leaf: Any, group: str, values: Mapping[str, float], state_bytes: int) -> "LeafRow":
        """The row of a leaf."""
        leaf = leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)
        size = leaf.size * leaf.dtype.itemsize
        return cls(name, tuple(leaf.shape), str(leaf.dtype), group, dict(values), size, state_bytes)

    @property
    def numbers(self) -> int:
        """How many numbers the leaf has."""
        count = 1
        for side in self.shape:
            count *= side
        return count


@dataclass(frozen=True)
class Total:
    """What the leaves of a group have together."""

    leaves: int
    numbers: int
    parameter_bytes: int
    state_bytes: int

    @classmethod
    def of(cls, rows: Sequence[LeafRow], shared: int = 0) -> "Total":
        """The sum over some rows, and bytes of state that are no leaf's."""
        return cls(
            len(rows),
            sum(row.numbers for row in rows),
            sum(row.parameter_bytes for row in rows),
            sum(row.state_bytes for row in rows) + shared,
        )


@dataclass(frozen=True)
class Groups:
    """Which leaf gets what; printed, a table.

    Attributes:
        rows: one for each leaf, in the tree's order.
        shared_bytes: of state that belongs to no single leaf, such as a count.
    """

    rows: tuple[LeafRow, ...]
    shared_bytes: int

    @property
    def totals(self) -> dict[str, Total]:
        """The sums by group, in the order of their first leaves."""
        names = dict.fromkeys(row.group for row in self.rows)
        return {name: Total.of([row for row in self.rows if row.group == name]) for name in names}

    @property
    def total(self) -> Total:
        """The sum over all leaves, with the state that belongs to none."""
        return Total.of(self.rows, self.shared_bytes)

    def __str__(self) -> str:
        """Two tables: the leaves with those numbers that are not the same everywhere, and the groups."""
        names = dict.fromkeys(name for row in self.rows for name in row.values)
        told = {name: {row.values.get(name) for row in self.rows if row.values} for name in names}
        varying = [name for name in names if len(told[name]) > 1]
        leaves = [["leaf", "shape", "dtype", "group", *varying, "bytes", "state bytes"]]
        for row in self.rows:
            values = [f"{row.values[name]:g}" if name in row.values else "-" for name in varying]
            shape = " × ".join(map(str, row.shape)) or "scalar"
            sizes = [f"{row.parameter_bytes:,}", f"{row.state_bytes:,}"]
            leaves.append([row.name or "(the whole tree)", shape, row.dtype, row.group, *values, *sizes])
        sums = [["group", "leaves", "numbers", "bytes", "state bytes"]]
        for name, total in {**self.totals, "all": self.total}.items():
            figures = (total.leaves, total.numbers, total.parameter_bytes, total.state_bytes)
            sums.append([name, *(f"{figure:,}" for figure in figures)])
        same = [f"{name}={told[name].copy().pop():g}" for name in names if name not in varying]
        lines = [*_aligned(leaves, 4), "", *_aligned(sums, 1)]
        return "\n".join([*lines, "", f"the same for all: {', '.join(same)}"] if same else lines)


def _aligned(table: list[list[str]], texts: int) -> list[str]:
    """Rows of cells as lines; so many first columns are texts, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
