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


def test_words_have_their_numbers_in_one_style(sample):
    def experiment(seed=0):
        return sample.opening()._replace(claim="0.5% are 5e-03.", measured="From -1 to 12345.", setting="-1%")

    written = write_chapter(sample._replace(opening=experiment))
    assert written.opening.claim == "0.5\xa0% are 5 · 10⁻³."
    assert written.opening.measured == "From −1 to 12,345."
    assert written.opening.setting == "−1\xa0%"


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
