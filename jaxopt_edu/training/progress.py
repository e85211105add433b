"""A progress bar for runs that take their time."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    show: bool | None, total: int, done: int, *, label: str = "loss", announcement: str = ""
) -> Iterator[Callable[[int, float], None]]:
    """Show how far a run is, its loss and its speed, on standard error.

    Args:
        show: whether; None for where standard error is a terminal and rich is installed.
        total: number of steps of the run.
        done: number of steps made before it was resumed.
        label: what is shown beside its value.
        announcement: a line above the bar.

    Yields:
        `report(step, loss)`, to be called now and then.

    Raises:
        ImportError: show is True and rich is not installed.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        if show:
            raise ImportError('progress=True needs rich: pip install "jaxopt-edu[cli]"') from None
        show = False
    if show is None:
        show = sys.stderr.isatty()
    if not show:
        yield lambda step, loss: None
        return
    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn(f"{label} {{task.fields[loss]:.4g}}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        if announcement:
            bars.console.print(announcement, markup=False, highlight=False)
        task = bars.add_task("", total=total, completed=done, loss=float("nan"), speed="")

        def report(step: int, loss: float) -> None:
            elapsed = bars.tasks[task].elapsed or 0.0
            speed = f"{(step - done) / elapsed:,.0f} steps/s" if elapsed > 0 else ""
            bars.update(task, completed=step, loss=loss, speed=speed)

        yield report
