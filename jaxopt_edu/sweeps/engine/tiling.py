"""How the runs of a group are cut into tiles that fit into memory and onto the devices."""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxopt_edu.sweeps.engine.lanes import SEEDS, SETTINGS, Layout


class Tile(NamedTuple):
    """Runs that are computed together: some settings, each with some seeds.

    Attributes:
        rows: which settings, as positions in the cohort.
        columns: which seeds, as positions in the list of seeds.
        shape: number of settings and seeds with the padding that devices need; the last ones are repeated.
    """

    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]

    def padded_rows(self) -> np.ndarray:
        """The rows, and the last one again until the shape is full."""
        return np.pad(self.rows, (0, self.shape[SETTINGS] - len(self.rows)), mode="edge")

    def padded_columns(self) -> np.ndarray:
        """The columns, and the last one again until the shape is full."""
        return np.pad(self.columns, (0, self.shape[SEEDS] - len(self.columns)), mode="edge")

    def unpadded(self, tree: Any) -> Any:
        """A tree of the tile's runs, leading axes (settings, seeds), without the padding."""
        return jax.tree.map(lambda leaf: leaf[: len(self.rows), : len(self.columns)], tree)

    @property
    def runs(self) -> int:
        """The number of runs without padding."""
        return len(self.rows) * len(self.columns)


class Tiling(NamedTuple):
    """All tiles of a stretch of a cohort, of one shape."""

    layout: Layout
    tiles: tuple[Tile, ...]


def tiling(rows: np.ndarray, seeds: int, mesh: Mesh, chunk_size: int) -> Tiling:
    """Cut settings × seeds into tiles of one shape.

    The axis that is split over the devices is the one that needs less padding for it.

    Args:
        rows: the settings, as positions in the cohort, shape (a,).
        seeds: number of seeds.
        mesh: the devices.
        chunk_size: how many runs a tile may have; at least one a device is always taken.

    Returns:
        The tiles, settings first.
    """
    devices = mesh.size
    axis = SETTINGS if _padding(len(rows), devices) <= _padding(seeds, devices) else SEEDS
    least = (devices, 1) if axis == SETTINGS else (1, devices)
    columns = _length(seeds, max(1, chunk_size // least[SETTINGS]), least[SEEDS])
    heights = _length(len(rows), max(1, chunk_size // columns), least[SETTINGS])
    pieces = [
        Tile(rows[i : i + heights], np.arange(j, min(j + columns, seeds)), (heights, columns))
        for j in range(0, seeds, columns)
        for i in range(0, len(rows), heights)
    ]
    return Tiling(Layout(mesh, axis), tuple(pieces))


def _padding(size: int, devices: int) -> float:
    return math.ceil(size / devices) * devices / size


def _length(size: int, most: int, least: int) -> int:
    # Equal pieces: with 100 settings and room for 64, two of 50 pad less than one of 64 and one of 36.
    even = math.ceil(size / math.ceil(size / most))
    return math.ceil(even / least) * least


def one_tile(rows: np.ndarray, columns: np.ndarray, mesh: Mesh) -> tuple[Tile, Layout]:
    """Some runs as one tile, whatever their number.

    Args:
        rows: the settings, as positions in the cohort.
        columns: the seeds, as positions in the list of seeds.
        mesh: the devices.

    Returns:
        The tile and its layout.
    """
    found = tiling(rows, len(columns), mesh, chunk_size=mesh.size * len(rows) * len(columns))
    (tile,) = found.tiles
    return tile._replace(columns=columns), found.layout
