"""What holds in every test: strict dtypes and ranks, and x64 only where a test asks for it."""

import os
import signal

# Before JAX wakes up: eight devices, for the tests of sharded state.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

# A shell that starts pytest in the background has it, and all that it starts, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import hypothesis
import jax
import pytest

from tests.rows.row import Row

# An example that meets a new shape waits for the compiler; how long says nothing about the code.
hypothesis.settings.register_profile(
    "compiled", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("compiled")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Run one test with 64-bit types enabled."""
    with jax.enable_x64(True):
        yield


# What cases of contract tests are called that put the optimizer into half_state.
HALVED = {"wrappers", "both wrappers", "all at once", "half_state"}


@pytest.fixture(autouse=True)
def _refused(request):
    """A contract that has no meaning for an optimizer is passed over, with the row's reason."""
    callspec = getattr(request.node, "callspec", None)
    row = callspec.params.get("row") if callspec else None
    refused = getattr(row, "refused", {})
    reason = refused.get(getattr(request.node, "originalname", None))
    if callspec and (HALVED & {*callspec.id.split("-")} or request.path.name == "test_half_state.py"):
        reason = reason or refused.get("half_state")
    if row is not None and reason:
        pytest.skip(f"{row.name}: {reason}")


def pytest_addoption(parser):
    """Let a run ask for all of it."""
    parser.addoption(
        "--every-case",
        action="store_true",
        help="try every optimizer beyond the textbook's seven in every case of a slow contract test",
    )


def pytest_collection_modifyitems(config, items):
    """Try those optimizers in one case of each slow contract test, each in another one, to bound the time.

    Cases differ in what is common to all pages (a kind of tree, of number, of wrapper).
    """
    if config.getoption("--every-case"):
        return
    contracts: dict = {}
    for item in items:
        row = item.callspec.params.get("row") if hasattr(item, "callspec") else None
        if isinstance(row, Row) and not row.in_story and item.get_closest_marker("slow"):
            rows = contracts.setdefault((item.path, item.originalname), {})
            rows.setdefault(row.name, []).append(item)
    left_out = {
        case
        for rows in contracts.values()
        for turn, cases in enumerate(rows.values())
        for place, case in enumerate(cases)
        if place != turn % len(cases)
    }
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]
