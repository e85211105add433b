"""A run that was killed after step 30 and goes on from the checkpoint of step 20, as a tracker is told."""

import math

import jaxopt_edu as jo
from jaxopt_edu.trackers.protocol import described

ADAM = described(jo.adam(0.25))
# What is recorded in the end; a tracker that cannot take back keeps the first of what was told of step 30.
LOSSES = {10: 0.1, 20: math.nan, 30: 0.3, 40: math.inf}


def killed(tracker):
    """Told of three steps, and then of nothing any more."""
    tracker.start(ADAM)
    for step in (10, 20, 30):
        tracker.log(step, {"training_loss": LOSSES[step]})


def resumed(tracker):
    """Goes on from step 20, with a name that is new."""
    tracker.start(ADAM, step=20)
    for step in (30, 40):
        tracker.log(step, {"training_loss": LOSSES[step], "accuracy": step / 100})
    tracker.close("finished", "completed")
