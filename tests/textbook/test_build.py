"""Experiments run in their order, and their numbers go into data.json."""

import json

import pytest

from jaxopt_edu.textbook.build import data_of, write_chapter


def test_experiments_run_in_order_with_the_seed(sample):
    done = []
    written = write_chapter(sample, seed=3, advance=done.append)
    assert done == ["walk", "chart", "map"]
    assert written.chapter is sample
    assert written.opening.data["seed"] == 3
    assert [finding.name for finding in written.findings] == ["chart", "map"]


def test_data_has_every_finding_and_is_json(written):
    data = data_of([written])
    assert list(data) == ["walk", "chart", "map"]
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["chart"]["data"] == {"top": 9.0}
    assert {found["chapter"] for found in data.values()} == {"sample"}
    assert [found["verdict"] for found in data.values()] == ["holds", "depends", "fails"]


def test_a_name_may_occur_once(written):
    with pytest.raises(ValueError, match="two findings are named 'walk'"):
        data_of([written, written])
