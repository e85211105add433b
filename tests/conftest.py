"""What holds in every test: strict dtypes and ranks, and x64 only where a test asks for it."""

import argparse
import os
import re
import signal
import zlib

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


LACKED = "jaxopt_edu/lacked"  # in pytest's cache


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
        help="try every optimizer in every case of a contract test, by default or where slow tests run",
    )
    parser.addoption(
        "--share",
        type=_share,
        default=(1, 1),
        metavar="K/N",
        help="run the K-th of N parts of the tests: a sample, the same on every machine",
    )
    parser.addoption(
        "--lacked", action="store_true", help="run what the last run skipped, as a library was not installed"
    )


def _share(words: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", words)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"--share {words}: takes K/N with K from 1 to N, such as 1/3")
    return int(found[1]), int(found[2])


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(config, items):
    """Leave out what no option asks for."""
    left_out = set()
    if not config.getoption("--every-case"):
        left_out = _bound_contracts(items)
    part, parts = config.getoption("--share")
    left_out |= {item for item in items if zlib.crc32(item.nodeid.encode()) % parts != part - 1}
    if config.getoption("--lacked"):
        lacked = set(config.cache.get(LACKED, []))
        left_out |= {item for item in items if item.nodeid not in lacked}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def _bound_contracts(items):
    """Bound the products of optimizers and cases (of trees, of numbers, of wrappers) that all pages share.

    The textbook's seven are tried in a third of the cases by default, each in others, and in the rest where
    slow tests run. Those beyond them, whose contracts are slow, are tried in one case there, each in another.

    Returns:
        What is left out.
    """
    contracts: dict = {}
    for item in items:
        row = item.callspec.params.get("row") if hasattr(item, "callspec") else None
        slow = item.get_closest_marker("slow") is not None
        if isinstance(row, Row) and row.in_story != slow:
            rows = contracts.setdefault((item.path, item.originalname, slow), {})
            rows.setdefault(row.name, []).append(item)
    left_out = set()
    for (*_, slow), rows in contracts.items():
        for turn, cases in enumerate(rows.values()):
            for place, case in enumerate(cases):
                if slow and place != turn % len(cases):
                    left_out.add(case)
                elif not slow and len(cases) > 2 and place % 3 != turn % 3:
                    case.add_marker(pytest.mark.slow)
    return left_out


def pytest_terminal_summary(terminalreporter, config):
    """Remember which tests lacked a library."""
    skipped = terminalreporter.stats.get("skipped", [])
    lacked = [report.nodeid for report in skipped if "could not import" in str(report.longrepr)]
    config.cache.set(LACKED, lacked)
