"""The runs of a sweep in a tracker, a run each."""

import re
from collections.abc import Callable

import numpy as np

from jaxopt_edu.core.arguments import checked_function, kind_of
from jaxopt_edu.core.checks import short
from jaxopt_edu.core.reading import kind
from jaxopt_edu.sweeps.results.runs import Runs
from jaxopt_edu.trackers import Tracker
from jaxopt_edu.trackers.protocol import Outcome, described

OUTCOMES: dict[str, Outcome] = {"COMPLETE": "finished", "PRUNED": "interrupted", "DIVERGED": "failed"}


def track(result: Runs, tracker: Callable[[str], Tracker]) -> None:
    """Tell a tracker of each run; what `SweepResult.track` does.

    Args:
        result: a sweep.
        tracker: makes one of a run's name.
    """
    checked_function("track", "tracker", tracker, "name")
    for setting, optimizer in enumerate(result.optimizers):
        for place, seed in enumerate(result.seeds):
            name = _name(result, setting, place)
            told = tracker(name)
            if not isinstance(told, Tracker):
                raise TypeError(
                    f"track: tracker({name!r}) = {short(told)} is {kind_of(told)}; it must return a tracker, "
                    "such as jo.trackers.CSV(f'runs/{name}.csv')."
                )
            told.start(described(optimizer) | {"seed": seed})
            _tell(told, result, (setting, place))


def _tell(tracker: Tracker, result: Runs, run: tuple[int, int]) -> None:
    made, state = int(result.made[run]), str(result.states[run])
    for at in np.flatnonzero(result.evaluated_at <= made):
        numbers = {name: float(curve[run][at]) for name, curve in result.curves.items()}
        tracker.log(int(result.evaluated_at[at]), numbers)
    tracker.close(OUTCOMES[state], f"{state} after {made} of {result.steps} steps")


def _name(result: Runs, setting: int, place: int) -> str:
    """A run's name, which may be a file's: its number, its kind and its seed."""
    number, last = setting * len(result.seeds) + place, result.states.size - 1
    what = re.sub(r"[^\w.]+", "-", kind(result.optimizers[setting])).strip("-")
    return f"{number:0{len(str(last))}}-{what}-seed-{result.seeds[place]}"
