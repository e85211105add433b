"""How a benchmark shows its results, and keeps them."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxopt_edu.cli.console import table


class Report(NamedTuple):
    """A table for people, and the measurements behind it for programs."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    measurements: Sequence[dict[str, Any]]


def arguments(description: str | None) -> argparse.Namespace:
    """The command line of a benchmark: where to write, if anywhere."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=_path, help="also write the results here; .json or .md")
    return parser.parse_args()


def publish(report: Report, out: Path | None) -> None:
    """Write the results if a path is given, and print the table."""
    if out is not None:
        out.write_text(_json(report) if out.suffix == ".json" else _markdown(report), encoding="utf-8")
    table(report.title, report.columns, report.rows, report.notes)


def _path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".json", ".md"):
        raise argparse.ArgumentTypeError(f"{text}: the name has to end in .json or .md")
    return path


def _json(report: Report) -> str:
    content = {"title": report.title, "notes": report.notes, "measurements": report.measurements}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _markdown(report: Report) -> str:
    lines = [report.columns, ["---"] * len(report.columns), *report.rows]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = "\n".join(f"- {note}" for note in report.notes)
    return f"## {report.title}\n\n{rows}\n\n{notes}\n"
