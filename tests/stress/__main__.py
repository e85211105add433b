"""Kills, damage, full disks, two writers and several processes, each many times: a table of tried and held.

    python -m tests.stress [--full] [--only PART] [--seed N]

A few minutes; with --full about half an hour. The exit status is 1 if anything did not hold.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.stress import files, kills, places
from tests.stress.outcome import Outcome, table

Part = Callable[[Path, random.Random, bool], list[Outcome]]


def damage(place: Path, moments: random.Random, full: bool) -> list[Outcome]:
    """Bits and cuts: all of them in full, otherwise one in ten."""
    share = 1.0 if full else 0.1
    return [*files.checkpoints(place, moments, share), *files.sweep(place, moments, share)]


def disk(place: Path, moments: random.Random, full: bool) -> list[Outcome]:
    """Full disks, where a small file system can be mounted."""
    reason = places.reason_for_no_disk()
    if reason is None:
        try:
            return [places.full_disk(place, moments, 20 if full else 6)]
        except subprocess.CalledProcessError as error:
            reason = f"mount: {error.stderr.decode().strip()}"
    print(f"full disk: not tried, for {reason}.", file=sys.stderr)
    return []


PARTS: dict[str, Part] = {
    "damage": damage,
    "disk": disk,
    "writers": lambda place, moments, full: [places.two_writers(place, moments, 10 if full else 3)],
    "npz": lambda place, moments, full: [kills.fits(place, moments, 60 if full else 8, "npz")],
    "orbax": lambda place, moments, full: [kills.fits(place, moments, 30 if full else 4, "orbax")],
    "sweeps": lambda place, moments, full: [kills.sweeps(place, moments, 40 if full else 6)],
    "processes": lambda place, moments, full: [
        kills.processes(place, moments, 8 if full else 2, count) for count in (2, 3)
    ],
}


def main(words: list[str] | None = None) -> int:
    """Run the parts and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--full", action="store_true", help="several times as often, and every bit")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be given again")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args(words)
    print(f"seed {options.seed}", file=sys.stderr)
    outcomes = []
    for name in options.only or PARTS:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            moments = random.Random(f"{options.seed} {name}")
            outcomes += PARTS[name](Path(place), moments, options.full)
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(table(outcomes))
    for outcome in outcomes:
        for wrong in outcome.wrong:
            print(f"{outcome.what}: {wrong}", file=sys.stderr)
    return int(any(outcome.held < outcome.tried for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
