"""What must be settled before JAX starts: its devices and its processes."""

import os
import sys

import jax

# After which a process that is silent counts as dead; JAX's own 100 s are long to wait for an answer.
HEARTBEAT_SECONDS = 20
SHUTDOWN_SECONDS = 60


def use_all_cores() -> None:
    """Make each core of the CPU a device of its own, over which a sweep splits its runs.

    A number that the user has set stays as it is, and so do devices that are there already.
    """
    if "JAX_NUM_CPU_DEVICES" in os.environ or "device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    available = getattr(os, "sched_getaffinity", None)
    cores = len(available(0)) if available else os.cpu_count() or 1
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        # JAX is running, inside another program: its devices are that program's choice.
        return


def join_processes(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Join the other processes of a sweep; JAX knows by itself where it runs under Slurm, MPI or Kubernetes.

    Args:
        coordinator: HOST:PORT of process 0, where the others find it; None for what the cluster says.
        processes: how many there are; None for what the cluster says.
        process: which one this is, from 0; None for what the cluster says.

    Raises:
        ValueError: only some of the three are given, or no cluster says the others.
    """
    given = [coordinator, processes, process]
    if any(each is None for each in given) and any(each is not None for each in given):
        raise ValueError("--coordinator, --processes and --process go together; give all three, or none.")
    _keep_standard_output_clean()
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except ValueError as error:
        raise ValueError(
            f"--distributed finds no cluster to join ({error}); say where with --coordinator HOST:PORT "
            "--processes N --process I."
        ) from None


def _keep_standard_output_clean() -> None:
    # gloo, which connects CPUs, reports on the process's standard output from threads of its own, in the
    # middle of what the command prints. What is native goes to standard error from here on.
    sys.stdout.flush()
    printed = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(printed, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
