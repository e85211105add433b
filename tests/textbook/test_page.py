"""The page as text: nothing missing, nothing foreign, the library's numbers to the last bit."""

import base64
import gzip
import inspect
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from jaxopt_edu.optimizers import STORY
from jaxopt_edu.textbook.page.render import render

VOID = {"br", "input", "link", "meta", "path", "rect", "circle"}


class Reader(HTMLParser):
    """Collects elements, and checks that they are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.scripts, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def html(written):
    return render([written])


@pytest.fixture(scope="module")
def page(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def having(page, name, value=None):
    return [found for _, found in page.elements if name in found and value in (None, found[name])]


def test_nothing_is_asked_for_from_elsewhere(page):
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert re.match(r"#|data:,", attributes.get("href") or "#"), (tag, attributes)
    policy = having(page, "http-equiv", "Content-Security-Policy")[0]["content"]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "connect-src" not in policy


def test_links_lead_somewhere_and_anchors_are_unique(page):
    ids = [found["id"] for found in having(page, "id")]
    assert len(ids) == len(set(ids))
    for found in having(page, "href"):
        assert found["href"] == "data:," or found["href"][1:] in ids
    for found in having(page, "aria-labelledby"):
        assert found["aria-labelledby"] in ids


def test_the_words_of_chapter_and_findings_are_there(page, written):
    for finding in (written.opening, *written.findings):
        for words in (finding.claim, finding.measured, finding.setting):
            assert words in page.text
    assert "3 claims were put to the test" in " ".join(page.text.split())
    # What is markup in a claim is shown, not obeyed.
    assert all(tag != "b" for tag, _ in page.elements)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))


def test_every_figure_says_what_was_measured_and_has_a_table(page, written):
    figures = having(page, "role", "img")
    findings = (written.opening, *written.findings)
    assert len(figures) == len(findings)
    for figure, finding in zip(figures, findings, strict=True):
        assert figure["aria-label"].endswith(finding.measured)
        assert len(figure["aria-label"]) > len(finding.measured) + 20
    names = [found["aria-label"] for tag, found in page.elements if tag == "figure"]
    assert len(names) == len(findings)
    assert all(figure["aria-label"].startswith(name) for name, figure in zip(names, figures, strict=True))
    assert page.text.count("The numbers of this figure") == len(findings)
    # A reader of the bowl's table finds the last value of SGD.
    assert f"{written.opening.data['last']:.4g}" in page.text


def test_the_rule_is_the_librarys_own_code(page, sample):
    source = inspect.getsource(sample.pages[0].rule)
    assert source in page.text
    assert "jaxopt_edu.optimizers.descent.sgd.rule" in page.text


def test_equations_are_mathml(page):
    assert sum(tag == "math" for tag, _ in page.elements) == 2
    assert "$" not in page.text
    assert "\\leftarrow" not in page.text


def array_of(value):
    """Decode an array as Bokeh writes it."""
    raw = gzip.decompress(base64.b64decode(value["array"]["data"]))
    return np.frombuffer(raw, np.dtype(value["dtype"])).reshape(value["shape"])


def sources_of(item):
    """Every named data source of a plot."""
    found = {}

    def visit(value):
        if isinstance(value, dict):
            if value.get("name") == "ColumnDataSource" and "name" in value.get("attributes", {}):
                data = value["attributes"]["data"]["entries"]
                found[value["attributes"]["name"]] = {
                    key: array_of(column) for key, column in data if isinstance(column, dict)
                }
            for each in value.values():
                visit(each)
        elif isinstance(value, list):
            for each in value:
                visit(each)

    visit(item)
    return found


def test_paths_are_the_librarys_trajectories_in_float32(page, written):
    items = [json.loads(script) for script in page.scripts if '"root_id"' in script[:300]]
    assert len(items) == 3
    sources = sources_of(items[0])
    for path in written.opening.figures[0].paths:
        for name in ("path", "shown"):
            drawn = sources[f"{name}:{path.name}"]
            assert drawn["x"].dtype == np.float32
            np.testing.assert_array_equal(
                np.stack([drawn["x"], drawn["y"]], axis=1), path.points.astype("f4")
            )
            np.testing.assert_array_equal(drawn["f"], path.values.astype("f4"))


def test_lines_are_the_findings_numbers_in_float32(page, written):
    items = [json.loads(script) for script in page.scripts if '"root_id"' in script[:300]]
    sources = sources_of(items[1])
    for series in written.findings[0].figures[0].series:
        np.testing.assert_array_equal(sources[f"line:{series.name}"]["x"], series.x.astype("f4"))
        np.testing.assert_array_equal(sources[f"line:{series.name}"]["y"], series.y.astype("f4"))
    cells = sources_of(items[2])["cells"]["value"]
    np.testing.assert_array_equal(cells.reshape(4, 5), written.findings[1].figures[0].values.astype("f4"))


def test_no_optimizer_is_written_in_javascript():
    from importlib.resources import files

    folder = files("jaxopt_edu.textbook.page").joinpath("browser")
    code = "".join(
        folder.joinpath(name).read_text("utf-8") for name in ("page.js", "player.js", "lab.js", "print.js")
    ).lower()
    # Every rule but SGD's takes a root or a power, and SGD's a gradient.
    for sign in ("sqrt", "**", "math.pow", "gradient", "hypot"):
        assert sign not in code
    assert len(STORY) == 7


def test_page_files_are_in_the_package():
    from importlib.resources import files

    names = {path.name for path in files("jaxopt_edu.textbook.page").joinpath("browser").iterdir()}
    assert {"template.html", "page.css", "page.js", "player.js", "lab.js", "print.js"} <= names
