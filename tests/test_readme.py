"""The README tells the truth: its snippets run, its commands exist, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import jax
import pytest

from jaxopt_edu.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "jaxopt_edu").glob("*/README.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_python_snippets_run_in_order(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # As a reader's own process would: JAX's defaults, not the strict ones of these tests.
    snippets = blocks(page, "python")
    assert snippets
    namespace: dict[str, object] = {}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for number, snippet in enumerate(snippets):
            exec(compile(snippet, f"{page.name}, snippet {number}", "exec"), namespace)
    assert "nan" not in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_two_commands_stand_alone_on_a_line() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert 'pip install -e ".[all]" && jaxopt-edu race' in lines
    assert 'pip install -e ".[all]" && pytest' in lines


def test_commands_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"`(jaxopt-edu [^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert commands
    for command in commands:
        words = shlex.split(command)[1:]
        if words != ["race"]:  # runs in tests/cli, as a process of its own
            assert main(words) == 0, command
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_tests_that_are_named_exist(page: Path) -> None:
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8")):
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"
