"""All benchmarks, one command.

python -m tests.benchmarks [--only step,fit,…] [--quick] [--out benchmarks]
"""

import argparse
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from jaxopt_edu.cli.console import progress, text
from jaxopt_edu.files import check_folder, whole_folder
from tests.benchmarks import (
    catalogue,
    fit,
    growth,
    memory,
    mixed_precision,
    packing,
    precision,
    products,
    start,
    step,
    sweep,
)
from tests.benchmarks.output import Bars, Report, as_json, as_markdown, failed, show

MARKER = "benchmarks.md"
PARTS: dict[str, Callable[[bool, Bars], list[Report]]] = {
    "step": step.run,
    "catalogue": catalogue.run,
    "products": products.run,
    "packing": packing.run,
    "precision": precision.run,
    "fit": fit.run,
    "sweep": sweep.run,
    "start": start.run,
    "memory": memory.run,
    "growth": growth.run,
    "mixed_precision": mixed_precision.run,
}


def parts(words: str) -> list[str]:
    """The parts asked for, in the order in which they run."""
    asked = words.split(",")
    if unknown := sorted(set(asked) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; choose from {', '.join(PARTS)}")
    return [part for part in PARTS if part in asked]


def machine() -> str:
    """What the numbers were measured on."""
    versions = [f"{name} {importlib.import_module(name).__version__}" for name in ("jax", "optax")]
    if importlib.util.find_spec("torch") is not None:
        versions.append(f"torch {importlib.import_module('torch').__version__}")
    return f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(versions)}"


def processor() -> str:
    """The processor's name, as far as the system tells."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write(folder_name: str, reports: list[Report], quick: bool, bars: Bars) -> list[str]:
    """Write tables, measurements and pictures; the folder is replaced as a whole."""
    with whole_folder(folder_name, MARKER) as folder:
        for report in reports:
            for name, draw in report.figures.items():
                with bars.case(f"the picture {name}"):
                    draw().savefig(folder / f"{name}.png", dpi=160)
        written = [*reports, failed(bars.failures)] if bars.failures else reports
        warning = "A quick run: these numbers say that the benchmarks work, and nothing else.\n\n"
        head = f"# Benchmarks\n\n{warning if quick else ''}{machine()}\n\n"
        (folder / MARKER).write_text(head + "\n".join(map(as_markdown, written)), "utf-8")
        (folder / "benchmarks.json").write_text(as_json(written), "utf-8")
        return sorted(file.name for file in folder.iterdir())


def main() -> None:
    """Run the parts, and write after each, so that an interrupted run leaves what it has."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", type=parts, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a small part of each, to see that it works")
    parser.add_argument("--out", default="benchmarks", help="the folder to write (default: %(default)s)")
    options = parser.parse_args()
    check_folder(options.out, MARKER)
    reports: list[Report] = []
    files: list[str] = []
    with progress() as screen:
        bars = Bars(screen)
        for part in options.only:
            with bars.case(part):
                reports += PARTS[part](options.quick, bars)
            files = write(options.out, reports, options.quick, bars)
    for report in [*reports, failed(bars.failures)] if bars.failures else reports:
        show(report)
    text(f"wrote {options.out}/: {', '.join(files)}")
    if bars.failures:
        sys.exit(f"failed: {', '.join(bars.failures)}")


if __name__ == "__main__":
    main()
