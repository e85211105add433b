"""Whoever has an accelerator for ten minutes learns all: one command, one table.

    python -m tests.accelerator [--small] [--out accelerator.md]

On whatever accelerator JAX finds: the contract tests that depend on one, and the benchmarks step, fit and
sweep beside optax and torch on the same device. What there is no time for is left out, and the table says so.
On a CPU it runs small.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from jaxopt_edu.cli.console import text
from tests.accelerator import contracts, speeds
from tests.benchmarks.__main__ import machine
from tests.benchmarks.output import Bars, Report, publish

MINUTES = 9.5
CONTRACTS_SHARE = 0.55  # of the time; the rest is for the benchmarks


def device() -> dict[str, str]:
    """What JAX finds, asked in a process of its own: who wakes JAX up may hold the accelerator's memory."""
    code = "import json; from tests.accelerator.speeds import found; print(json.dumps(found()))"
    run = subprocess.run([sys.executable, "-c", code], cwd=contracts.ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def main() -> int:
    """Run everything and print the table; 1 if a contract does not hold or a benchmark failed."""
    begun = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m tests.accelerator", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--small", action="store_true", help="a small part of each, as on a CPU")
    parser.add_argument("--out", type=Path, help="also write the table here; .json or .md")
    options = parser.parse_args()
    if options.out is not None and options.out.suffix not in (".json", ".md"):
        parser.error(f"--out {options.out}: the name has to end in .json or .md")
    found = device()
    small = options.small or found["platform"] == "cpu"
    if found["platform"] == "cpu":
        text("JAX finds no accelerator: a small run on the CPU, which shows that the command works.")
    else:
        text(f"On {found['devices']} × {found['kind']} ({found['platform']}).")
    asked = contracts.SMALL if small else contracts.CONTRACTS
    outcomes = contracts.run(asked, 60 * MINUTES * CONTRACTS_SHARE)
    bars = Bars()
    rows = [each.row() for each in outcomes]
    rows += speeds.run(small, 60 * MINUTES - (time.monotonic() - begun), bars)
    rows += [("failed", name, error, "") for name, error in bars.failures.items()]
    notes = [
        f"{found['devices']} × {found['kind']} ({found['platform']}); host: {machine()}",
        "contract tests with float32 products (JAX_DEFAULT_MATMUL_PRECISION=highest), benchmarks with what "
        "JAX and torch take by themselves; torch on the same device where it is built for it",
        "ratios: the median of the turns' ratios, and between which half of them lie",
        f"{time.monotonic() - begun:.0f} seconds in all",
    ]
    columns = ("part", "case", "result", "detail")
    publish(Report("On this accelerator", columns, rows, notes, [found]), options.out)
    return int(bool(bars.failures) or not all(each.holds for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
