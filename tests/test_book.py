"""The book, the slides and the student copy: complete, self-contained, and linked without a hole."""

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
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "video": "src"}


class Page(HTMLParser):
    """What a page loads, links to and can be linked at."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.loads, self.links, self.ids, self.without_alt = path, [], [], set(), []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        have = dict(attributes)
        self.ids |= {value for key, value in attributes if key == "id" or (tag == "a" and key == "name")}
        if tag == "a" and "href" in have:
            self.links.append(have["href"])
        if have.get(LOADS.get(tag)) and have.get("rel") not in ("canonical", "author", "search", "next", "prev"):
            self.loads.append(have[LOADS[tag]])
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


# ---------------------------------------------------------------------------------------------------------- book


def loads_from_elsewhere(page):
    return [url for url in page.loads if urlsplit(url).scheme in ("http", "https") or url.startswith("//")]


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
    assert {page.path.name: loads_from_elsewhere(page) for page in pages.values() if loads_from_elsewhere(page)} == {}
    distant = re.compile(r"url\(['\"]?(https?:)?//")
    assert [path for path in book.HTML.rglob("*.css") if distant.search(path.read_text("utf-8"))] == []


def test_links_lead_somewhere(pages):
    assert {page.path.name: broken_links(page, pages) for page in pages.values() if broken_links(page, pages)} == {}


def test_every_picture_has_a_description(pages):
    assert {page.path.name: page.without_alt for page in pages.values() if page.without_alt} == {}


def test_a_bad_page_is_found(tmp_path):
    path = tmp_path / "a.html"
    path.write_text('<p id="b"></p><a href="#c">x</a><a href="d.html">y</a><img src="x.png"><script src="//cdn/x.js">')
    page = Page(path)
    assert broken_links(page, {path: page}) == ["#c", "d.html"]
    assert loads_from_elsewhere(page) == ["//cdn/x.js"]
    assert page.without_alt == ["x.png"]


def test_notebooks_are_whole(pages):
    """Every notebook is a page with its numbered equations as targets of links, and its pictures."""
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
    """Enough places to be worth moving (of the training, three methods at nine times), within 25 MB for all."""
    folders = [book.HTML / "_static" / "frames" / name for name in book.GRID]
    counts = {path.name: len(list(path.glob("*.png"))) for path in folders}
    assert {name for name, count in counts.items() if count < 100} == {"steering"}
    sizes = [path.stat().st_size for folder in folders for path in folder.glob("*.png")]
    assert sum(sizes) < 25_000_000
    assert max(sizes) < 60_000


def test_only_the_picture_in_sight_is_loaded(pages):
    """A page names one frame of each explorer; the others are asked for by its script."""
    for name, makers in NOTEBOOKS.items():
        loads = [url for url in pages[book.HTML / "notebooks" / f"{name}.html"].loads if "/frames/" in url]
        assert len(loads) == len(makers)


def test_every_module_is_in_the_api(pages):
    names = {path.stem for path in (series.ROOT / "rbmkit").rglob("*.py")} - {"__init__", "__main__"}
    ids = {name.split(".")[-1] for name in pages[book.HTML / "api.html"].ids if name.startswith("module-rbmkit.")}
    assert names <= ids


def test_every_page_is_in_the_table_of_contents(pages):
    listed = {link.split("#")[0] for link in pages[book.HTML / "index.html"].links}
    pages_of_docs = {f"{path.stem}.html" for path in book.DOCS.glob("*.md")} - {"index.html"}
    assert pages_of_docs <= listed
    assert {f"notebooks/{name}.html" for name in NAMES} <= listed


# ---------------------------------------------------------------------------- figures and equations of the paper


def test_every_equation_with_a_number_of_the_paper_is_in_the_gallery(pages):
    """P27f, too, the sixth of its number."""
    links = set(pages[book.HTML / "gallery.html"].links)
    wanted = {(name, tag) for tag, where in book.equations().items() for name in where if re.match(r"P\d", tag)}
    assert ("03_partition_function", "P27f") in wanted
    lost = [t for n, t in wanted if f"notebooks/{n}.html#{book.equation_label(n, t)}" not in links]
    assert lost == []


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
    with pytest.raises(SystemExit, match=r"the explorers cannot be drawn: no such file: mnist\.npz"):
        book.assemble()


# figure of the paper -> (first word of the section, number of our pictures there)
FIGURES = {
    "Fig. 1": {"1.9": 2, "2.3": 1},  # likelihood on the left, landscapes on the right
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
    entries = book.paper_figures().items()
    found = {figure: Counter(heading.split()[0] for _, heading, *_ in places) for figure, places in entries}
    assert found == FIGURES


def test_corrections_are_collected():
    listed = [name for name, *_ in book.corrections()]
    for name in NAMES:
        assert listed.count(name) == len(re.findall(r"\*\*Correction:\*\*\s?\S", nb_text(series.read(name))))
    assert {"01_training", "02_reciprocal_space"} <= set(listed)


def test_corrections_stand_by_themselves():
    """Each names the place in the paper, and is a whole sentence."""
    place = re.compile(r"\bP\d|\bSecs?\.|\bFigs?\.|discussion")
    texts = [text for *_, text in book.corrections()]
    assert [text for text in texts if not place.search(text) or text[-1] not in ".)" or len(text) < 60] == []


def test_what_is_new_is_collected():
    found = book.answers()
    assert {kind for kind, *_ in found} == set(book.KINDS)
    marked = re.compile(r"\| \*\*(?:" + "|".join(book.KINDS) + r"):\*\*")
    for name in NAMES:
        text = nb_text(series.read(name))
        assert [each for _, each, *_ in found].count(name) == len(marked.findall(text))
        assert len(re.findall(r"\*\*Open:", text)) == sum(
            len(book.OPEN.findall(summary)) for each, _, summary, _ in book.summaries() if each == name
        )


def test_what_is_new_leads_to_the_sections_that_show_it(pages):
    links = {unquote(urlsplit(link).fragment) for link in pages[book.HTML / "new.html"].links}
    for *_, link in book.answers():
        assert re.search(r"\(#(.+)\)$", link)[1] in links
    assert {label for _, label, text, _ in book.summaries() if book.OPEN.search(text)} <= links


def test_text_of_a_correction():
    text = "A.\n\n**Correction:** it is\n$2$ (not 1). B\n\nand (**Correction:** minus (here)), C **Correction:** D\n\nE"
    assert book.correction_texts(text) == ["It is $2$ (not 1). B", "Minus (here)", "D"]


def test_mentions_become_links():
    places = {"2.1": ["02_b"], "P14": ["01_a", "02_b"]}
    text = book.link_mentions("By Eq. (2.1), Eqs. (P14) and (P99), and `Eq. (2.1)` $Eq. (2.1)$", "02_b", places)
    assert text == (
        "By Eq. ([2.1](#eq-02-2-1)), Eqs. ([P14](#eq-02-p14)) and (P99), and `Eq. (2.1)` $Eq. (2.1)$"
    )
    assert "(#eq-01-p14)" in book.link_mentions("Eq. (P14)", "03_c", places)
    assert book.link_mentions("Eq. (P29)", "03_c", {"P29a": ["03_c"]}) == "Eq. ([P29](#eq-03-p29a))"


# ------------------------------------------------------------------------------------------------ run time and memory


def rows(text):
    """The rows of tables."""
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_costs_agree_everywhere():
    """One source, notebooks/cost.json: the README, the index notebook and each notebook's first table show it."""
    costs = json.loads(series.COST.read_text("utf-8"))
    assert set(costs) == set(NAMES)
    readme, index = (path.read_text("utf-8") for path in (series.ROOT / "README.md", series.NOTEBOOKS / "00_index.md"))
    for name, cost in costs.items():
        row = next(line for line in rows(readme) if f"](notebooks/{name}.ipynb)" in line)
        assert row.endswith(f"| {series.cost(name)} |")
        if name != "00_index":
            row = next(line for line in rows(index) if f"]({name}.ipynb)" in line)
            assert row.endswith(f"| {series.cost(name)} |")
        first = series.read(name).cells[0].source
        assert f"| Run time, memory | about {cost['seconds']} s and {cost['gigabytes']} GB on 2 cores |" in first
        assert cost["gigabytes"] <= 1.5


def test_costs_are_in_the_book(pages):
    text = (book.HTML / "index.html").read_text("utf-8")
    assert [name for name in NAMES if series.cost(name) not in text] == []


# ------------------------------------------------------------------------------------------------------------ slides


@pytest.mark.parametrize("name", NAMES)
def test_slides(decks, name):
    text = decks[name].path.read_text("utf-8")
    nb = series.read(name)
    assert loads_from_elsewhere(decks[name]) == []
    files = [url for url in decks[name].loads if not url.startswith("data:")]
    assert [url for url in files if not (slides.SLIDES / url).is_file()] == []
    assert decks[name].without_alt == []
    bodies = {h: cells for h, _, cells in book.sections(nb) if h not in slides.LEFT_OUT + ("Summary", "Quiz")}
    tags = [tag for cells in bodies.values() for cell in cells for tag in series.TAG.findall(markdown(cell))]
    shown = re.sub(r'<aside class="notes">.*?</aside>', "", text, flags=re.DOTALL)
    assert [tag for tag in tags if f"\\tag{{{tag}}}" not in shown] == []
    drawn = sum(len(book.pictures(c)) for cells in bodies.values() for c in cells if "solution" not in series.tags(c))
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
    assert slides.leads(inside) == [("B (**Correction:** the paper has $c$), so that", "a=b \\tag{1.1}")]
    assert slides.leads(f"First this holds. So\n\n{equation}")[0][0] == "First this holds. So"
    assert slides.takeaway("**What to notice.**\n- First of all.\n- *Second* thing.") == "First of all."


@pytest.mark.parametrize("name", NAMES)
def test_no_correction_is_shown_twice(name):
    """What the lead of an equation says has no slide of its own, and all others have one."""
    for heading, _, cells in book.sections(series.read(name)):
        shown = "\n".join(slides.section_slides(heading, cells))
        shown = re.sub(r'<aside class="notes">.*?</aside>', "", shown, flags=re.DOTALL)
        if heading not in slides.LEFT_OUT + ("Summary", "Quiz"):
            assert shown.count("<strong>Correction:</strong>") == nb_text_of(cells).count("**Correction:** ")


def test_sentences():
    text = "As Eq. (2.1) says, $x = 0.5. Y$ holds. Then e.g. this: It ends"
    assert slides.sentences(text) == ["As Eq. (2.1) says, $x = 0.5. Y$ holds.", "Then e.g. this:", "It ends"]


# ------------------------------------------------------------------------------------- exercises, quizzes, student copy


LESSONS = [name for name in NAMES if name != "00_index"]


@pytest.mark.parametrize("name", LESSONS)
def test_courses(name):
    """Goals and prerequisites first; graded exercises with solutions, one to break; a quiz with explained answers."""
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
    """Names that a statement defines, and those that it uses, also in functions and comprehensions inside it."""
    tables = [symtable.symtable(ast.unparse(statement), "statement", "exec")]
    top = tables[0].get_symbols()
    used = {symbol.get_name() for symbol in top if symbol.is_referenced()}
    while tables:
        inner = tables.pop().get_children()
        used |= {symbol.get_name() for table in inner for symbol in table.get_symbols() if symbol.is_global()}
        tables += inner
    loop = ast.walk(statement.target) if isinstance(statement, ast.For) else ()
    own = {node.id for node in loop if isinstance(node, ast.Name)}
    return {symbol.get_name() for symbol in top if symbol.is_assigned() or symbol.is_imported()}, used - own


@pytest.mark.parametrize("name", NAMES)
def test_student_copy(name):
    """No solutions, no outputs; and no other cell needs what a solution defines, so that the copy runs."""
    nb = student.student_copy(series.read(name))
    assert "<summary>Solution" not in nb_text(nb)
    assert "Open in" not in nb_text(nb)
    assert f"{name}.ipynb" not in nb_text(nb) or name == "00_index"  # nothing leads to the version with solutions
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
                    assert not used & (solved - defined), f"{ast.unparse(statement)} needs a solution"
                    defined |= new


def test_student_copy_carries_its_pictures():
    cell = new_markdown_cell("![Six wells.](../docs/_static/opening.png) and [a page](../docs/notation.md)")
    text = student.attach_pictures(cell, cell.source)
    assert text == "![Six wells.](attachment:opening.png) and [a page](../docs/notation.md)"
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
