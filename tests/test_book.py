"""The book, the slides and the student copy: complete, self-contained, and linked without a
hole."""

import ast
import base64
import json
import math
import re
import symtable
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from nbformat.v4 import new_markdown_cell

pytest.importorskip("myst_nb", reason="the book and the slides need pip install '.[book]'")

from rbmkit.explorers import EXPLORERS, NOTEBOOKS
from tools import book, series, slides, student

NAMES = series.names()
LOADS = dict.fromkeys(("script", "img", "iframe", "source", "video"), "src") | {"link": "href"}
# links of a page that load nothing
NAMED = ("canonical", "author", "search", "next", "prev")


class Page(HTMLParser):
    """What a page loads, links to and can be linked at."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.loads = []
        self.links = []
        self.ids = set()
        self.without_alt = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        have = dict(attributes)
        self.ids.add(have.get("id"))
        if tag == "a":
            self.ids.add(have.get("name"))
        if tag == "a" and "href" in have:
            self.links.append(have["href"])
        loaded = have.get(LOADS.get(tag))
        if loaded and have.get("rel") not in NAMED:
            self.loads.append(loaded)
        if tag == "img" and not (have.get("alt") or "").strip():
            self.without_alt.append(have.get("src", "")[:80])


@pytest.fixture(scope="module")
def pages(built_book):
    """The pages of the book: path -> Page."""
    return {path: Page(path) for path in book.HTML.rglob("*.html") if "mathjax" not in path.parts}


@pytest.fixture(scope="module")
def decks():
    assert slides.main([]) == 0
    return {name: Page(slides.SLIDES / f"{name}.html") for name in NAMES}


def markdown(cell):
    return cell.source if cell.cell_type == "markdown" else ""


def nb_text(nb):
    return nb_text_of(nb.cells)


def nb_text_of(cells):
    return "\n\n".join(map(markdown, cells))


# ---------------------------------------------------------------- book


def loads_from_elsewhere(page):
    return [url for url in page.loads if re.match(r"(https?:)?//", url, re.IGNORECASE)]


def wrong_pages(pages, problems):
    """Name of each page that has problems -> these."""
    found = {page.path.name: problems(page) for page in pages.values()}
    return {name: wrong for name, wrong in found.items() if wrong}


def broken_links(page, pages):
    """Links within the book that lead to no file, or to a file without that anchor."""
    broken = []
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or link.startswith("//"):
            continue
        target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        anchor = unquote(parts.fragment)
        if not target.is_file() or (anchor and target in pages and anchor not in pages[target].ids):
            broken.append(link)
    return broken


def test_nothing_comes_from_another_host(pages):
    assert wrong_pages(pages, loads_from_elsewhere) == {}
    distant = re.compile(r"url\(['\"]?(https?:)?//")
    sheets = {path: path.read_text("utf-8") for path in book.HTML.rglob("*.css")}
    assert [path for path, text in sheets.items() if distant.search(text)] == []
    assert any("url(" in text for text in sheets.values())


def test_links_lead_somewhere(pages):
    assert wrong_pages(pages, lambda page: broken_links(page, pages)) == {}


def test_every_picture_has_a_description(pages):
    assert wrong_pages(pages, lambda page: page.without_alt) == {}


def test_a_bad_page_is_found(tmp_path):
    path = tmp_path / "a.html"
    links = '<a href="#b">x</a><a href="#c">x</a><a href="#e">x</a><a href="d.html">y</a>'
    loads = '<img src="x.png"><script src="//cdn/x.js"></script><link rel="next" href="https://y">'
    path.write_text(f'<p id="b"></p><a name="e"></a>{links}{loads}')
    page = Page(path)
    assert broken_links(page, {path: page}) == ["#c", "d.html"]
    assert loads_from_elsewhere(page) == ["//cdn/x.js"]
    assert page.without_alt == ["x.png"]


def test_notebooks_are_whole(pages):
    """Every notebook is a page with its numbered equations as targets of links, and its
    pictures."""
    for name in NAMES:
        page = pages[book.HTML / "notebooks" / f"{name}.html"]
        tagged = [tag for tag, where in book.equations().items() if name in where]
        assert [tag for tag in tagged if book.equation_label(name, tag) not in page.ids] == []
        drawn = sum(len(book.pictures(cell)) for cell in series.read(name).cells)
        assert sum("_images" in url for url in page.loads) >= drawn


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_explorers_have_frames(pages, notebook):
    text = pages[book.HTML / "notebooks" / f"{notebook}.html"].path.read_text("utf-8")
    names = [make.__name__ for make in NOTEBOOKS[notebook]]
    assert text.count('class="frames"') + text.count('class="live"') == len(names)
    assert all(f"_static/frames/{name}/" in text for name in names)
    for name in (name for name in names if name in book.GRID):
        axes = json.loads((book.FRAMES / name / "axes.json").read_text())
        files = list((book.HTML / "_static" / "frames" / name).glob("*.png"))
        most = book.GRID[name].values()
        assert all(1 < len(axis["texts"]) <= count for axis, count in zip(axes, most, strict=True))
        assert len(files) == math.prod(len(axis["texts"]) for axis in axes)
        assert len(axes) > 1
        assert len({path.read_bytes() for path in files}) > len(files) / 2


def test_every_explorer_has_a_grid():
    """But the one that runs in the page, whose data are one file."""
    assert [name for name in EXPLORERS if name not in book.GRID] == ["completion"]


def test_data_of_the_live_explorer_are_small(pages):
    (file,) = (book.HTML / "_static" / "frames" / "completion").iterdir()
    assert file.name == "data.js"
    assert file.stat().st_size < 1_200_000


def test_frames_are_many_and_small(pages):
    """Enough places to be worth moving (of the training, three methods at nine times), within
    25 MB for all."""
    folders = [book.HTML / "_static" / "frames" / name for name in book.GRID]
    counts = {path.name: len(list(path.glob("*.png"))) for path in folders}
    assert {name for name, count in counts.items() if count < 100} == {"steering"}
    sizes = [path.stat().st_size for folder in folders for path in folder.glob("*.png")]
    assert sum(sizes) < 25_000_000
    assert max(sizes) < 60_000


def test_only_the_picture_in_sight_is_loaded(pages):
    """A page names one frame of each explorer; the others are asked for by its script."""
    for name, makers in NOTEBOOKS.items():
        page = pages[book.HTML / "notebooks" / f"{name}.html"]
        assert sum("/frames/" in url for url in page.loads) == len(makers)


def test_every_module_is_in_the_api(pages):
    package = series.ROOT / "rbmkit"
    files = [path.relative_to(series.ROOT).with_suffix("") for path in package.rglob("*.py")]
    names = {".".join(path.parts) for path in files if not path.stem.startswith("__")}
    assert {f"module-{name}" for name in names} <= pages[book.HTML / "api.html"].ids


def test_every_page_is_in_the_table_of_contents(pages):
    listed = {link.split("#")[0] for link in pages[book.HTML / "index.html"].links}
    pages_of_docs = {f"{path.stem}.html" for path in book.DOCS.glob("*.md")} - {"index.html"}
    assert pages_of_docs <= listed
    assert {f"notebooks/{name}.html" for name in NAMES} <= listed


# -------------------------------------------------------- figures and equations of the paper


def test_every_equation_with_a_number_of_the_paper_is_in_the_gallery(pages):
    """P27f, too, the sixth of its number."""
    links = set(pages[book.HTML / "gallery.html"].links)
    of_the_paper = {tag: where for tag, where in book.equations().items() if re.match(r"P\d", tag)}
    assert "03_partition_function" in of_the_paper["P27f"]
    for tag, where in of_the_paper.items():
        for name in where:
            assert f"notebooks/{name}.html#{book.equation_label(name, tag)}" in links


def test_frames_are_drawn_again_after_a_change(tmp_path, monkeypatch):
    """Of the data, as of the package."""
    (tmp_path / "study").mkdir()
    data = tmp_path / "study" / "a.npz"
    data.write_bytes(b"1")
    monkeypatch.setattr(book, "DATA", tmp_path)
    first = book.digest_of_sources()
    assert book.digest_of_sources() == first
    data.write_bytes(b"2")
    assert book.digest_of_sources() != first


def test_missing_data_are_a_sentence(monkeypatch, capfd):
    def draw(name):
        raise FileNotFoundError("no such file: mnist.npz; restore it")

    monkeypatch.setattr(book, "draw_frames", draw)
    monkeypatch.setattr(book, "Parallel", lambda n_jobs: list)
    monkeypatch.setattr(book, "delayed", lambda function: function)
    sentence = r"the explorers cannot be drawn: no such file: mnist\.npz"
    with pytest.raises(SystemExit, match=sentence):
        book.assemble()


# figure of the paper -> (first word of the section, number of our pictures there)
FIGURES = {
    # likelihood on the left, landscapes on the right ("One training", "Sizes and methods", in 1.9)
    "Fig. 1": {"One": 1, "Sizes": 1, "2.3": 1},
    "Fig. 2": {"2.4": 1},
    "Fig. 3a-d": {"2.5": 1},
    "Fig. 3e": {"2.6": 1},
    "Fig. 3f": {"Sizes": 1, "The": 1},  # sizes and methods, and the paper's regime, in 2.8
    "Fig. 4": {"5.2": 2},  # divergences against M, and histograms
    "Fig. 5": {"2.7": 1},
    "Fig. 6": {"5.5": 1},
    "Fig. 7": {"6.6": 1, "The": 1},  # "The mean image", in 6.6
    "Fig. 8": {"6.6": 1, "Size": 1},  # "Size and the mean image", in 6.6
}


def test_every_equation_of_the_paper_is_somewhere():
    assert [number for number, entries in book.paper_equations().items() if not entries] == []


def test_every_figure_of_the_paper_is_somewhere():
    found = {}
    for figure, places in book.paper_figures().items():
        found[figure] = Counter(heading.split()[0] for _, heading, *_ in places)
    assert found == FIGURES


def test_corrections_are_collected():
    listed = [name for name, *_ in book.corrections()]
    for name in NAMES:
        marked = re.findall(r"\*\*Correction:\*\*\s?\S", nb_text(series.read(name)))
        assert listed.count(name) == len(marked)
    assert {"01_training", "02_reciprocal_space"} <= set(listed)


def test_corrections_stand_by_themselves():
    """Each names the place in the paper, and is a whole sentence."""
    place = re.compile(r"\bP\d|\bSecs?\.|\bFigs?\.|discussion")
    for *_, text in book.corrections():
        assert place.search(text), text
        assert text[-1] in ".)", text
        assert len(text) >= 60, text


def test_what_is_new_is_collected():
    found = book.answers()
    assert {kind for kind, *_ in found} == set(book.KINDS)
    marked = re.compile(r"\| \*\*(?:" + "|".join(book.KINDS) + r"):\*\*")
    for name in NAMES:
        text = nb_text(series.read(name))
        assert [each for _, each, *_ in found].count(name) == len(marked.findall(text))
        summaries = [summary for each, _, summary, _ in book.summaries() if each == name]
        in_summaries = sum(len(book.OPEN.findall(summary)) for summary in summaries)
        assert len(re.findall(r"\*\*Open:", text)) == in_summaries


def test_what_is_new_leads_to_the_sections_that_show_it(pages):
    links = {unquote(urlsplit(link).fragment) for link in pages[book.HTML / "new.html"].links}
    for *_, link in book.answers():
        assert re.search(r"\(#(.+)\)$", link)[1] in links
    assert {label for _, label, text, _ in book.summaries() if book.OPEN.search(text)} <= links


def test_text_of_a_correction():
    first = "**Correction:** it is\n$2$ (not 1). B"
    second = "and (**Correction:** minus (here)), C **Correction:** D"
    text = "\n\n".join(["A.", first, second, "E"])
    assert book.correction_texts(text) == ["It is $2$ (not 1). B", "Minus (here)", "D"]


def test_mentions_become_links():
    places = {"2.1": ["02_b"], "P14": ["01_a", "02_b"]}
    left_alone = "and (P99), and `Eq. (2.1)` $Eq. (2.1)$"
    text = book.link_mentions(f"By Eq. (2.1), Eqs. (P14) {left_alone}", "02_b", places)
    assert text == f"By Eq. ([2.1](#eq-02-2-1)), Eqs. ([P14](#eq-02-p14)) {left_alone}"
    assert "(#eq-01-p14)" in book.link_mentions("Eq. (P14)", "03_c", places)
    assert book.link_mentions("Eq. (P29)", "03_c", {"P29a": ["03_c"]}) == "Eq. ([P29](#eq-03-p29a))"


# ---------------------------------------------------------------- run time and memory


def row(path, words):
    """The first row of a table of a page that has these words."""
    rows = [line for line in path.read_text("utf-8").splitlines() if line.startswith("| ")]
    return next(line for line in rows if words in line)


def test_costs_agree_everywhere():
    """One source, notebooks/cost.json: the README, the index notebook and each notebook's first
    table show it."""
    costs = json.loads(series.COST.read_text("utf-8"))
    assert set(costs) == set(NAMES)
    readme = series.ROOT / "README.md"
    index = series.NOTEBOOKS / "00_index.md"
    for name, cost in costs.items():
        end = f"| {series.cost(name)} |"
        assert row(readme, f"](notebooks/{name}.ipynb)").endswith(end)
        if name != "00_index":
            assert row(index, f"]({name}.ipynb)").endswith(end)
        told = f"about {cost['seconds']} s and {cost['gigabytes']} GB on 2 cores"
        assert f"| Run time, memory | {told} |" in series.read(name).cells[0].source
        assert cost["gigabytes"] <= 1.5


def test_costs_are_in_the_book(pages):
    text = (book.HTML / "index.html").read_text("utf-8")
    shown = Counter(re.findall(r"\d+ s, [\d.]+ GB", text))
    assert shown == Counter(map(series.cost, NAMES))


# ---------------------------------------------------------------- slides


# sections that have no slides, or slides of another kind
ELSEWHERE = (*slides.LEFT_OUT, "Summary", "Quiz")


@pytest.mark.parametrize("name", NAMES)
def test_slides(decks, name):
    text = decks[name].path.read_text("utf-8")
    nb = series.read(name)
    assert loads_from_elsewhere(decks[name]) == []
    files = [url for url in decks[name].loads if not url.startswith("data:")]
    assert [url for url in files if not (slides.SLIDES / url).is_file()] == []
    assert decks[name].without_alt == []
    body = []
    for heading, _, cells in book.sections(nb):
        if heading not in ELSEWHERE:
            body += cells
    tags = series.TAG.findall(nb_text_of(body))
    shown = re.sub(r'<aside class="notes">.*?</aside>', "", text, flags=re.DOTALL)
    assert [tag for tag in tags if f"\\tag{{{tag}}}" not in shown] == []
    lessons = [cell for cell in body if "solution" not in series.tags(cell)]
    drawn = sum(len(book.pictures(cell)) for cell in lessons)
    assert shown.count("<img") == drawn
    assert shown.count('class="fragment answer"') == len(re.findall(r"\*\*Q\d+\.\*\*", nb_text(nb)))


def test_slides_of_an_unknown_notebook(capsys):
    assert slides.main(["99"]) == 1
    assert "no notebook is called like 99" in capsys.readouterr().out


def test_corrections_and_leads_on_slides():
    equation = "$$a=b \\tag{1.1}$$"
    own = f"A. **Correction:** the paper has $c$. And from this follows\n\n{equation}"
    assert slides.corrections_alone(own) == ["The paper has $c$. And from this follows"]
    inside = f"B (**Correction:** the paper has $c$), so that\n\n{equation}"
    assert slides.corrections_alone(inside) == []
    lead = "B (**Correction:** the paper has $c$), so that"
    assert slides.leads(inside) == [(lead, "a=b \\tag{1.1}")]
    assert slides.leads(f"First this holds. So\n\n{equation}")[0][0] == "First this holds. So"
    notice = "**What to notice.**\n- First of all.\n- *Second* thing."
    assert slides.takeaway(notice) == "First of all."


@pytest.mark.parametrize("name", NAMES)
def test_no_correction_is_shown_twice(name):
    """What the lead of an equation says has no slide of its own, and all others have one."""
    for heading, _, cells in book.sections(series.read(name)):
        shown = "\n".join(slides.section_slides(heading, cells))
        shown = re.sub(r'<aside class="notes">.*?</aside>', "", shown, flags=re.DOTALL)
        if heading not in ELSEWHERE:
            corrections = nb_text_of(cells).count("**Correction:** ")
            assert shown.count("<strong>Correction:</strong>") == corrections


def test_sentences():
    sentences = ["As Eq. (2.1) says, $x = 0.5. Y$ holds.", "Then e.g. this:", "It ends"]
    assert slides.sentences(" ".join(sentences)) == sentences


# ---------------------------------------------------------------- exercises, quizzes, student copy


LESSONS = [name for name in NAMES if name != "00_index"]


@pytest.mark.parametrize("name", LESSONS)
def test_courses(name):
    """Goals and prerequisites first; graded exercises with solutions, one to break; a quiz with
    explained answers."""
    nb = series.read(name)
    for row in ("You will derive", "You will compute", "You need", "Code"):
        assert f"| {row} |" in nb.cells[0].source
    text = {heading: "\n\n".join(map(markdown, cells)) for heading, _, cells in book.sections(nb)}
    grades = re.findall(r"\((easy|medium|hard|break it)\)", text["Exercises"])
    assert 3 <= len(grades) <= 6
    assert {"easy", "break it"} <= set(grades)
    solutions = sum("solution" in series.tags(cell) for cell in nb.cells)
    assert text["Exercises"].count("<summary>Solution</summary>") == len(grades) <= solutions
    questions = re.findall(r"\*\*Q\d+\.\*\*(.+?)</details>", text["Quiz"], re.DOTALL)
    assert 4 <= len(questions) <= 6
    for question in questions:
        options, answer = question.split("<summary>Answer</summary>")
        assert re.findall(r"^- \((\w)\)", options, re.MULTILINE) == ["a", "b", "c"]
        assert re.match(r"\s*\*\*\([abc]\)\.\*\* \S+", answer)


def names_of(statement):
    """Names that a statement defines, and those that it uses, also in functions and comprehensions
    inside it."""
    top = symtable.symtable(ast.unparse(statement), "statement", "exec")
    defined = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    used = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    inside = top.get_children()
    while inside:
        table = inside.pop()
        used |= {s.get_name() for s in table.get_symbols() if s.is_global()}
        inside += table.get_children()
    loop = ast.walk(statement.target) if isinstance(statement, ast.For) else ()
    own = {node.id for node in loop if isinstance(node, ast.Name)}
    return defined, used - own


@pytest.mark.parametrize("name", NAMES)
def test_student_copy(name):
    """No solutions, no outputs; and no other cell needs what a solution defines, so that the copy
    runs."""
    nb = student.student_copy(series.read(name))
    assert "<summary>Solution" not in nb_text(nb)
    assert "Open in" not in nb_text(nb)
    # nothing leads to the version with solutions
    assert f"{name}.ipynb" not in nb_text(nb) or name == "00_index"
    assert not re.search(r"blob/main/notebooks|mybinder|colab\.research|\]\(\.\./", nb_text(nb))
    assert not any("solution" in series.tags(cell) or cell.get("outputs") for cell in nb.cells)
    solved, defined = set(), set()
    for cell in series.read(name).cells:
        if cell.cell_type == "code" and "install" not in series.tags(cell):
            for statement in ast.parse(cell.source).body:
                new, used = names_of(statement)
                if "solution" in series.tags(cell):
                    solved |= new
                else:
                    missing = used & (solved - defined)
                    assert not missing, f"{ast.unparse(statement)} needs a solution"
                    defined |= new


def test_student_copy_carries_its_pictures():
    link = "[a page](../docs/notation.md)"
    cell = new_markdown_cell(f"![Six wells.](../docs/_static/opening.png) and {link}")
    text = student.attach_pictures(cell, cell.source)
    assert text == f"![Six wells.](attachment:opening.png) and {link}"
    picture = base64.b64decode(cell.attachments["opening.png"]["image/png"])
    assert picture == (series.ROOT / "docs" / "_static" / "opening.png").read_bytes()


def test_student_copy_spares_work_of_others(tmp_path, capsys):
    assert student.main([str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("*.ipynb"))) == len(NAMES)
    assert student.main([str(tmp_path)]) == 1
    assert "may hold somebody's work" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert student.main([str(tmp_path / "file")]) == 1
    assert "cannot make the folder" in capsys.readouterr().out
