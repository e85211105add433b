"""A Figure that Jupyter shows by itself; imports matplotlib, so it is imported where a figure is made."""

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """A matplotlib Figure that is the output of the notebook cell that ends with it.

    Jupyter shows figures that pyplot made and keeps. Ours belong to no global state, so they say themselves
    how they look.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        # Shown at half its pixels: sharp on screens with twice as many to a point, and as wide as a page.
        width, height = (round(pixels / 2) for pixels in self.bbox.size)
        return buffer.getvalue(), {"width": width, "height": height}
