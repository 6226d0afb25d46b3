"""Rules for the notebooks, and tests that each rule catches what it should.

Every rule is a function that returns a list of problems, one sentence each; an empty list is a
pass.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from statistics import median

import jupytext
import nbformat
import pytest
import yaml
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import run
from tools import pairs, series

PAIRS = [run.NOTEBOOKS / name for name in run.SERIES]
EQUATION = re.compile(r"\\tag\*?\{([^}]*)\}")
MENTION = re.compile(r"\bEqs?\.[\s~]*((?:\([\w.']+\)(?:\s|,|and|or|to|-|–|—)*)+)")
PAPER = re.compile(r"P\d+[a-z]?")
MAGIC = re.compile(r"^\s*(%{1,2}[A-Za-z]|!)", re.MULTILINE)
MACHINE_PATH = re.compile(r"/(work|root|tmp)/")
MEGABYTE = 1_000_000
REMEDY = "run `python run.py sync`"


# ---------------------------------------------------------------- rules


def code_cells(nb):
    """Those that the notebook is about: without the cell that fetches the project in Colab."""
    return [cell for cell in nb.cells if cell.cell_type == "code" and "install" not in tags(cell)]


def n_lines(cell):
    return len(cell.source.strip().splitlines())


def tags(cell):
    return sorted(cell.metadata.get("tags", []))


def pair_problems(stem: Path) -> list[str]:
    """Both files exist and hold the same cells: type, source and tags."""
    ipynb, md = stem.with_suffix(".ipynb"), stem.with_suffix(".md")
    missing = [path.name for path in (ipynb, md) if not path.exists()]
    if missing:
        return [f"{name} is missing: {REMEDY}" for name in missing]
    left, right = (pairs.cells(path) for path in (ipynb, md))
    if len(left) != len(right):
        return [f"{ipynb.name} has {len(left)} cells, {md.name} has {len(right)}: {REMEDY}"]
    different = [i for i in range(len(left)) if left[i] != right[i]]
    return [f"cell {i} differs between {ipynb.name} and {md.name}: {REMEDY}" for i in different]


def header_problems(md_text: str) -> list[str]:
    """The .md says which format, which kernel and which filter of metadata it has, and nothing
    else."""
    representation = {"text_representation": {"extension": ".md", "format_name": "myst"}}
    kept = {
        "jupytext": run.METADATA["jupytext"] | representation,
        "kernelspec": run.METADATA["kernelspec"],
    }
    header = yaml.safe_load(md_text.split("---\n")[1]) if md_text.startswith("---\n") else None
    if header == kept:
        return []
    return ["the .md header is not that of the other notebooks: " + json.dumps(kept)]


def execution_problems(nb) -> list[str]:
    """Every code cell ran, in order, without an error that is not announced by a tag."""
    problems = []
    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    for count, cell in enumerate(cells, start=1):
        found = cell.execution_count
        if found != count:
            problems.append(f"code cell {count} was not executed in order (its count is {found})")
        failed = any(out.output_type == "error" for out in cell.outputs)
        if failed and "raises-exception" not in tags(cell):
            problems.append(f"code cell {count} shows an error and has no tag raises-exception")
    return problems


def length_problems(nb) -> list[str]:
    """Set-up cell (the first) at most 12 lines, any cell at most 30, the median at most 6; a line
    at most 100 characters."""
    lengths = [n_lines(cell) for cell in code_cells(nb)]
    if not lengths:
        return ["there are no code cells"]
    long = [(i, n) for i, n in enumerate(lengths, start=1) if n > 30]
    problems = [f"code cell {i} has {n} lines, over 30" for i, n in long]
    for i, cell in enumerate(code_cells(nb), start=1):
        if any(len(line) > 100 for line in cell.source.splitlines()):
            problems.append(f"code cell {i} has a line of over 100 characters")
    if lengths[0] > 12:
        problems.append(f"the set-up cell has {lengths[0]} lines, over 12")
    if median(lengths) > 6:
        problems.append(f"the median code cell has {median(lengths)} lines, over 6")
    return problems


def magic_problems(nb) -> list[str]:
    """An unknown magic hides a broken cell from the test run, so they stay in the set-up cell."""
    late = enumerate(code_cells(nb)[1:], start=2)
    found = [i for i, cell in late if MAGIC.search(cell.source)]
    return [f"code cell {i} has a magic or shell line" for i in found]


def noise_problems(nb) -> list[str]:
    """No widget state, tool versions or timings in the metadata, no machine paths in text or
    outputs."""
    problems = []
    if nb.metadata != run.METADATA:
        problems.append("the notebook metadata is not the plain one of run.py")
    for i, cell in enumerate(nb.cells):
        if set(cell.metadata) - {"tags"}:
            problems.append(f"cell {i} has metadata other than tags")
        visible = [cell.source]
        for out in cell.get("outputs", []):
            data = dict(out.get("data", {}))
            for picture in ("image/png", "image/jpeg"):
                data.pop(picture, None)
            if run.WIDGET in data:
                problems.append(f"cell {i} has a widget view, dead without its kernel")
            texts = [out.get(name) for name in ("text", "evalue", "traceback")]
            visible.append(json.dumps([data, *texts]))
        if MACHINE_PATH.search("\n".join(visible)):
            problems.append(f"cell {i} shows a path of the machine that ran it")
    return problems


def alt_problems(nb) -> list[str]:
    """Every picture carries a description for screen readers (`rbmkit.figures.show` stores it)."""
    problems = []
    for i, cell in enumerate(nb.cells):
        for out in cell.get("outputs", []):
            description = out.get("metadata", {}).get("image/png", {}).get("alt", "")
            if "image/png" in out.get("data", {}) and not description.strip():
                problems.append(f"cell {i} shows a picture without a description")
    return problems


def start_problems(name: str, nb) -> list[str]:
    """The links that open the notebook elsewhere, and the cell that fetches the project there, fit
    the address."""
    problems = []
    row = series.badges(name).strip()
    if row not in nb.cells[0].source:
        problems.append(f"the first table lacks this row: {row}")
    fetch = series.install()
    found = [cell.source for cell in nb.cells if "install" in tags(cell)]
    if found != ([fetch] if fetch else []):
        rule = "the cells with the tag install must be this one, or none without an address"
        problems.append(f"{rule}:\n{fetch}")
    first = next((cell for cell in nb.cells if cell.cell_type == "code"), None)
    if fetch and first is not None and "install" not in tags(first):
        problems.append("it must be the first code cell")
    return problems


def quiz_problems(nb) -> list[str]:
    """Nobody passes a quiz by one letter: it is the answer to at most 60 % of the questions."""
    answers = re.findall(r"<summary>Answer</summary>\s*\*\*\(([abc])\)\.\*\*", markdown(nb))
    most = max("abc", key=answers.count)
    times = answers.count(most)
    if times <= 0.6 * len(answers):
        return []
    return [f"({most}) is the answer to {times} of {len(answers)} questions"]


def size_problems(path: Path) -> list[str]:
    size = path.stat().st_size
    return [] if size < 2 * MEGABYTE else [f"{path.name} has {size / MEGABYTE:.1f} MB, over 2"]


def markdown(nb):
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def equation_problems(nb, earlier=()) -> list[str]:
    """Tags are unique; "Eq. (X)" is a tag here or in an earlier notebook, or P<number>, an equation
    of the paper."""
    own = Counter(EQUATION.findall(markdown(nb)))
    known = set(own)
    for other in earlier:
        known.update(EQUATION.findall(markdown(other)))
    mentioned = set()
    for group in MENTION.findall(markdown(nb)):
        mentioned.update(re.findall(r"\(([^)]*)\)", group))
    double = [f"tag {tag} appears {times} times" for tag, times in sorted(own.items()) if times > 1]
    lost = [tag for tag in sorted(mentioned - known) if not PAPER.fullmatch(tag)]
    return double + [f"Eq. ({tag}) is mentioned and has no tag" for tag in lost]


# ---------------------------------------------------------------- the notebooks that exist


def copied(stem, folder):
    """A pair in a project of its own."""
    shutil.copy(run.ROOT / "pyproject.toml", folder)
    (folder / "notebooks").mkdir(exist_ok=True)
    for suffix in (".md", ".ipynb"):
        shutil.copy(stem.with_suffix(suffix), folder / "notebooks")
    return folder / "notebooks" / stem.name


def make_newer(path):
    """One file of a pair becomes an hour newer than the other."""
    for suffix in (".md", ".ipynb"):
        time = 1_700_000_000 + 3600 * (suffix == path.suffix)
        os.utime(path.with_suffix(suffix), (time, time))


def manager(stem):
    """What JupyterLab reads and writes notebooks with."""
    kind = build_sync_jupytext_contents_manager_class(LargeFileManager)
    return kind(root_dir=str(stem.parents[1]))


def opened(stem):
    return manager(stem).get(f"notebooks/{stem.name}.ipynb")["content"]


def read(stem):
    return nbformat.read(stem.with_suffix(".ipynb"), as_version=4)


@pytest.fixture(params=PAIRS, ids=lambda stem: stem.name)
def stem(request):
    return request.param


def test_pair_in_sync(stem):
    assert pair_problems(stem) == []


def test_header(stem):
    assert header_problems(stem.with_suffix(".md").read_text("utf-8")) == []


@pytest.mark.parametrize("newer", [".md", ".ipynb"])
def test_jupyterlab_opens_it_whichever_file_is_newer_and_saves_it_unchanged(stem, newer, tmp_path):
    """As after git pull, which gives files any time; and the kernel of the project is the one that
    starts."""
    copy = copied(stem, tmp_path)
    before = {path: path.read_bytes() for path in copy.parent.glob("0*")}
    assert len(before) == 2
    make_newer(copy.with_suffix(newer))
    nb = opened(copy)
    assert nb["metadata"]["kernelspec"] == run.METADATA["kernelspec"]
    manager(copy).save({"type": "notebook", "content": nb}, f"notebooks/{copy.name}.ipynb")
    assert before == {path: path.read_bytes() for path in before}, REMEDY


RULES = [execution_problems, length_problems, magic_problems, noise_problems, alt_problems]


@pytest.mark.parametrize("rule", RULES)
def test_rule(stem, rule):
    assert rule(read(stem)) == []


def test_start_anywhere(stem):
    assert start_problems(stem.name, read(stem)) == []


def test_quiz(stem):
    assert quiz_problems(read(stem)) == []


def test_size(stem):
    assert size_problems(stem.with_suffix(".ipynb")) == []


def test_equations(stem):
    earlier = PAIRS[: PAIRS.index(stem)]
    assert equation_problems(read(stem), map(read, earlier)) == []


# ------------------------------------------------------------ each rule catches a made-up problem


def code(source="x = 1", count=1, **kwargs):
    return new_code_cell(source, execution_count=count, **kwargs)


def notebook(*cells):
    return new_notebook(cells=list(cells), metadata=run.METADATA)


def text(*paragraphs):
    return notebook(*map(new_markdown_cell, paragraphs))


@pytest.fixture
def pair(tmp_path):
    """A good pair, as run.py would write it."""
    texts = [new_markdown_cell(source) for source in ("# Title", "$$E \\tag{1.1}$$")]
    nb = notebook(*texts, code("x = 1\nx"), code("x", 2))
    nbformat.write(nb, tmp_path / "01_a.ipynb")
    jupytext.write(nb, tmp_path / "01_a.md", fmt="md:myst")
    return tmp_path / "01_a"


def test_filter_is_that_of_pyproject():
    settings = tomllib.loads((run.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["jupytext"]
    name = "notebook_metadata_filter"
    assert settings[name] == run.METADATA["jupytext"][name]


def test_good_pair_passes(pair):
    assert pair_problems(pair) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("x = 1", "x = 2", "cell 2 differs"),
        ("# Title", "# Other title", "cell 0 differs"),
        ("x = 1", ":tags: [hide-input]\n\nx = 1", "cell 2 differs"),
        ("+++", "", "has 4 cells"),
    ],
    ids=["source", "text", "tags", "number of cells"],
)
def test_pair_difference_is_found(pair, old, new, problem):
    md = pair.with_suffix(".md")
    assert old in md.read_text("utf-8")
    md.write_text(md.read_text("utf-8").replace(old, new), "utf-8")
    assert [problem in found for found in pair_problems(pair)] == [True]


@pytest.mark.parametrize("suffix", [".md", ".ipynb"])
def test_missing_half_is_found(pair, suffix):
    pair.with_suffix(suffix).unlink()
    assert pair_problems(pair) == [f"01_a{suffix} is missing: {REMEDY}"]


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A pair whose two files were both edited, each in another cell, by editors that know of one
    file only."""
    monkeypatch.setattr(pairs, "KEPT", tmp_path / "replaced")
    copy = copied(PAIRS[0], tmp_path)
    for suffix, old in ((".md", "# The map"), (".ipynb", "You will see")):
        path = copy.with_suffix(suffix)
        before = path.read_text("utf-8")
        assert old in before
        new = f"{old[:2]}EDITED_{suffix[1:]}{old[2:]}"
        path.write_text(before.replace(old, new), "utf-8")
    return copy


@pytest.mark.parametrize("newer", [".md", ".ipynb"])
def test_no_edit_is_lost_or_hidden(edited, newer):
    """JupyterLab shows the newer file, and what the other one had is kept."""
    make_newer(edited.with_suffix(newer))
    assert pairs.settle(edited.with_suffix(".md"))
    sources = "".join(cell["source"] for cell in opened(edited)["cells"])
    kept = "".join(path.read_text("utf-8") for path in pairs.KEPT.iterdir())
    older = {".md": ".ipynb", ".ipynb": ".md"}[newer]
    assert f"EDITED_{newer[1:]}" in sources
    assert f"EDITED_{older[1:]}" not in sources
    assert f"EDITED_{older[1:]}" in kept


def test_sync_keeps_what_the_text_replaces(edited, monkeypatch):
    make_newer(edited.with_suffix(".ipynb"))
    text = edited.with_suffix(".md").read_text("utf-8")
    assert "a copy is in" in pairs.settle(edited.with_suffix(".md"), text_counts=True)
    assert edited.with_suffix(".md").read_text("utf-8") == text
    assert ["EDITED_ipynb" in path.read_text("utf-8") for path in pairs.KEPT.iterdir()] == [True]


def test_sync_writes_the_text_as_jupyterlab_does(tmp_path):
    text = copied(PAIRS[0], tmp_path).with_suffix(".md")
    good = text.read_text("utf-8")
    text.write_text(good.replace("\n\n```{code-cell}", "\n\n\n\n```{code-cell}"), "utf-8")
    assert text.read_text("utf-8") != good
    assert pairs.main([str(text)]) == 0
    assert text.read_text("utf-8") == good


def test_pairs_that_agree_are_left_alone(tmp_path):
    copy = copied(PAIRS[0], tmp_path)
    for newer in (".md", ".ipynb"):
        make_newer(copy.with_suffix(newer))
        assert pairs.settle(copy.with_suffix(".md")) == ""


def test_header_rule(pair):
    good = pair.with_suffix(".md").read_text("utf-8")
    assert header_problems(good) == []
    assert len(header_problems(good.replace("myst\n", "myst\n    jupytext_version: 1.0\n"))) == 1
    assert len(header_problems(good.replace("  name: python3\n", ""))) == 1
    assert len(header_problems("# Title")) == 1


def test_execution_rule():
    error = [new_output("error", ename="ValueError", evalue="", traceback=[])]
    assert execution_problems(notebook(code(), code(count=2))) == []
    announced = code(outputs=error, metadata={"tags": ["raises-exception"]})
    assert execution_problems(notebook(announced)) == []
    assert len(execution_problems(notebook(code(outputs=error)))) == 1
    assert len(execution_problems(notebook(code(count=None)))) == 1
    assert len(execution_problems(notebook(code(count=2), code(count=1)))) == 2


def test_length_rule():
    short = [code() for _ in range(5)]
    assert length_problems(notebook(code("x\n" * 12), *short, code("x\n" * 30))) == []
    wordy = notebook(code("x\n" * 13), *short)
    assert length_problems(wordy) == ["the set-up cell has 13 lines, over 12"]
    wall = notebook(*short, code("x\n" * 31))
    assert length_problems(wall) == ["code cell 6 has 31 lines, over 30"]
    assert len(length_problems(notebook(code("x\n" * 7)))) == 1
    assert length_problems(notebook(code("x" * 100))) == []
    broad = notebook(code(), code("x" * 101))
    assert length_problems(broad) == ["code cell 2 has a line of over 100 characters"]
    assert length_problems(notebook()) == ["there are no code cells"]


def test_magic_rule():
    assert magic_problems(notebook(code("%matplotlib inline"), code("y = 5 % x"))) == []
    for line in ("%timeit x", "%%time\nx", "  !ls"):
        found = magic_problems(notebook(code(), code(line)))
        assert found == ["code cell 2 has a magic or shell line"]


def test_noise_rule():
    path = "/".join(["", "root", "x.py"])
    stream = new_output("stream", name="stderr", text=f"{path}: warning")
    picture = new_output("display_data", data={"image/png": path})
    widget = new_output("display_data", data={run.WIDGET: {"model_id": "1"}})
    assert noise_problems(notebook(code(outputs=[picture]))) == []
    for shown in (code(outputs=[stream]), code(path)):
        problems = noise_problems(notebook(shown))
        assert problems == ["cell 0 shows a path of the machine that ran it"]
    assert len(noise_problems(notebook(code(outputs=[widget])))) == 1
    assert len(noise_problems(notebook(code(metadata={"execution": {}})))) == 1
    assert len(noise_problems(new_notebook(metadata={**run.METADATA, "widgets": {}}))) == 1


def test_alt_rule():
    picture = new_output("display_data", data={"image/png": ""})
    picture.metadata = {"image/png": {"alt": "A line."}}
    assert alt_problems(notebook(code(outputs=[picture]))) == []
    picture.metadata = {"image/png": {"alt": " "}}
    found = alt_problems(notebook(code(outputs=[picture])))
    assert found == ["cell 0 shows a picture without a description"]


def test_the_cell_for_colab_fetches_the_project_once(tmp_path):
    """In an empty folder, again, after a restart, and after an import that met only the fetched
    folder."""
    origin = tmp_path / "origin" / "rbmkit"
    (origin / "rbmkit").mkdir(parents=True)
    (origin / "rbmkit" / "__init__.py").write_text("RBM = 1")
    git = ["git", "-C", origin, "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    session = f"""
import pathlib, sys
from IPython.core.interactiveshell import InteractiveShell
sys.path = ["", *(p for p in sys.path[1:] if not pathlib.Path(p, "rbmkit").exists())]
shell = InteractiveShell.instance()
try:
    import rbmkit
except ImportError:
    pass
for _ in range(2):
    shell.run_cell({series.INSTALL.format(origin)!r}).raise_error()
from rbmkit import RBM
print(pathlib.Path.cwd())
"""
    (tmp_path / "content").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    start = {"cwd": tmp_path / "content", "env": environment, "text": True}
    for _ in range(2):  # the second one is the session after a restart
        printed = subprocess.check_output([sys.executable, "-c", session], **start)
        assert printed.splitlines()[-1] == str(tmp_path / "content" / "rbmkit")


def test_start_rule(monkeypatch):
    monkeypatch.setattr(series, "ADDRESS", "https://github.com/one/physics")
    first = new_markdown_cell(f"# A\n\n| | |\n|---|---|\n{series.badges('01_a')}")
    fetch = code(series.install(), metadata={"tags": ["install"]})
    assert start_problems("01_a", notebook(first, fetch, code(count=2))) == []
    assert len(start_problems("02_b", notebook(first, fetch))) == 1
    assert len(start_problems("01_a", notebook(first, code(), fetch))) == 1
    other = code("!git clone", metadata={"tags": ["install"]})
    assert len(start_problems("01_a", notebook(first, other))) == 1
    assert len(start_problems("01_a", notebook(first, code()))) == 2
    monkeypatch.setattr(series, "ADDRESS", "")
    assert start_problems("01_a", notebook(new_markdown_cell("# A"), code())) == []
    assert len(start_problems("01_a", notebook(first, fetch))) == 1


def test_quiz_rule():
    ask = "<details><summary>Answer</summary>\n\n**({}).** Because.</details>".format
    assert quiz_problems(text(*map(ask, "abcba"))) == []
    assert quiz_problems(text(*map(ask, "aabab"))) == []
    assert quiz_problems(text(*map(ask, "aabaa"))) == ["(a) is the answer to 4 of 5 questions"]
    assert quiz_problems(text("no quiz")) == []


def test_size_rule(tmp_path):
    (tmp_path / "a.ipynb").write_bytes(b" " * (2 * MEGABYTE - 1))
    assert size_problems(tmp_path / "a.ipynb") == []
    (tmp_path / "a.ipynb").write_bytes(b" " * 2 * MEGABYTE)
    assert size_problems(tmp_path / "a.ipynb") == ["a.ipynb has 2.0 MB, over 2"]


def test_equation_rule():
    tagged = r"$$a \tag{1.1}$$ $$b \tag{P14}$$"
    first = text(tagged, "By Eq. (1.1), Eq. (P14) and Eqs. (P27d) and (P29).")
    assert equation_problems(first) == []
    assert equation_problems(text("Eq. (1.1)"), [first]) == []
    assert equation_problems(text("Eq. (1.1)")) == ["Eq. (1.1) is mentioned and has no tag"]
    several = equation_problems(text("Eqs. (P1), (2.1)-(2.3)"))
    assert several == [f"Eq. ({tag}) is mentioned and has no tag" for tag in ("2.1", "2.3")]
    assert equation_problems(text("Eq. (14)")) == ["Eq. (14) is mentioned and has no tag"]
    assert equation_problems(text(r"\tag{1.1}", r"\tag{1.1}")) == ["tag 1.1 appears 2 times"]


def test_tidy_makes_a_run_pass_the_noise_rule(tmp_path):
    widget = new_output("display_data", data={run.WIDGET: {"model_id": "1"}})
    kept = new_output("stream", name="stdout", text="rbmkit/model.py\n")
    long = new_output("stream", name="stdout", text=f"{run.ROOT}/{kept.text}")
    first = code(outputs=[widget, long], metadata={"execution": {}, "tags": ["a"]})
    noisy = notebook(first, code(count=2), code("y", 3))
    noisy.metadata["widgets"] = {"state": {}}
    nbformat.write(noisy, tmp_path / "a.ipynb")
    run.tidy(tmp_path / "a.ipynb")
    tidied = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    nbformat.validate(tidied)
    assert noise_problems(tidied) == []
    assert tidied.cells[0].outputs == [kept]
    assert tags(tidied.cells[0]) == ["a"]
    assert len({cell.id for cell in tidied.cells}) == 3
