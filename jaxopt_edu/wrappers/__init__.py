"""Transforms around any optimizer: what is made of its gradients and steps, and how its numbers are kept."""

from jaxopt_edu.wrappers.accumulated import AccumulatedState, accumulated
from jaxopt_edu.wrappers.averaged import AveragedState, averaged
from jaxopt_edu.wrappers.cautious import CautiousState, cautious
from jaxopt_edu.wrappers.compensated import CompensatedState, compensated
from jaxopt_edu.wrappers.half_state import HalfState, half_state
from jaxopt_edu.wrappers.lookahead import LookaheadState, lookahead
from jaxopt_edu.wrappers.loss_scaling import LossScalingState, loss_scale, loss_scaling
from jaxopt_edu.wrappers.mars import MarsState, mars
from jaxopt_edu.wrappers.monitor import MonitorState, monitor
from jaxopt_edu.wrappers.packed import PackedState, packed
from jaxopt_edu.wrappers.readings import Readings, readings
from jaxopt_edu.wrappers.sam import SamState, sam
from jaxopt_edu.wrappers.schedule_free import ScheduleFreeState, schedule_free
from jaxopt_edu.wrappers.weight_decay import WeightDecayState, matrices_only, weight_decay

# Every wrapper, in the order of the README's table.
WRAPPERS = (
    weight_decay,
    averaged,
    schedule_free,
    lookahead,
    cautious,
    mars,
    sam,
    accumulated,
    loss_scaling,
    monitor,
    compensated,
    half_state,
    packed,
)

__all__ = [
    "WRAPPERS",
    "AccumulatedState",
    "AveragedState",
    "CautiousState",
    "CompensatedState",
    "HalfState",
    "LookaheadState",
    "LossScalingState",
    "MarsState",
    "MonitorState",
    "PackedState",
    "Readings",
    "SamState",
    "ScheduleFreeState",
    "WeightDecayState",
    "accumulated",
    "averaged",
    "cautious",
    "compensated",
    "half_state",
    "lookahead",
    "loss_scale",
    "loss_scaling",
    "mars",
    "matrices_only",
    "monitor",
    "packed",
    "readings",
    "sam",
    "schedule_free",
    "weight_decay",
]
