"""`textbook` refuses what it cannot do before it works, and writes a page that is whole."""

import json
import os
import subprocess
import sys

import pytest

from jaxopt_edu.cli import main


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_work(monkeypatch):
    """Every experiment fails the test."""

    def run(*words, **options):
        raise AssertionError("the experiments began")

    monkeypatch.setattr("jaxopt_edu.textbook.build.write_chapter", run)
    monkeypatch.setattr("jaxopt_edu.textbook.lab.run_lab", run)


def refused(capsys, words):
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("jaxopt-edu textbook: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_an_unknown_chapter(place, capsys, no_work):
    line = refused(capsys, ["textbook", "--chapters", "adam,adan"])
    assert "there is no chapter 'adan'; choose from gradient-descent, momentum," in line
    assert line.endswith(", lab.\n")
    assert os.listdir(place) == []


def test_what_is_the_users_is_refused_and_kept(place, capsys, no_work):
    (place / "mine").mkdir()
    (place / "mine" / "index.html").write_text("years of work")
    line = refused(capsys, ["textbook", "--out", "mine"])
    assert "it holds other things (there is no textbook.txt in it)" in line
    assert (place / "mine" / "index.html").read_text() == "years of work"
    assert "there is no folder" in refused(capsys, ["textbook", "--out", "absent/book"])


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("rich", 'pip install "jaxopt-edu[cli]"'),
        ("bokeh", 'the textbook needs bokeh: pip install "jaxopt-edu[textbook]"'),
        ("markdown_it", 'the textbook needs markdown_it: pip install "jaxopt-edu[textbook]"'),
        ("latex2mathml", 'pip install "jaxopt-edu[textbook]"'),
        ("sklearn", 'pip install "jaxopt-edu[textbook]"'),
    ],
)
def test_missing_extras_are_told_before_any_work(place, capsys, monkeypatch, no_work, missing, line):
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    assert line in refused(capsys, ["textbook"])
    assert os.listdir(place) == []


def test_help_teaches(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["textbook", "--help"])
    words = capsys.readouterr().out
    assert words.startswith("usage: jaxopt-edu textbook ")
    assert "  jaxopt-edu textbook --chapters momentum,adam" in words
    assert "index.html" in words
    assert "data.json" in words
    assert max(map(len, words.splitlines())) <= 110


def test_the_package_does_not_import_what_the_page_needs():
    code = "import sys, jaxopt_edu, jaxopt_edu.cli; print({'bokeh', 'jinja2', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_small_book(place, capsys, monkeypatch):
    from jaxopt_edu.textbook.chapters import rmsprop

    chapter = rmsprop.CHAPTER._replace(experiments=())
    monkeypatch.setattr("jaxopt_edu.textbook.chapters.CHAPTERS", (chapter,))
    assert main(["textbook", "--chapters", "rmsprop", "--out", "book"]) == 0
    printed = capsys.readouterr()
    assert os.listdir(place) == ["book"]
    assert sorted(os.listdir("book")) == ["data.json", "index.html", "textbook.txt"]
    assert printed.out.splitlines()[-1].startswith("wrote book/: index.html (")
    assert "RMSProp" in printed.err  # the progress bar
    with open("book/data.json", encoding="utf-8") as file:
        (name,) = data = json.load(file)
    with open("book/index.html", encoding="utf-8") as file:
        html = file.read()
    assert f'<article class="finding" id="{name}"' in html
    assert 'id="lab"' not in html
    assert data[name]["claim"].split(".")[0] in html
    # A second build takes the place of the first as a whole.
    (place / "book" / "old.txt").write_text("left over")
    assert main(["textbook", "--chapters", "rmsprop", "--out", "book"]) == 0
    assert sorted(os.listdir("book")) == ["data.json", "index.html", "textbook.txt"]
