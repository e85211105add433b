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


# The others take a second or two.
LONG_SNIPPETS = (ROOT / "jaxopt_edu" / "sweeps" / "README.md",)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow if page in LONG_SNIPPETS else ()) for page in PAGES],
    ids=lambda page: page.parent.name,
)
def test_python_snippets_run_in_order(
    page: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # As a reader's own process would: JAX's defaults, not the strict ones of these tests.
    snippets = blocks(page, "python")
    assert snippets
    namespace: dict[str, object] = {}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for number, snippet in enumerate(snippets):
            exec(compile(snippet, f"{page.name}, snippet {number}", "exec"), namespace)
    assert "nan" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "tests" / "benchmarks" / "README.md"], ids=lambda page: page.parent.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_two_commands_stand_alone_on_a_line() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert 'pip install -e ".[all]" && jaxopt-edu race' in lines
    assert 'pip install -e ".[all]" && pytest' in lines


def commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"`(jaxopt-edu [^`\n]+)`", text) + re.findall(r"^(jaxopt-edu .+)$", text, re.M)


# These run whole in tests/cli and tests/textbook.
LONG = ("race", "textbook", "sweep")


def test_commands_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    short = [words for words in map(shlex.split, commands()) if words[1] not in LONG]
    assert short
    for words in short:
        assert main(words[1:]) == 0, words
    assert capsys.readouterr().out


@pytest.mark.slow
def test_the_sweep_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (words,) = [words for words in map(shlex.split, commands()) if words[1] == "sweep"]
    assert main([*words[1:], "--num", "4", "--steps", "20"]) == 0
    assert (tmp_path / "runs" / "adam" / "summary.txt").is_file()


def test_long_commands_exist() -> None:
    for words in map(shlex.split, commands()):
        with pytest.raises(SystemExit) as ended:
            main([*words[1:], "--help"])
        assert ended.value.code == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_tests_that_are_named_exist(page: Path) -> None:
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8")):
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_every_part_of_the_package_has_its_line() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    parts = [path.name for path in (ROOT / "jaxopt_edu").iterdir() if (path / "__init__.py").exists()]
    assert [name for name in parts if f"\n  {name}/ " not in text] == []
