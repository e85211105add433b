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


@pytest.fixture(autouse=True)
def _refused(request):
    """A contract that has no meaning for an optimizer is passed over, with the row's reason."""
    callspec = getattr(request.node, "callspec", None)
    row = callspec.params.get("row") if callspec else None
    reason = getattr(row, "refused", {}).get(getattr(request.node, "originalname", None))
    if row is not None and reason:
        pytest.skip(f"{row.name}: {reason}")
