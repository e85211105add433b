"""Moving pictures: frames that share one palette, and how they become GIF and WebP."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

COLORS = 255  # of GIF's 256; one is left for what did not change


class Animation(NamedTuple):
    """Frames and how long each is shown; `plots.save` writes it as .webp or .gif, Jupyter shows it.

    Attributes:
        frames: pictures of the same size, in one palette.
        milliseconds: how long each is shown; multiples of ten, as GIF counts in hundredths of a second.
    """

    frames: tuple[Image, ...]
    milliseconds: tuple[int, ...]

    def encode(self, suffix: str) -> bytes:
        """Return the file's content; the animation runs without end.

        Args:
            suffix: ".gif" or ".webp". Both keep the frames exactly; WebP takes fewer bytes, and longer.

        Returns:
            The bytes; the same frames always give the same.
        """
        first, *rest = self.frames
        more: dict[str, Any] = (
            # Without optimize Pillow would write all of every frame, not only what changed.
            {"format": "GIF", "optimize": True, "disposal": 1}
            if suffix == ".gif"
            else {"format": "WEBP", "lossless": True, "quality": 60, "method": 2}
        )
        buffer = io.BytesIO()
        first.save(
            buffer, save_all=True, append_images=rest, duration=list(self.milliseconds), loop=0, **more
        )
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        """Show the animation in Jupyter."""
        data = base64.b64encode(self.encode(".webp")).decode("ascii")
        width, height = self.frames[0].size
        return f'<img width="{width // 2}" height="{height // 2}" src="data:image/webp;base64,{data}">'


class Palette:
    """Up to 255 colors that suit some pictures: what is frequent in them exactly, the rest nearly.

    Pillow alone would mix the white of the ground with its neighbours and so make it grey.
    """

    def __init__(self, pictures: Sequence[np.ndarray]) -> None:
        from PIL import Image

        pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
        codes, counts = np.unique(_packed(pixels), return_counts=True)
        exact = codes[np.argsort(-counts, kind="stable")[: COLORS // 2]]
        colors = [_unpacked(exact)]
        others = pixels[~np.isin(_packed(pixels), exact)]
        if len(others):
            cut = Image.fromarray(others[np.newaxis]).quantize(COLORS - len(exact))
            colors.append(np.array(cut.getpalette(), dtype=np.uint8).reshape(-1, 3))
        self._colors = np.concatenate(colors)
        # From every color to its place; found when it is first seen.
        self._places = np.full(1 << 24, COLORS, dtype=np.uint8)

    def image(self, picture: np.ndarray) -> Image:
        """Return a picture, uint8 (height, width, 3), in these colors."""
        from PIL import Image

        codes = _packed(picture)
        fresh = np.unique(codes[self._places[codes] == COLORS])
        for part in np.array_split(fresh, len(fresh) // 1000 + 1):
            apart = _unpacked(part)[:, np.newaxis].astype(np.int32) - self._colors.astype(np.int32)
            self._places[part] = np.argmin((apart**2).sum(axis=-1), axis=1)
        found = Image.fromarray(self._places[codes])
        found.putpalette(self._colors.tobytes())
        return found


def _packed(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)


def _unpacked(codes: np.ndarray) -> np.ndarray:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)
