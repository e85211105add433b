"""How a benchmark shows its results, and keeps them."""

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxopt_edu.cli.console import progress, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.progress import Progress


class Report(NamedTuple):
    """A table for people, the measurements behind it for programs, and pictures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    measurements: Sequence[dict[str, Any]]
    figures: "Mapping[str, Callable[[], Figure]]" = MappingProxyType({})  # drawn only where they are wanted


@dataclass(frozen=True)
class Bars:
    """Progress bars, which stay silent without a screen, and what failed meanwhile."""

    screen: "Progress | None" = None
    failures: dict[str, str] = field(default_factory=dict)  # by what failed, the error in one line

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        """A bar with so many steps; yields what makes one."""
        if self.screen is None:
            yield lambda: None
            return
        bar = self.screen.add_task(name, total=total)
        yield lambda: self.screen.advance(bar) if self.screen else None
        self.screen.update(bar, completed=total)

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """What fails in here is printed and kept, and the run goes on without it."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
            self.failures[name] = f"{type(error).__name__}: {first}"


def failed(failures: Mapping[str, str]) -> Report:
    """The table of what failed."""
    notes = ("Their rows are missing above; where each failed was printed when it did.",)
    measurements = [{"what": name, "error": error} for name, error in failures.items()]
    return Report("Failed", ("what", "error"), list(failures.items()), notes, measurements)


def arguments(description: str | None) -> argparse.Namespace:
    """The command line of a benchmark: where to write, if anywhere."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=_path, help="also write the results here; .json or .md")
    return parser.parse_args()


def alone(run: Callable[[bool, Bars], list[Report]], description: str | None) -> None:
    """The command of a single part: measure, print, and write if a path is given."""
    out = arguments((description or "").partition("\n")[0]).out
    with progress() as screen:
        bars = Bars(screen)
        (report,) = run(False, bars)
    publish(report, out)
    if bars.failures:
        show(failed(bars.failures))
        sys.exit(1)


def publish(report: Report, out: Path | None) -> None:
    """Write the results if a path is given, and print the table."""
    if out is not None:
        out.write_text(as_json([report]) if out.suffix == ".json" else as_markdown(report), encoding="utf-8")
    show(report)


def show(report: Report) -> None:
    """Print the table."""
    table(report.title, report.columns, report.rows, report.notes)


def as_json(reports: Sequence[Report]) -> str:
    """Titles, notes and measurements."""
    content = [
        {"title": each.title, "notes": each.notes, "measurements": each.measurements} for each in reports
    ]
    return json.dumps(content[0] if len(content) == 1 else content, indent=1, ensure_ascii=False) + "\n"


def as_markdown(report: Report) -> str:
    """The table as Markdown."""
    lines = [report.columns, ["---"] * len(report.columns), *report.rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    notes = "\n".join(f"- {note}" for note in report.notes)
    return f"## {report.title}\n\n{rows}\n\n{notes}\n"


def ratios_figure(
    title: str, label: str, values: Mapping[tuple[str, str], float], *, best: str = ""
) -> "Figure":
    """A row a case, a mark a rival, on a logarithmic axis; at 1 they would be at best, which `best` names."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    from jaxopt_edu.plots.drawing.style import INK, LABEL, NOTE, QUIET, RULE, TITLE, styles

    cases = list(dict.fromkeys(case for case, _ in values))
    rivals = list(dict.fromkeys(who for _, who in values))
    figure = Figure(figsize=(12, 1.6 + 0.7 * len(cases)), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(1, color=QUIET, linewidth=1)
    for who, style in styles(rivals).items():
        places = [place for place, case in enumerate(cases) if (case, who) in values]
        axes.plot(
            [values[cases[place], who] for place in places],
            places,
            linestyle="none",
            marker=style.marker,
            markersize=11,
            color=style.color,
            label=who,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.annotate(
        best,
        (1, 1),
        xycoords=("data", "axes fraction"),
        xytext=(5, -4),
        textcoords="offset points",
        fontsize=NOTE,
        color=QUIET,
        va="top",
    )
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_yticks(range(len(cases)), cases, fontsize=LABEL, color=INK)
    axes.tick_params(axis="x", which="both", labelsize=NOTE, colors=QUIET)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(label, fontsize=LABEL, color=INK)
    axes.set_title(title, fontsize=TITLE, color=INK, loc="left")
    figure.legend(loc="outside lower center", ncols=len(rivals), fontsize=NOTE, frameon=False)
    return figure


def _path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".json", ".md"):
        raise argparse.ArgumentTypeError(f"{text}: the name has to end in .json or .md")
    return path
