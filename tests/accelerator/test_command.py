"""`python -m tests.accelerator` runs to its end, and counts what pytest says."""

import subprocess
import sys

import pytest

from tests.accelerator.contracts import CONTRACTS, ENDED, ROOT, read

PRINTED = """
[gw0] [ 50%] PASSED tests/a/test_b.py::test_c[x-1]
[gw1] [100%] FAILED tests/a/test_b.py::test_d
FAILED tests/a/test_b.py::test_d - AssertionError: PASSED tests/x.py::y
ERROR tests/a/test_e.py
SKIPPED tests/a/test_b.py::test_f
1 failed, 1 passed
"""


def test_outcomes_are_read_from_what_pytest_prints():
    ended = [match for line in PRINTED.splitlines() if (match := ENDED.match(line))]
    outcome = read("dtypes", ended, 2.0, True)
    assert (outcome.passed, outcome.skipped) == (1, 1)
    assert outcome.failed == ("tests/a/test_b.py::test_d", "tests/a/test_e.py")
    assert not outcome.holds
    assert outcome.row()[2:] == ("1 passed, 1 skipped, 2 failed", "; ".join(outcome.failed))
    assert not outcome._replace(failed=(), finished=False).holds
    assert not outcome._replace(failed=(), passed=0).holds, "no tests prove nothing"


def test_the_contracts_are_files():
    assert all((ROOT / file).is_file() for files in CONTRACTS.values() for file in files)


@pytest.mark.slow
def test_the_command_ends_with_one_table(tmp_path):
    out = tmp_path / "accelerator.md"
    command = [sys.executable, "-m", "tests.accelerator", "--small", "--out", str(out)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    table = out.read_text(encoding="utf-8")
    for words in (
        "| contract | on this device |",
        "| step | adam, ",
        "| fit | digits, fit |",
        "runs of 20 steps",
    ):
        assert words in table, words
    assert "failed" not in table
