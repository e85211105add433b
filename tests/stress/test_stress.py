"""The stress command's parts, a few times each."""

import random

import pytest

from tests.stress.__main__ import PARTS
from tests.stress.places import reason_for_no_disk


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_everything_held(name, tmp_path):
    outcomes = PARTS[name](tmp_path, random.Random(0), False)
    if name == "disk" and not outcomes:
        pytest.skip(reason_for_no_disk() or "no small file system can be mounted")
    assert outcomes
    for outcome in outcomes:
        assert outcome.held == outcome.tried > 0, outcome
