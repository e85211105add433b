"""The page in a real browser: silent, live, exact, accessible, from phone to desktop, in light and dark.

The book is built once a session by the command itself, and read from the disk as a reader would. Chromium is
driven by Playwright; CHROMIUM names the program and AXE_CORE the file axe.min.js of the npm package axe-core.
"""

import contextlib
import fcntl
import io
import json
import os
import re
import shutil
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu import problems
from jaxopt_edu.cli import main
from jaxopt_edu.optimizers import adam, momentum, sgd
from jaxopt_edu.plots.drawing.style import RULE
from jaxopt_edu.textbook.lab import METHODS, STARTS, STEPS, SURFACES
from jaxopt_edu.textbook.page.drawing.look import DARK
from jaxopt_edu.textbook.page.drawing.looks import method_of

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_axe = pytest.mark.skipif("AXE_CORE" not in os.environ, reason="needs AXE_CORE: npm install axe-core")


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """The folder that the command writes; built by the first worker that asks, awaited by the others."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with open(shared / "book.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "book").is_dir():
            with contextlib.redirect_stdout(io.StringIO()):
                assert main(["textbook", "--out", str(shared / "book")]) == 0
    return shared / "book"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, book, *, width=1440, **media):
    """Open the page; if it says or asks for anything, the test fails at the end."""
    trouble = []
    page = browser.new_page(viewport={"width": width, "height": 1000}, **media)
    address = (book / "index.html").as_uri()
    page.on("console", lambda said: said.type in ("error", "warning") and trouble.append(said.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda asked: asked.url not in (address, "data:,") and trouble.append(asked.url[:200]))
    page.goto(address)
    yield page
    page.close()
    assert trouble == []


@pytest.fixture(scope="module")
def desk(browser, book):
    """The page on a light desktop, every figure drawn; tests leave it as it was where that matters."""
    with opened(browser, book, color_scheme="light") as page:
        draw_all(page)
        yield page


def draw_all(page):
    page.evaluate("() => textbook.drawAll()")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.figure')].every(it => 'drawn' in it.dataset)"
    )
    page.wait_for_function("() => document.getElementById('lab').dataset.ready")


def drawn(page, figure, source):
    """The columns of a data source as the browser has them."""
    return {
        name: np.array(column, float)
        for name, column in page.evaluate(
            """([figure, source]) => Object.fromEntries(
                Object.entries(textbook.figures.get(figure).sources[source].data)
                    .map(([name, column]) => [name, [...column].map(x => Number.isFinite(x) ? x : null)]))""",
            [figure, source],
        ).items()
    }


def descent(optimizer, function, begin, steps):
    """A trajectory step by step, as the README writes the loop."""
    gradient, update = jax.jit(jax.grad(function)), jax.jit(optimizer.update)
    point = jnp.asarray(begin, jnp.float32)
    state, points = optimizer.init(point), [point]
    for _ in range(steps):
        change, state = update(gradient(point), state, point)
        point = point + change
        points.append(point)
    return np.array(points)


def test_the_book_is_whole_and_small(book):
    assert sorted(os.listdir(book)) == ["data.json", "index.html", "textbook.txt"]
    assert (book / "index.html").stat().st_size < 15e6
    html = (book / "index.html").read_text("utf-8")
    for name, found in json.loads((book / "data.json").read_text("utf-8")).items():
        assert f'<article class="finding" id="{name}"' in html
        assert found["verdict"] in ("holds", "depends", "fails")


def test_the_same_quantity_has_one_number_wherever_it_stands(book):
    found = {name: each["data"] for name, each in json.loads((book / "data.json").read_text("utf-8")).items()}
    assert found["straight-path"]["SGD"] == found["zigzag"]["best"]["SGD"]
    millionth = np.isclose(found["needs-no-learning-rate"]["epsilons"], 1e-6)
    in_own_units = np.isclose(found["units"]["scales"], 1)
    by_epsilon = np.array(found["needs-no-learning-rate"]["steps"]["Adadelta"])[millionth][0]
    by_scale = np.array(found["units"]["steps"]["Adadelta"])[:, in_own_units][:, 0]
    np.testing.assert_array_equal(by_epsilon, by_scale)
    assert found["best-pair"]["best_in_theory"]["factor"] == pytest.approx(0.635, abs=1e-3)


def test_a_colour_is_one_methods_on_the_whole_page(book):
    html = (book / "index.html").read_text("utf-8")
    entries = re.findall(r'data-name="([^"]+)" style="--light: (#\w{6}); --dark: (#\w{6})"', html)
    assert len(entries) > 100
    for place in (1, 2):
        owners = {}
        for entry in entries:
            owners.setdefault(entry[place], set()).add(method_of(entry[0]))
        for color, methods in owners.items():
            # Settings of one method need not say its name.
            assert len(methods - {""}) <= 1, (color, methods)


def test_numbers_are_written_in_one_style(book):
    html = (book / "index.html").read_text("utf-8")
    text = re.sub(r"(?s)<(script|style|pre|code|math|svg)\b.*?</\1>", " ", html[html.index("<main") :])
    labels = " ".join(re.findall(r'aria-label="([^"]*)"', text))
    text = " ".join((re.sub(r"<[^>]*>", " ", text) + labels).split(" "))
    for wrong in (
        r"\d%",
        r"\de[-+−]\d",
        r"(?<![\w.)\]])-\d",
        r"(?<![\d.,])\d{5,}(?!\.?\d)",
        r"(?<![\d,.])\d,\d{3}(?![\d,])",
        r"(?<![\d.+−])([+−]?\d[\d.]*) (?:to|and) \1(?![\d.])",
    ):
        assert [text[max(0, it.start() - 40) : it.end() + 20] for it in re.finditer(wrong, text)] == [], wrong
    assert len(re.findall(r"\d\xa0%", text)) > 50


def check_figures(page, width):
    """Nothing is wider than its place, and maps keep their proportions."""
    page.set_viewport_size({"width": width, "height": 1000})
    page.wait_for_function(
        """() => [...textbook.figures.values()].every(it => {
            if (it.root.closest('[hidden]')) return true;
            const { width, height } = it.view.frame.bbox;
            const ratio = Number(it.place.dataset.ratio);
            return Math.abs(it.view.bbox.width - it.place.clientWidth) < 1.5 &&
                (!ratio || Math.abs(height / width / ratio - 1) < 0.02);
        })"""
    )
    assert page.evaluate("() => document.documentElement.scrollWidth") == width
    widths = page.evaluate(
        """() => [...textbook.figures.values()]
            .filter(it => !it.root.hidden).map(it => it.view.frame.bbox.width)"""
    )
    assert min(widths) > 0.55 * min(width, 700)


def check_colors(page, theme):
    """Every colour of lines and words in the plots is one of the theme's."""
    colors = page.evaluate(
        """() => [...textbook.figures.values()].flatMap(it => it.plot.renderers.flatMap(one =>
            [one.glyph.line_color?.value, one.glyph.text_color?.value])).filter(Boolean)"""
    )
    assert set(colors) <= set(theme)
    assert len(set(colors)) > 7


def check_axe(page):
    page.evaluate(Path(os.environ["AXE_CORE"]).read_text("utf-8"))
    page.evaluate("() => document.querySelectorAll('main details').forEach(it => (it.open = true))")
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    assert found["testEngine"]["name"] == "axe-core"
    assert [
        (rule["id"], rule["help"], [node["html"][:160] for node in rule["nodes"][:3]])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ] == []


def test_light_on_desktop_and_tablet(desk):
    check_colors(desk, DARK.keys())
    for width in (900, 1440):
        check_figures(desk, width)


def test_dark_on_phone_and_desktop(browser, book):
    with opened(browser, book, width=390, color_scheme="dark") as page:
        draw_all(page)
        check_colors(page, DARK.values())
        for width in (390, 1440):
            check_figures(page, width)
        # The system's change is followed while the page is open.
        page.emulate_media(color_scheme="light")
        axis = "() => [...textbook.figures.values()][0].plot.below[0].axis_line_color"
        page.wait_for_function(f"() => ({axis})() === {RULE!r}")
        check_colors(page, DARK.keys())


@needs_axe
def test_axe_finds_nothing_serious_on_a_light_desktop(desk):
    check_axe(desk)


@needs_axe
def test_axe_finds_nothing_serious_on_a_dark_phone(browser, book):
    # Figures that are not drawn yet are part of it too.
    with opened(browser, book, width=390, color_scheme="dark") as page:
        check_axe(page)


def test_drawn_paths_are_the_librarys_trajectories(desk):
    page = desk
    for figure, name, optimizer in (
        ("path-on-the-bowl-1", "η = 0.95", sgd(0.95)),
        ("famous-picture-1", "Momentum, η = 0.1", momentum(0.1, 0.9)),
    ):
        points = drawn(page, figure, f"shown:{name}")
        expected = descent(optimizer, problems.bowl.function, problems.bowl.start, 30)
        np.testing.assert_allclose(
            np.stack([points["x"], points["y"]], axis=1), expected, rtol=1e-5, atol=1e-6
        )


def test_slider_buttons_and_play(desk):
    page = desk
    figure = page.locator("#path-on-the-bowl-1")
    figure.scroll_into_view_if_needed()
    slider, output = figure.locator(".player input"), figure.locator(".player output")
    head = lambda: drawn(page, "path-on-the-bowl-1", "head:η = 0.95")["x"].tolist()  # noqa: E731
    length = lambda: len(drawn(page, "path-on-the-bowl-1", "shown:η = 0.95")["x"])  # noqa: E731
    whole = drawn(page, "path-on-the-bowl-1", "path:η = 0.95")["x"].tolist()

    # Nothing plays by itself: the whole path is there, and stays.
    page.wait_for_timeout(700)
    assert output.inner_text() == "step 30 of 30"
    assert length() == 31

    # By keyboard alone.
    slider.focus()
    page.keyboard.press("Home")
    assert (output.inner_text(), length(), head()) == ("step 0 of 30", 1, whole[:1])
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "step 3 of 30"
    assert (length(), head()) == (4, whole[3:4])
    figure.get_by_role("button", name="+1 step").press("Enter")
    assert (length(), head()) == (5, whole[4:5])
    figure.get_by_role("button", name="−1 step").press("Space")
    assert length() == 4
    values = figure.locator(".key .value").all_inner_texts()
    assert float(values[-1]) == pytest.approx(whole[3] ** 2 / 20 + (2 * 0.9**3) ** 2, rel=0.01)

    page.keyboard.press("End")
    play = figure.locator(".play")
    slider.focus()
    page.keyboard.press("End")
    play.click()
    assert play.inner_text() == "Pause"
    page.wait_for_function("() => textbook.players.get('path-on-the-bowl-1').step >= 3")
    play.click()
    stopped = length()
    assert 4 <= stopped < 31
    page.wait_for_timeout(500)
    assert length() == stopped
    assert play.inner_text() == "Play"
    play.click()
    page.wait_for_function("() => textbook.players.get('path-on-the-bowl-1').step === 30")
    assert play.inner_text() == "Play"


def test_the_key_hides_and_shows(desk):
    page = desk
    button = page.locator("#path-on-the-bowl-1 .key button").first
    seen = """() => textbook.figures.get('path-on-the-bowl-1').plot.renderers
        .filter(one => one.name === 'η = 0.1').map(one => one.visible)"""
    assert set(page.evaluate(seen)) == {True}
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    assert set(page.evaluate(seen)) == {False}
    button.press("Enter")
    assert set(page.evaluate(seen)) == {True}


def test_printing_at_once_from_a_dark_screen_is_complete_and_black_on_white(browser, book):
    with opened(browser, book, color_scheme="dark") as page:
        page.evaluate(
            """() => addEventListener("beforeprint", () => {
                window.onPaper = [...document.querySelectorAll(".printed")].map(drawn => ({
                    figure: drawn.closest("figure").id,
                    words: drawn.querySelectorAll("text").length,
                    colors: [...drawn.querySelectorAll("*")].flatMap(it =>
                        ["fill", "stroke"].map(name => it.getAttribute(name))).filter(Boolean),
                }));
            })"""
        )
        assert len(page.pdf(format="A4")) > 1e5
        found = page.evaluate("() => window.onPaper")
        figures = page.evaluate(
            "() => [...document.querySelectorAll('.finding .figure')].map(figure => figure.id)"
        )
        assert [drawn["figure"] for drawn in found] == figures
        dark = {color.lower() for color in set(DARK.values()) - set(DARK)}
        for drawn in found:
            assert drawn["words"] > 5, drawn["figure"]
            assert not dark & {color.lower() for color in drawn["colors"]}, drawn["figure"]
        # What was for the paper is gone from the screen, which is as dark as before.
        assert page.locator(".printed").count() == 0
        check_colors(page, DARK.values())

        page.emulate_media(media="print")
        for name in (".contents", ".player", ".lab", ".numbers", ".skip"):
            assert not page.locator(name).first.is_visible(), name
        style = "(name) => getComputedStyle(document.querySelector(name))"
        assert page.evaluate(f"() => ({style})('body').color") == "rgb(0, 0, 0)"
        assert page.evaluate(f"() => ({style})('body').backgroundColor") == "rgb(255, 255, 255)"
        for name in ("h2", "h3", ".measured"):
            assert page.evaluate(f"(name) => ({style})(name).breakAfter", name) == "avoid"
        assert page.evaluate(f"() => ({style})('.figure').breakInside") == "avoid"


def test_reduced_motion(browser, book):
    with opened(browser, book, reduced_motion="reduce") as page:
        figure = page.locator("#path-on-the-bowl-1")
        figure.scroll_into_view_if_needed()
        page.wait_for_function("() => textbook.players.has('path-on-the-bowl-1')")
        assert not figure.locator(".play").is_visible()
        assert "less motion" in figure.locator(".still").inner_text()
        figure.locator(".player input").press("Home")
        assert figure.locator(".player output").inner_text() == "step 0 of 30"


def test_names_follow_their_markers_and_the_speed_can_be_chosen(desk):
    page, figure = desk, desk.locator("#path-on-the-bowl-1")
    name = """() => {
        const label = textbook.figures.get('path-on-the-bowl-1').ends.find(it => it.name === 'η = 0.95');
        return [label.data_source.data.x[0], label.data_source.data.y[0], label.glyph.y_offset.value];
    }"""
    slider = figure.locator(".player input")
    slider.press("End")
    resting = page.evaluate(name)
    slider.press("Home")
    slider.press("ArrowRight")
    whole = drawn(page, "path-on-the-bowl-1", "path:η = 0.95")
    assert page.evaluate(name) == pytest.approx([whole["x"][1], whole["y"][1], -16])
    slider.press("End")
    assert page.evaluate(name) == resting
    assert resting[2] == 0

    def seconds(speed):
        figure.get_by_label("Speed").select_option(speed)
        slider.press("Home")
        began = time.monotonic()
        figure.locator(".play").click()
        page.wait_for_function("() => textbook.players.get('path-on-the-bowl-1').step >= 10")
        figure.locator(".play").click()
        return time.monotonic() - began

    assert seconds("half") > 1.5 * seconds("double")


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_jumps(browser, book, width):
    heights = (
        """() => [...document.querySelectorAll(".figure")].map(it => it.getBoundingClientRect().height)"""
    )
    links = """() => [...document.querySelectorAll(".contents a")].map(link => {
        const sizes = [null, "true"].map(value => {
            value ? link.setAttribute("aria-current", value) : link.removeAttribute("aria-current");
            return link.offsetWidth + ":" + link.offsetHeight;
        });
        return sizes[0] === sizes[1];
    })"""
    with opened(browser, book, width=width) as page:
        before = page.evaluate(heights)
        draw_all(page)
        np.testing.assert_allclose(page.evaluate(heights), before, atol=3)
        assert all(page.evaluate(links))


def test_nothing_trembles(browser, book):
    # Around the widths at which something begins to be cut.
    with opened(browser, book) as page:
        for width in range(1000, 1300, 50):
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_timeout(200)
            moved = page.evaluate(
                """async () => {
                    const places = [...document.querySelectorAll(".scroll, pre.code")];
                    const heights = () => places.map(it => it.getBoundingClientRect().height).join();
                    const seen = new Set();
                    for (let frame = 0; frame < 20; frame++) {
                        await new Promise(requestAnimationFrame);
                        seen.add(heights());
                    }
                    return seen.size;
                }"""
            )
            assert moved == 1, width


def test_what_is_cut_off_on_a_phone_scrolls_and_says_so(browser, book):
    with opened(browser, book, width=390) as page:
        page.evaluate("() => document.querySelectorAll('main details').forEach(it => (it.open = true))")
        page.wait_for_function("() => document.querySelectorAll('.cut').length > 20")
        page.wait_for_timeout(300)
        told = page.evaluate(
            """() => [...document.querySelectorAll("table, .equations, pre.code")].map(it => {
                const place = it.closest(".scroll, pre.code");
                return [place.scrollWidth > place.clientWidth + 1, place.classList.contains("cut"),
                    getComputedStyle(place).overflowX, place.tabIndex];
            })"""
        )
        assert all(cut == says and how == "auto" and tab == 0 for cut, says, how, tab in told)
        # The overview needs no scrolling, and its claims have room for some words a line.
        assert not page.locator(".scroll.cut > table.claims").count()
        assert page.locator("table.claims td:nth-child(2)").first.bounding_box()["width"] > 190


def test_figures_have_names(desk):
    figures = desk.locator(".figure").count()
    assert desk.get_by_role("figure").count() == figures - 1  # one of the lab's charts is hidden
    assert desk.get_by_role("figure", name=re.compile("(Paths|Chart|Map) o|lab")).count() == figures - 1
    assert desk.get_by_role("group", name=re.compile("Show or hide: .+")).count() > 30


def test_the_lab(desk):
    page = desk
    lab = page.locator("#lab")
    lab.scroll_into_view_if_needed()
    ready = "() => Number(document.getElementById('lab').dataset.ready)"

    def choose(act):
        before = page.evaluate(ready)
        act()
        page.wait_for_function(f"() => ({ready})() > {before}")

    names = [method.name for method in METHODS]
    assert lab.locator(".key .words").count() == len(names)
    best = {row: lab.locator(f"tr[data-name='{row}'] output").inner_text() for row in names}
    assert float(best["SGD"]) == 0.3
    assert lab.locator("[name=rate] + output").inner_text() == "each its own"
    # It opens with every method's own decays, and nobody leaves the window.
    assert lab.locator("[name=decay] + output").inner_text() == "each its default"
    others = {row: lab.locator(f"tr[data-name='{row}'] .others").inner_text() for row in names}
    assert others["Adam"] == "β₁ = 0.9, β₂ = 0.999"
    assert others["Adadelta"] == "ρ = 0.95, ε = 0.01"
    assert others["SGD"] == "none"
    (left, right), (low, high) = SURFACES[0].domain
    for name in names:
        path = drawn(page, "lab-map", f"path:{name}")
        assert ((path["x"] > left) & (path["x"] < right)).all(), name
        assert ((path["y"] > low) & (path["y"] < high)).all(), name
    adam_path = drawn(page, "lab-map", "path:Adam")
    expected = descent(adam(float(best["Adam"])), problems.bowl.function, problems.bowl.start, STEPS)
    np.testing.assert_allclose(
        np.stack([adam_path["x"], adam_path["y"]], axis=1), expected, rtol=1e-3, atol=1e-3
    )
    first = drawn(page, "lab-map", "shown:SGD")
    np.testing.assert_allclose(
        np.stack([first["x"], first["y"]], axis=1),
        descent(sgd(0.3), problems.bowl.function, problems.bowl.start, STEPS),
        rtol=1e-4,
        atol=1e-5,
    )

    choose(lambda: lab.locator("[name=surface]").select_option("himmelblau"))
    choose(lambda: lab.locator("[name=start]").select_option("1"))
    choose(lambda: lab.locator("[name=momentum]").press("Home"))
    slider = lab.locator("tr[data-name=Momentum] input")
    choose(lambda: slider.press("Home"))
    choose(lambda: slider.press("ArrowRight"))
    choose(lambda: slider.press("ArrowRight"))
    assert lab.locator("tr[data-name=Momentum] output").inner_text() == "0.01"
    optimizer = momentum(0.01, 0.5)
    expected = descent(optimizer, problems.himmelblau.function, STARTS["himmelblau"][1], STEPS)
    path = drawn(page, "lab-map", "shown:Momentum")
    np.testing.assert_allclose(np.stack([path["x"], path["y"]], axis=1), expected, rtol=1e-4, atol=1e-4)
    losses = drawn(page, "lab-losses-log", "line:Momentum")["y"]
    heights = [float(problems.himmelblau.function(point)) for point in expected[:20]]
    np.testing.assert_allclose(losses[:20], heights, rtol=1e-3)

    # At a step, the state is that step's: the velocity is the step itself.
    step = lab.locator(".player input")
    step.press("Home")
    step.press("ArrowRight")
    memory = lab.locator("tr[data-name=Momentum] .memory").inner_text().replace("−", "-")
    said = [float(part) for part in memory.removeprefix("velocity = (").rstrip(")").split(", ")]
    np.testing.assert_allclose(said, expected[1] - expected[0], rtol=0.01)
    assert lab.locator("table.state caption").inner_text() == f"After step 1 of {STEPS}"

    before = drawn(page, "lab-map", "path:Adam")
    choose(lambda: lab.locator("[name=noise]").select_option("1"))
    noisy = drawn(page, "lab-map", "path:Adam")
    assert np.abs(noisy["x"] - before["x"]).max() > 0.01
    contours = drawn(page, "lab-map", "contours")
    choose(lambda: lab.locator("[name=angle]").select_option("1"))
    turned = drawn(page, "lab-map", "contours")
    assert len(turned["x"]) != len(contours["x"]) or np.nanmax(np.abs(turned["x"] - contours["x"])) > 0.1
    choose(lambda: lab.locator("[name=surface]").select_option("saddle"))
    assert not lab.locator("#lab-losses-log").is_visible()
    assert lab.locator("#lab-losses-linear").is_visible()
    choose(lambda: lab.locator("[name=rate]").press("End"))
    assert {lab.locator(f"tr[data-name='{row}'] output").inner_text() for row in names} == {"3"}
    assert lab.locator("[name=rate] + output").inner_text() == "3"
    choose(lambda: lab.locator(".defaults").click())
    rates = {row: lab.locator(f"tr[data-name='{row}'] output").inner_text() for row in names}
    assert (rates["Adam"], rates["Adadelta"], rates["SGD"]) == ("0.001", "1", "0.01")
    assert lab.locator("[name=rate] + output").inner_text() == "each its own"
    assert lab.locator("tr[data-name=RMSProp] .others").inner_text() == "ρ = 0.99"
    assert lab.locator("[name=momentum] + output").inner_text() == "0.9"
    lab.locator(".key button").first.press("Enter")
    assert not lab.locator("tr[data-name=SGD]").is_visible()
    lab.locator(".play").click()
    page.wait_for_function("() => textbook.players.get('lab-map').step > 2")


def test_contents_lead_through_the_book_on_a_phone(browser, book):
    with opened(browser, book, width=390) as page:
        contents = page.locator(".contents")
        link = contents.get_by_role("link", name="The lab")
        assert not link.is_visible()
        contents.locator("summary").click()
        link.click()
        page.wait_for_function(
            "() => Math.abs(document.getElementById('lab').getBoundingClientRect().top) < 200"
        )
        assert not link.is_visible()
        page.wait_for_function("() => document.querySelector('.contents [aria-current]')?.hash === '#lab'")
