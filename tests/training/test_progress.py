"""The progress bar: where it shows, and what it says."""

import sys

import jax.numpy as jnp
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training.progress import progress_bar


def fit(**options):
    return jo.fit(lambda w, _: w**2, jnp.array(8.0), jo.sgd(learning_rate=0.25), steps=10, every=5, **options)


def test_on_a_file_it_leaves_the_last_state(capsys):
    pytest.importorskip("rich")
    fit(progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "10/10" in captured.err
    assert f"loss {64 * 0.25**9:.4g}" in captured.err
    assert "steps/s" in captured.err


@pytest.mark.parametrize("progress", [None, False])
def test_silent_elsewhere(capsys, progress):
    fit(progress=progress)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_it_unasked(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit()
    assert "10/10" in capsys.readouterr().err


def test_a_resumed_run_counts_from_its_beginning(capsys):
    pytest.importorskip("rich")
    with progress_bar(True, 10, 4) as report:
        report(7, 0.5)
    captured = capsys.readouterr()
    assert "7/10" in captured.err
    assert "loss 0.5" in captured.err


def test_without_rich_it_has_to_be_asked_for(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ImportError, match=r'progress=True needs rich: pip install "jaxopt-edu\[cli\]"'):
        fit(progress=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert fit().history.stopped == "completed"
    assert capsys.readouterr() == ("", "")
