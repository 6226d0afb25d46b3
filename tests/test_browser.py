"""Every explorer in a real browser: in JupyterLab, on the page of explorers, and in the book, as
frames or live.

Needs Chromium or Google Chrome, on the PATH or named by RBMKIT_BROWSER; if that is set, a missing
browser is a failure.
"""

import base64
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager

import nbformat
import numpy as np
import pytest

from rbmkit import RBM, gibbs, kernels, mnist, trained
from rbmkit.explorers import NOTEBOOKS, completion
from rbmkit.sampling import draw_seed
from tools import series

playwright = pytest.importorskip(
    "playwright.sync_api", reason="browser tests need pip install '.[test]'"
)

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LAB_SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are drawn, too
    "docmanager-extension/plugin": {"autosave": False},
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
}
READY = """() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus == "connected" && kernel.status == "idle";
}"""
RAN = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells].every(
  cell => cell.type != "code" || cell.executionCount)"""
# outputs that are errors, in cells that do not announce one
ERRORS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells].filter(
  cell => cell.type == "code" && !(cell.getMetadata("tags") || []).includes("raises-exception")
).flatMap(cell => cell.outputs.toJSON()
).filter(out => out.output_type == "error").map(out => out.evalue)"""
# formulas whose left end, or at `right` any end, is outside of their box
CUT = """right => {
  const boxes = [...document.querySelectorAll("div.math")].filter(box => box.offsetParent);
  return boxes.filter(box => {
    const ends = [...box.querySelectorAll("mjx-c")].map(part => part.getBoundingClientRect());
    const { left: from, right: to } = box.getBoundingClientRect();
    const before = Math.min(...ends.map(e => e.left)) < from - 2;
    const after = Math.max(...ends.map(e => e.right)) > to + 2;
    return before || (right && after);
  }).map(box => box.id || box.outerHTML);
}"""
DRAWN = """() => {
  const image = document.querySelector(".frames img");
  return image?.complete && image.naturalWidth > 100;
}"""
# the width of a picture in dots, once it can be drawn
WIDTH = "async image => { await image.decode(); return image.naturalWidth; }"
# slides whose content does not fit, after the page has made it smaller
TOO_LARGE = """() => [...Array(Reveal.getTotalSlides()).keys()].filter(k => {
  Reveal.slide(k);
  return right(Reveal.getCurrentSlide()) > 1282 || bottom(Reveal.getCurrentSlide()) > 720;
}).map(k => (Reveal.slide(k), Reveal.getCurrentSlide().innerText))"""


@pytest.fixture(scope="module")
def browser():
    named = os.environ.get("RBMKIT_BROWSER")
    path = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    if path is None:
        stop = pytest.fail if named else pytest.skip
        stop("no browser: install Chromium (apt install chromium) or let RBMKIT_BROWSER name one")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A page that knows what it asked of other hosts, and which requests and scripts failed."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)  # machines may be busy
    page.trouble = []
    page.on("request", lambda r: outside(r.url) and page.trouble.append(f"asks for {r.url}"))
    page.on("pageerror", lambda error: page.trouble.append(f"script error: {error}"))
    yield page
    context.close()


def outside(url):
    return not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|file:|data:|blob:|about:", url)


@contextmanager
def server(*command, path="", **kwargs):
    """A server on a free port of 127.0.0.1; `{port}` in the command stands for it. Yields its
    address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [word.replace("{port}", str(port)) for word in map(str, command)]
    command = [sys.executable, "-m", *words]
    kwargs |= {"stdout": subprocess.DEVNULL, "start_new_session": True}
    process = subprocess.Popen(command, cwd=series.ROOT, **kwargs)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, f"the server stopped with exit code {process.returncode}"
            try:
                urllib.request.urlopen(address + path, timeout=60).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGTERM)  # the server, if it is a child of the command
        else:
            process.terminate()
        process.wait(30)


def move_everything(page, boxes):
    """Each control of each explorer, by keyboard; the picture must change at least for one control
    per explorer.

    And a screen reader finds a line about the picture.
    """
    for k in range(boxes.count()):
        box = boxes.nth(k)
        box.scroll_into_view_if_needed()
        image = box.locator(".widget-image").first
        before, changed = image.get_attribute("src"), 0
        assert before
        assert re.search("Picture of the explorer at|the best possible", box.aria_snapshot())
        for slider in box.locator(".noUi-handle").all():
            slider.focus()
            for key in ("ArrowRight", "ArrowLeft"):  # one of them moves, wherever the slider stands
                page.keyboard.press(key)
                changed += new_source(page, image, before)
                before = image.get_attribute("src")
        for button in box.locator("button.widget-button").all()[:1]:
            button.focus()
            page.keyboard.press("Enter")
            changed += new_source(page, image, before, seconds=20)
        assert changed, f"no control of explorer {k} changes its picture"


def new_source(page, image, before, seconds=5):
    """Does the picture change within some seconds?"""
    for _ in range(10 * seconds):
        if image.get_attribute("src") != before:
            return True
        page.wait_for_timeout(100)
    return False


# ---------------------------------------------------------------- JupyterLab


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """JupyterLab on a copy of the notebooks without outputs."""
    folder = tmp_path_factory.mktemp("lab")
    for name in series.names():
        nb = series.read(name)
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(nb, folder / f"{name}.ipynb")
    for name, settings in LAB_SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    options = ["--no-browser", "--allow-root", "--expose-app-in-browser", "--log-level=ERROR"]
    options += ["--ServerApp.ip=127.0.0.1", "--port={port}", "--IdentityProvider.token="]
    options += [f"--ServerApp.root_dir={folder}"]
    options += [f"--LabApp.user_settings_dir={folder / 'settings'}"]
    options += [f"--LabApp.workspaces_dir={folder / 'spaces'}"]
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"}
    with server("jupyterlab", *options, path="/api", env=environment) as address:
        yield address


@pytest.mark.parametrize("name", series.names())
def test_notebook_in_jupyterlab(lab, page, name):
    """All cells run without error, and the keyboard moves the explorers."""
    page.set_default_timeout(600_000)
    page.goto(f"{lab}/lab/tree/{name}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", state="attached")
    page.wait_for_function(READY)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(RAN)
    page.wait_for_function(READY)
    assert page.evaluate(ERRORS) == []
    boxes = page.locator(".jp-OutputArea-output .widget-vbox:has(> .widget-image)")
    makers = NOTEBOOKS.get(name, ())
    assert boxes.count() == sum(make is not completion for make in makers)
    move_everything(page, boxes)
    if completion in makers and importlib.util.find_spec("anywidget"):
        complete(page)
    assert [problem for problem in page.trouble if "script error" in problem] == []


# ---------------------------------------------------------------- live, in a page

# the states at the start and after 30 steps of the chains of each digit, of which the upper half is
# held
SAMPLE = """([data, seed]) => {
  const rbm = module.unpack(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)));
  const held = rbm.a.map((_, i) => (i < 14 * 28 ? 1 : 0));
  const copies = (states) => states.map((state) => [...state]);
  return rbm.pictures.map((picture) => {
    const chains = new module.Chains(rbm, picture, held, BigInt(seed));
    const start = copies(chains.v);
    while (chains.steps < 30) chains.step();
    return [start, copies(chains.v), copies(chains.h)];
  });
}"""
WORDS = """seed => [0, 1, 5].map(k => {
  const key = module.streamKey(BigInt(seed), k, k % 2, k);
  return [0, 7, 783].map(j => module.word(key, j));
})"""


def random_word(seed, step, layer, chain, unit):
    return kernels.random_word(np.uint64(kernels.stream_key(seed, step, layer, chain)), unit)


@pytest.fixture
def module(page):
    """A page with the functions of the ES module."""
    names = "{ Chains, streamKey, unpack, word }"
    script = f"{completion().module}\nglobalThis.module = {names};"
    page.set_content(f'<script type="module">{script}</script>')
    page.wait_for_function("() => globalThis.module")
    return page


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 2])
def test_module_has_the_random_numbers_of_the_kernels(module, seed):
    words = [[random_word(seed, k, k % 2, k, j) for j in (0, 7, 783)] for k in (0, 1, 5)]
    assert module.evaluate(WORDS, str(seed)) == words


def test_module_draws_the_states_of_the_kernel(module):
    """Bit by bit. Fields are summed in another order: in one chain of 40 at most, this decides a
    draw."""
    seed = draw_seed(np.random.default_rng(1))  # that of gibbs(..., rng=1)
    held = np.arange(784) < 14 * 28
    rbm = trained()
    W = rbm.W.astype(np.float16).astype(float)
    a, b = (fields.astype(np.float32).astype(float) for fields in (rbm.a, rbm.b))
    rounded = RBM(W, a, b)
    data = base64.b64encode(completion().data).decode()
    found = module.evaluate(SAMPLE, [data, str(seed)])
    free = range(14 * 28, 784)
    noise = [[random_word(seed + 1, 0, 0, c, i) & 1 for i in free] for c in range(8)]
    digits = mnist()
    same = []
    for kind, (start, v, h) in enumerate(found):
        picture = digits.test[digits.test_labels == kind][0]
        start = np.array(start)
        assert np.array_equal(start[:, held], np.tile(picture[held], (8, 1)))
        assert np.array_equal(start[:, ~held], noise)
        chains = gibbs(rounded, start, steps=30, clamped=held, rng=1)
        same += ((chains.v == v).all(axis=1) & (chains.h == h).all(axis=1)).tolist()
    assert len(same) == 80
    assert sum(same) >= 78


def complete(page):
    """The explorer that completes digits: sliders by keyboard, buttons, and ink in what is
    given."""
    box = page.locator(".completion")
    box.scroll_into_view_if_needed()
    pictures = box.locator("canvas")
    status = "document.querySelector('.completion > p').textContent"
    assert pictures.count() == 10

    def state(after=30):
        # by then the change has begun
        page.evaluate("() => new Promise((done) => requestAnimationFrame(done))")
        page.wait_for_function(f"() => {status}.startsWith('after {after} ')")
        return pictures.evaluate_all("all => all.map(one => one.toDataURL())")

    digit, rows, steps = box.locator("input").all()
    seen = [state()]
    moves = [(digit, "ArrowRight", 30), (rows, "ArrowLeft", 30), (steps, "ArrowRight", 31)]
    for slider, key, after in moves:
        slider.focus()
        page.keyboard.press(key)
        seen.append(state(after))
    assert seen[1][9] != seen[0][9]  # another digit
    assert seen[2][0] != seen[1][0]  # one row less of it is given
    assert seen[3][:1] + seen[3][9:] == seen[2][:1] + seen[2][9:]
    run, again = box.locator("button").all()
    again.click()
    seen.append(state(31))
    pictures.nth(0).click(position={"x": 8, "y": 8})
    seen.append(state(31))
    assert seen[5][0] != seen[4][0] == seen[3][0]
    assert all(one[4] != other[4] for one, other in itertools.pairwise(seen))  # a chain
    run.click()
    page.wait_for_function(f"() => {status}.split(' ')[1] > 50")
    run.click()


# ---------------------------------------------------------------- page of explorers


@pytest.fixture(scope="module")
def explorers():
    """`run.py explore`: its address. At the end, when all browsers have gone, it must have said
    nothing on stderr."""
    with tempfile.TemporaryFile("w+") as log:
        with server("tools.explore", "--no-browser", "--port", "{port}", stderr=log) as address:
            yield address
        log.seek(0)
        assert log.read() == ""


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_live_explorers(explorers, page, name):
    """From the list to each explorer; every control and button changes its picture, by keyboard."""
    page.set_default_timeout(300_000)
    for make in NOTEBOOKS[name]:
        page.goto(explorers)
        page.locator(f"a[href='/{make.__name__}']").click()
        if make is completion:
            complete(page)
            continue
        image, buttons = page.locator(".frames img"), page.locator(".frames button")
        page.wait_for_function(DRAWN)
        for slider in page.locator(".frames input").all():
            before = image.get_attribute("alt"), image.get_attribute("src")
            slider.focus()
            at_end = slider.input_value() == slider.get_attribute("max")
            page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
            assert image.get_attribute("alt") != before[0]
            if buttons.count() == 0:
                assert new_source(page, image, before[1], seconds=60)
        for button in buttons.all():
            before = image.get_attribute("src")
            button.focus()
            page.keyboard.press("Enter")
            assert new_source(page, image, before, seconds=60)
        page.wait_for_function(DRAWN)
        assert page.locator(".frames [role=status]").inner_text() == ""
    assert page.trouble == []


# ---------------------------------------------------------------- the book


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_frames_slide_without_a_kernel(built_book, page, name):
    """From the file, with the keyboard; and no other host is asked, no formula fails."""
    page.goto((built_book / "notebooks" / f"{name}.html").as_uri())
    page.wait_for_function("() => window.MathJax?.startup?.promise")
    page.wait_for_selector("mjx-container", state="attached")
    page.evaluate("() => MathJax.startup.promise")
    assert page.locator("mjx-merror").count() == 0
    for box in page.locator(".frames").all():
        image = box.locator("img")
        for slider in box.locator("input").all():
            before = image.get_attribute("src"), image.get_attribute("alt")
            slider.focus()
            page.keyboard.press("Home")
            page.keyboard.press("ArrowRight")
            page.keyboard.press("ArrowRight")
            after = image.get_attribute("src"), image.get_attribute("alt")
            moved = slider.evaluate("s => s.value != s.getAttribute('value')")
            assert (after != before) == moved
            assert after[1].startswith("Picture of the explorer at ")
            assert image.evaluate(WIDTH) > 100
    assert page.trouble == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_frames_follow_a_finger(built_book, browser, name):
    """On a phone with a touch screen: a tap on a slider moves it, and the picture of that place is
    shown."""
    screen = {"width": 390, "height": 844}
    context = browser.new_context(viewport=screen, has_touch=True, is_mobile=True)
    phone = context.new_page()
    phone.set_default_timeout(120_000)
    phone.goto((built_book / "notebooks" / f"{name}.html").as_uri())
    phone.evaluate("() => window.MathJax?.startup?.promise")
    for box in phone.locator(".frames").all():
        image = box.locator("img")
        for slider in box.locator("input").all():
            for share in (0.03, 0.97):
                slider.scroll_into_view_if_needed()
                place = slider.bounding_box()
                slider.tap(position={"x": share * place["width"], "y": place["height"] / 2})
                last = int(slider.get_attribute("max"))
                assert int(slider.input_value()) == (0 if share < 0.5 else last)
                assert box.locator("output").nth(0).inner_text()
                assert image.evaluate(WIDTH) > 100
        places = [str(control.input_value()) for control in box.locator("input, select").all()]
        assert image.get_attribute("src").endswith(f"/{'-'.join(places)}.png")
    context.close()


def test_completion_in_the_book(built_book, page):
    """From the file, without a server."""
    page.goto((built_book / "notebooks" / "01_training.html").as_uri())
    complete(page)
    assert page.trouble == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_book_on_a_phone(built_book, browser, scheme):
    """No page is wider than a small screen, and colours follow the system."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    phone = context.new_page()
    phone.set_default_timeout(120_000)
    pages = [*built_book.glob("*.html"), *(built_book / "notebooks").glob("*.html")]
    for path in sorted(pages):
        if path.stem in ("genindex", "py-modindex", "search"):
            continue
        phone.goto(path.as_uri())
        phone.evaluate("() => window.MathJax?.startup?.promise")
        small = "i => i.width < Math.min(i.naturalWidth, 560)"
        images = "[...document.querySelectorAll('.frames img')]"
        assert phone.evaluate(f"() => {images}.filter({small}).map(i => i.alt)") == [], path.name
        # one scrolls to the right end, never to the left
        assert phone.evaluate(CUT, False) == [], path.name
        assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390, path.name
        paper = phone.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert all((int(c) > 128) == (scheme == "light") for c in re.findall(r"\d+", paper)[:3])
    context.close()


def test_print_is_black_on_white(built_book, browser):
    context = browser.new_context(color_scheme="dark")
    sheet = context.new_page()
    sheet.goto((built_book / "notation.html").as_uri(), timeout=120_000)
    paper = "getComputedStyle(document.body).backgroundColor"
    screen = sheet.evaluate(paper)
    assert screen != "rgb(255, 255, 255)"
    for media, colour in [("print", "rgb(255, 255, 255)"), ("screen", screen)]:
        sheet.emulate_media(media=media)
        # the page hears of it a moment later
        sheet.wait_for_function(f"() => {paper} === {colour!r}")
        assert sheet.locator(".bd-sidebar-primary").is_visible() == (media == "screen")
    context.close()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_print_cuts_nothing(built_book, browser, name):
    """No line of code and no formula leaves the paper; closed solutions and answers leave nothing
    behind."""
    between_margins = {"width": 718, "height": 1000}  # of A4
    context = browser.new_context(viewport=between_margins)
    sheet = context.new_page()
    sheet.set_default_timeout(120_000)
    sheet.goto((built_book / "notebooks" / f"{name}.html").as_uri())
    sheet.evaluate("() => window.MathJax?.startup?.promise")
    code = "[...document.querySelectorAll('pre')]"
    wide = f"() => {code}.filter(p => p.scrollWidth > p.clientWidth).length"
    assert sheet.evaluate(wide) > 0  # there are long lines, on the screen they scroll
    sheet.emulate_media(media="print")
    assert sheet.evaluate(wide) == 0
    assert sheet.evaluate(CUT, True) == []
    assert sheet.locator("pre:visible").count() > 20
    assert sheet.locator("article summary:visible, .tag_hide-cell:visible").count() == 0
    context.close()


def test_one_search_box_on_a_desktop(built_book, page):
    page.goto((built_book / "notation.html").as_uri())
    kinds = ("input[type=search]", ".search-button-field", ".search-button")
    assert page.locator(", ".join(f"{kind}:visible" for kind in kinds)).count() == 1
    assert page.locator(".bd-header:visible").count() == 0


def test_slides_show_their_formulas(browser, page, tmp_path):
    slides = pytest.importorskip("tools.slides", reason="the slides need pip install '.[book]'")
    assert slides.main([]) == 0
    for name in series.names():
        page.goto((slides.SLIDES / f"{name}.html").as_uri())
        page.wait_for_function("() => window.Reveal?.isReady()")
        assert page.locator("mjx-merror").count() == 0
        assert page.evaluate(TOO_LARGE) == []
    assert page.trouble == []
