"""One run of `fit`: begun or resumed, watched at every stop, and handed back."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from jaxopt_edu.core.arguments import named
from jaxopt_edu.core.evaluation import evaluation_params
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.processes import any_process, is_first, placed, preempted
from jaxopt_edu.trackers import Tracker
from jaxopt_edu.training.checkpoints import Checkpoints
from jaxopt_edu.training.evaluation import check_evaluation, evaluation_of
from jaxopt_edu.training.history import Recorder
from jaxopt_edu.training.keeper import Keeper
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.npz_checkpoint import Checkpoint, Identity
from jaxopt_edu.training.objective import as_pytree_function
from jaxopt_edu.training.packing import layout_that_pays
from jaxopt_edu.training.placement import Placement, given_back, place
from jaxopt_edu.training.program import Program, own_copy
from jaxopt_edu.training.progress import progress_bar
from jaxopt_edu.training.result import FitResult, Moment
from jaxopt_edu.training.run import Plan, run
from jaxopt_edu.training.signals import signals_wait, stop
from jaxopt_edu.training.sources import Source, make_source
from jaxopt_edu.training.tracking import Tracking, tracked
from jaxopt_edu.training.trainable import Frozen
from jaxopt_edu.wrappers.readings import is_monitored, readings


@dataclass(frozen=True)
class Job:
    """What `fit` was asked for, checked; its arguments say what each is."""

    loss_fn: Callable[..., Any]
    transform: Optimizer
    data: Any
    plan: Plan
    begun: float  # when fit was called, by time.monotonic()
    seconds: float | None
    frozen: Frozen
    batch_size: int | None
    key: jax.Array | None
    replacement: bool
    loss_key: jax.Array | None
    evaluate: Callable[..., Any] | None
    callback: Callable[[Moment], bool | None] | None
    trackers: tuple[Tracker, ...]
    folder: Checkpoints | None
    resume: bool | int
    allow_changes: bool
    mesh: Mesh | None
    axes: tuple[str, ...]
    progress: bool | None


class Session:
    """A run, from its first carry to its result.

    Args:
        job: what is asked for.
        first: where a run begins that is not resumed; is copied.

    Raises:
        TypeError: evaluate gives something else than numbers.
        ValueError: evaluate does not give what the run is to be judged by.
    """

    def __init__(self, job: Job, first: Carry) -> None:
        self.job, self.judge = job, job.plan.judge
        self.carry = own_copy(first)
        # The copy's say the same, but not in the words of the caller.
        self.shardings = jax.tree.map(
            lambda leaf, copy: getattr(leaf, "sharding", copy.sharding), first, self.carry
        )
        self.placement: Placement | None = None
        if job.mesh is not None:
            self.placement, self.carry = place(job.mesh, job.axes, self.carry)
        # Each of several processes may also make a run of its own, with which the others have nothing to do.
        of_all = job.folder is not None or (job.mesh is not None and job.mesh.is_multi_process)
        self.together = jax.process_count() > 1 and of_all
        check_evaluation(job.evaluate, self.judge, self._whole(self.carry))
        self.recorder = Recorder()
        self.keeper = Keeper(job.folder, Identity(job.key, job.batch_size or 0, job.replacement), self.judge)
        self.source: Source | None = None

    def run(self) -> FitResult:
        """Train to the end, and let go of the folder and the data.

        Raises:
            KeyboardInterrupt, SystemExit: a signal came; see `stop`.
        """
        job, recorder = self.job, self.recorder
        steps, every = job.plan.steps, job.plan.every
        try:
            program = self._begin()
            trackers = job.trackers if is_first() or not self.together else ()
            until = f"at the end of this stretch of {every} steps"
            with (
                progress_bar(job.progress, steps, recorder.steps) as report,
                signals_wait("fit", until) as pending,
                tracked(trackers, job.transform) as tracking,
            ):
                tracking.start(None if job.resume is False else recorder.steps)

                def at_stop(carry: Carry, losses: np.ndarray) -> str | None:
                    moment = self._kept(carry, losses, program.source, tracking)
                    report(recorder.steps, float(losses[-1]))
                    ended = job.callback is not None and bool(job.callback(_own(moment)))
                    number = signal.SIGTERM if self.together and preempted() else pending.number
                    if number is not None and recorder.steps < steps:
                        told = f"at step {recorder.steps}: {self.keeper.told()}"
                        stop("fit", number, told, self._result(carry, "interrupted"))
                    if ended:
                        return f"stopped by the callback at step {recorder.steps}"
                    return self._out_of_time() if recorder.steps < steps else None

                result = self._result(*run(program, job.plan, self.carry, recorder, at_stop))
                tracking.ended(result.history, diverged=job.plan.ended_by(result.history.losses))
                return result
        except KeyboardInterrupt as error:
            raise error.with_traceback(None) from None  # dozens of inner lines would hide what it says
        except Exception as error:
            if job.folder is not None:
                job.folder.explain(error)
            raise
        finally:
            if self.source is not None:
                self.source.close()
            self.keeper.end()

    def _begin(self) -> Program:
        """Find the checkpoint to go on from, open the data there, and put together what is run."""
        job = self.job
        found = self.keeper.begin(self.carry, job.resume, job.plan.steps)
        if found is not None:
            self.carry = jax.tree.map(_placed_like, found.carry, self.carry)
            self.recorder.restore(found.history)
        self.source = source = self._opened(found)
        params = self.carry.params
        self._read(self.carry)  # what cannot be read is told before the first step
        self.keeper.compare(
            found, job.transform, params, source, job.allow_changes, job.frozen.leaves, job.loss_key
        )
        layout = layout_that_pays(job.transform, params) if job.mesh is None else None
        draw = source.draw if self.placement is None else self.placement.on_all(source.draw)
        return Program(
            _placed(job.frozen, self.placement).function(as_pytree_function(job.loss_fn)),
            _on_device(job.transform, self.placement),
            source,
            draw,
            self.carry.model_state is not None,
            self.placement,
            layout,
            job.loss_key,
        )

    def _opened(self, found: Checkpoint | None) -> Source:
        job = self.job
        with named("fit"):
            return make_source(
                job.data,
                key=job.key,
                batch_size=job.batch_size,
                replacement=job.replacement,
                first=job.plan.first_batch + self.recorder.steps,
                place=None if found is None else found.notes.get("place"),
                keeps_place=job.folder is not None,
            )

    def _kept(self, carry: Carry, losses: np.ndarray, source: Source, tracking: Tracking) -> Moment:
        """Evaluate a moment, judge it, track it and write its checkpoint; its arrays are the run's own."""
        step = self.recorder.steps
        shown = self._whole(_shown(self.job.transform, given_back(carry, self.shardings)))
        evaluation = evaluation_of(self.job.evaluate, shown)
        self.recorder.add_evaluation(step, evaluation)
        self.keeper.judged(_shown(self.job.transform, carry), step, evaluation, losses)
        self._read(carry)
        # Trackers before the checkpoint: where that is gone on from, they can forget, but not catch up.
        tracking.log(step, self.recorder.history(""), losses, shown.state)
        self.keeper.write(carry, self.recorder, source.stands_at)
        metrics = self.recorder.history("").metrics
        since = {name: values[-len(losses) :] for name, values in metrics.items()}
        return Moment(step, *shown, losses, evaluation, since)

    def _out_of_time(self) -> str | None:
        """Why a run with a time limit is to end, once it is reached; all of its processes say the same."""
        if self.job.seconds is None:
            return None
        over = time.monotonic() - self.job.begun >= self.job.seconds
        if any_process(over) if self.together else over:
            return f"time limit of {self.job.seconds:g} s reached at step {self.recorder.steps}"
        return None

    def _read(self, carry: Carry) -> None:
        if is_monitored(self.job.transform):
            with named("fit"):
                self.recorder.add_readings(readings(self.job.transform, carry.state, carry.params))

    def _result(self, carry: Carry, stopped: str) -> FitResult:
        self._read(carry)  # of a stretch that a loss cut short, the steps before it
        own = given_back(carry, self.shardings)
        shown, history = _shown(self.job.transform, own), self.recorder.history(stopped)
        held = None if shown.params is own.params else self._whole(own).params
        best = self.keeper.best
        best = best and best._replace(params=self.job.frozen.whole(best.params))
        return FitResult(self._whole(shown).params, own.state, history, own.model_state, best, held)

    def _whole(self, carry: Carry) -> Carry:
        return carry._replace(params=self.job.frozen.whole(carry.params))


def _own(moment: Moment) -> Moment:
    """A moment whose arrays nobody else has."""
    carry = own_copy(Carry(moment.params, moment.state, moment.model_state))
    return moment._replace(params=carry.params, state=carry.state, model_state=carry.model_state)


def _shown(transform: optax.GradientTransformation, carry: Carry) -> Carry:
    """The run with the parameters that its optimizer recommends."""
    return carry._replace(params=evaluation_params(transform, carry.state, carry.params))


def _placed_like(loaded: jax.Array, given: jax.Array) -> jax.Array:
    return placed(loaded, given.sharding) if given.committed else loaded


def _placed(frozen: Frozen, placement: Placement | None) -> Frozen:
    return frozen if placement is None else frozen._replace(leaves=placement.beside(frozen.leaves, "params"))


def _on_device(optimizer: Optimizer, placement: Placement | None) -> Optimizer:
    # Its numbers are handed over once, not with every stretch. They stay weak: the dtype of a result is not
    # theirs.
    alone = placement is None and jax.process_count() == 1
    return jax.device_put(optimizer) if alone else optimizer
