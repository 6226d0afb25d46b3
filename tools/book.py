"""The book: a static site with everything it needs, in build/book/html.

python -m tools.book [--serve [PORT]]

It is made of docs/ and the executed notebooks. These are taken as they are, but for this: equations
and their mentions are linked, solutions are folded, explorers become pictures that slide without a
kernel, and links to files of the repository become links to its address. The gallery, the list of
corrections and the page of what is new are collected from the notebooks.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import html
import importlib.util
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from joblib import Parallel, delayed
from nbformat.v4 import new_markdown_cell, writes
from PIL import Image

from rbmkit.explorers import EXPLORERS
from rbmkit.explorers.explorer import Explorer, png
from rbmkit.explorers.live import Live
from tools import frames, series

DOCS = series.ROOT / "docs"
DATA = series.ROOT / "data"
BUILD = series.ROOT / "build" / "book"
SOURCE = BUILD / "source"
HTML = BUILD / "html"
FRAMES = BUILD / "frames"
# at most so many values of each control of an explorer that moves in the book; others stay where
# they are
GRID = {
    "steering": {"method": 3, "updates": 9},
    "landscapes": {"model": 6, "mode": 20},
    "random_couplings": {"N": 12, "M": 12},
    "saddles": {"model": 3, "scale": 12, "beta": 6},
    "relaxing_mode": {"s": 25, "time": 7},
    "rotations": {"second": 12, "angle": 19},
    "wells": {"epoch": 8, "mode": 3, "ceiling": 6},
    "dissolving": {"signal": 11, "digit": 10},
}
COLOURS = 64  # of a frame; its file is a third of the original then
INSIDE = r"(?:(?!\$\$).)*?"  # of $$...$$, any text
DISPLAYED = re.compile(
    rf"[ \t]*\$\$({INSIDE}\\tag\*?\{{([^}}]*)\}}{INSIDE})\$\$",
    re.DOTALL,
)
NOT_PROSE = (
    r"```.*?```",
    r"\$\$.*?\$\$",
    r"\$[^$]*\$",
    r"`[^`]*`",
    r"\]\([^)]*\)",
    r"\\begin\{equation\*\}.*?\\end\{equation\*\}",
)
MENTION = r"(?P<mention>\bEqs?\.\s*(?:\([\w.']+\)(?:\s|,|and|or|to|-|–)*)+)"
MENTIONS = re.compile("|".join([*NOT_PROSE, MENTION]), re.DOTALL)
CORRECTION = re.compile(
    r"(\(?)\*\*Correction:\*\*\s*(\S.*?)(?=\(?\*\*Correction|\n\n|\Z)",
    re.DOTALL,
)
# in the tables of the summaries
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
ANSWER = re.compile(r"\*\*(?P<kind>New|Exact|Answered|Not so):\*\* (?P<text>.+)")
OPEN = re.compile(r"^- \*\*Open:\*\* (.+(?:\n  .+)*)", re.MULTILINE)
KINDS = {
    "Answered": "Questions that the paper leaves open, answered",
    "Not so": "Statements of the paper that do not hold as they stand",
    "Exact": "Exact, where the paper samples or approximates",
    "New": "Beyond the paper",
}
FIGURE = re.compile(r"\bFig(?:s?\.|ures?)\s*((?:\d[a-f]?(?:[-–][a-f])?(?:,\s+|\s+and\s+)?)+)")


# ---------------------------------------------------------------- what the notebooks contain
def sections(nb):
    """(heading, number, cells) of each section of a notebook.

    Headings in the middle of a cell start a new section, too.
    """
    found = [[series.title(nb), 0, []]]
    for cell in split(nb.cells):
        heading = re.match(r"#{2,3} (.+)", cell.source) if cell.cell_type == "markdown" else None
        if heading:
            found.append([heading[1], len(found), []])
        found[-1][2].append(cell)
    return found


def split(cells):
    """The same cells, but text that has headings in its middle becomes several cells."""
    for cell in cells:
        if cell.cell_type == "markdown":
            for k, part in enumerate(re.split(r"\n(?=#{2,3} )", cell.source)):
                yield new_markdown_cell(part, id=f"{cell.id}{k or ''}")
        else:
            yield cell


def prose(cells) -> str:
    """The text of the cells that are no code."""
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def all_sections():
    """(notebook, heading, number, cells) of each section of the series."""
    for name in series.names():
        for heading, k, cells in sections(series.read(name)):
            yield name, heading, k, cells


def section_label(name: str, k: int) -> str:
    return f"sec-{name.replace('_', '-')}-{k}"


def equation_label(name: str, tag: str) -> str:
    return f"eq-{name[:2]}-{tag.replace('.', '-').lower()}"


def equations() -> dict[str, list[str]]:
    """Tag -> the notebooks that have it."""
    found: dict[str, list[str]] = {}
    for name in series.names():
        for cell in series.read(name).cells:
            for tag in series.TAG.findall(cell.source) if cell.cell_type == "markdown" else ():
                found.setdefault(tag, []).append(name)
    return found


def paper_equations() -> dict[int, list[tuple[str, str, int, str]]]:
    """Number of an equation of the paper -> where it stands, then where it is discussed.

    Each entry is (notebook, heading of the section, tag, label to link to).
    """
    stands: dict[int, list] = {number: [] for number in range(1, 58)}
    discussed: dict[int, list] = {number: [] for number in stands}
    for name, heading, k, cells in all_sections():
        if heading in ("References", "Next"):
            continue
        text = prose(cells)
        tagged = [tag for tag in series.TAG.findall(text) if re.match(r"P\d", tag)]
        mentioned = re.findall(r"\((P\d+[a-f]?)\)", text)
        for tag in dict.fromkeys(tagged + mentioned):
            number = int(re.match(r"P(\d+)", tag)[1])
            if tag in tagged:
                stands[number].append((name, heading, tag, equation_label(name, tag)))
            else:
                discussed[number].append((name, heading, tag, section_label(name, k)))
    return {number: stands[number] + discussed[number] for number in stands}


def paper_figures() -> dict[str, list[tuple[str, str, str, bytes, str]]]:
    """Figure of the paper -> where the text names it.

    Each entry is (notebook, heading of the section, its label, our picture, its description).
    """
    found: dict[str, list] = {}
    for name, heading, k, cells in all_sections():
        if heading == "References":
            continue
        for i, cell in enumerate(cells):
            named = FIGURE.findall(cell.source) if cell.cell_type == "markdown" else []
            picture = picture_near(cells, i) if named else None
            if not picture:
                continue
            entry = (name, heading, section_label(name, k), *picture)
            for number in re.findall(r"\d[a-f]?(?:[-–][a-f])?", " ".join(named)):
                entries = found.setdefault(f"Fig. {number}", [])
                if entry not in entries:
                    entries.append(entry)
    return dict(sorted(found.items()))


def picture_near(cells, i: int) -> tuple[bytes, str] | None:
    """The first picture from cell i on; if there is none, that of the nearest cell before."""
    for cell in [*cells[i:], *reversed(cells[:i])]:
        for picture in pictures(cell):
            return picture
    return None


def pictures(cell) -> list[tuple[bytes, str]]:
    """The PNG files that a cell shows, each with its description."""
    found = []
    for out in cell.get("outputs", []):
        if "image/png" in out.get("data", {}):
            alt = out.metadata.get("image/png", {}).get("alt", "")
            found.append((base64.b64decode(out.data["image/png"]), alt))
    return found


def corrections() -> list[tuple[str, str, str, str]]:
    """(notebook, heading, label, text) of each correction of the paper."""
    return [
        (name, heading, section_label(name, k), text)
        for name, heading, k, cells in all_sections()
        for text in correction_texts(prose(cells))
    ]


def correction_texts(text: str) -> list[str]:
    """What follows **Correction:** up to the end of the paragraph, or of its parenthesis."""
    found = []
    for bracket, part in CORRECTION.findall(text):
        depth = itertools.accumulate((c == "(") - (c == ")") for c in part)
        end = next((k for k, d in enumerate(depth) if d < 0), None) if bracket else None
        found.append(sentence(" ".join(part[:end].split())))
    return found


def summaries() -> list[tuple[str, str, str, dict[str, str]]]:
    """(notebook, label, text, labels) of each summary.

    The last one has the label of each section of the notebook by its number, as "2.8".
    """
    found = []
    for name in series.names():
        parts = sections(series.read(name))
        labels = {heading.split()[0]: section_label(name, k) for heading, k, _ in parts}
        for heading, k, cells in parts:
            if heading == "Summary":
                text = "\n\n".join(cell.source for cell in cells)
                found.append((name, section_label(name, k), text, labels))
    return found


def answers() -> list[tuple[str, str, str, str, str, str]]:
    """(kind, notebook, question, answer, number, link) of each answer in the summaries.

    Only those of one of the KINDS, which are new.
    """
    found = []
    for name, _, summary, labels in summaries():
        for question, answer, number, where in ROW.findall(summary):
            marked = ANSWER.fullmatch(answer)
            if marked:
                section = re.match(r"[\d.]+", where)[0]  # of "2.8, figure"
                link = f"[{where}](#{labels[section]})"
                text = sentence(marked["text"])
                found.append((marked["kind"], name, question, text, number, link))
    return found


def sentence(text: str) -> str:
    return text[0].upper() + text[1:]


# ---------------------------------------------------------------- notebooks as pages
def page(name: str, places: dict[str, list[str]]):
    """The notebook as the book shows it."""
    nb = series.read(name)
    shown = {cell: explorer for explorer, (_, cell) in series.explorers(nb).items()}
    cells = []
    for _, k, part in sections(nb):
        for cell in part:
            if "install" in series.tags(cell):
                continue
            if cell.cell_type == "markdown":
                text = links(link_mentions(displayed(cell.source, name), name, places))
                cell.source = f"({section_label(name, k)})=\n{text}" if cell is part[0] else text
            else:
                describe(cell)
            cells.append(cell)
            if cell.id in shown:
                cells.append(new_markdown_cell(frames_html(shown[cell.id])))
    nb.cells = cells
    return nb


def describe(cell) -> None:
    """Tell MyST-NB what a cell of code shows, and to fold it if it is a solution."""
    alts = [alt for _, alt in pictures(cell)]
    if alts:
        cell.metadata["mystnb"] = {"image": {"alt": " ".join(alts[0].split())}}
    if "solution" in series.tags(cell):
        cell.metadata["tags"] = [*series.tags(cell), "hide-cell"]


def displayed(text: str, name: str) -> str:
    """Numbered equations as blocks of their own that links can point to."""

    def block(match):
        label = equation_label(name, match[2])
        body = match[1].strip()
        return f"\n\n({label})=\n\\begin{{equation*}}\n{body}\n\\end{{equation*}}\n\n"

    return re.sub(r"\n{3,}", "\n\n", DISPLAYED.sub(block, text)).strip()


def link_mentions(text: str, name: str, places: dict[str, list[str]]) -> str:
    """Eq. (2.7) becomes a link.

    It leads to this notebook if that has the number, else to the first one that has it.
    Eq. (P29), whose lines are tagged P29a to P29c, becomes a link to the first of them.
    """

    def one(match):
        tag = match[1] if match[1] in places else f"{match[1]}a"
        where = places.get(tag)
        if not where:
            return match[0]
        label = equation_label(name if name in where else where[0], tag)
        return f"([{match[1]}](#{label}))"

    def all_of(match):
        return re.sub(r"\(([\w.']+)\)", one, match[0]) if match["mention"] else match[0]

    return MENTIONS.sub(all_of, text)


def links(text: str) -> str:
    """Links to files: to the API page for modules, to the published project for others."""
    text = text.replace("](../docs/", "](../")
    module = re.compile(r"\[`?([\w/.]+?)`?\]\(\.\./(rbmkit/[\w/]+)\.py\)")
    text = module.sub(lambda m: f"{{py:mod}}`{m[1]} <{m[2].replace('/', '.')}>`", text)
    return series.addressed(text, r"(?:rbmkit|data|benchmarks|tests)\b[^)]*")


# ---------------------------------------------------------------- explorers as frames
def draw_frames(name: str) -> None:
    """The frames of an explorer, unless they were drawn from the same sources and data before."""
    folder = FRAMES / name
    digest = digest_of_sources()
    if (folder / "digest").exists() and (folder / "digest").read_text() == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    explorer = EXPLORERS[name]()
    if isinstance(explorer, Live):
        folder.mkdir(parents=True)
        (folder / "data.js").write_text(explorer.script())
        (folder / "module.txt").write_text(explorer.module, "utf-8")
    else:
        draw_explorer(explorer, GRID[name], folder)
    (folder / "digest").write_text(digest)


def draw_explorer(explorer: Explorer, grid: dict[str, int], folder: Path) -> None:
    """A picture for each combination of values of the controls in `grid`, and axes.json."""
    folder.mkdir(parents=True)
    controls = explorer.recorded
    values = {key: frames.choices(controls[key], count) for key, count in grid.items()}
    rest = {key: control.start for key, control in controls.items()}
    for places in itertools.product(*(range(len(one)) for one in values.values())):
        chosen = {key: one[i] for (key, one), i in zip(values.items(), places)}
        picture = png(explorer.figure(**rest | chosen))
        small = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS)
        small.save(folder / f"{'-'.join(map(str, places))}.png", optimize=True)
    axes = [asdict(frames.axis(controls[key], one)) for key, one in values.items()]
    (folder / "axes.json").write_text(json.dumps(axes))


def digest_of_sources() -> str:
    """Changes with the code that draws frames, and with the data."""
    files = [Path(__file__), Path(frames.__file__)]
    files += sorted((series.ROOT / "rbmkit").rglob("*.py"))
    files += sorted(DATA.rglob("*.npz"))
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def frames_html(name: str) -> str:
    """Controls and the first picture of an explorer; frames.js does the rest."""
    folder = FRAMES / name
    where = f"../_static/frames/{name}"
    if (folder / "data.js").exists():
        note = "It runs in this page. Draw or erase ink in the rows that are given."
        module = (folder / "module.txt").read_text("utf-8")
        return frames.live_markup(name, module, f"{where}/data.js", note)
    axes = [frames.Axis(**axis) for axis in json.loads((folder / "axes.json").read_text())]
    first = "-".join(str(axis.start) for axis in axes)
    width = min(Image.open(folder / f"{first}.png").width, 560)  # in points of the screen
    note = "Drawn when the book was made. In the notebook and by <code>run.py explore</code> "
    note += "all controls are live."
    return frames.markup(axes, where, first, width=width, note=note)


# ---------------------------------------------------------------- pages made from the notebooks
def gallery() -> str:
    """Figures with small pictures, then a table of the equations."""
    folder = SOURCE / "_static" / "gallery"
    folder.mkdir(parents=True)
    lines = ["## Figures\n"]
    for panel, entries in paper_figures().items():
        lines.append(f"### {panel}\n")
        for name, heading, label, picture, alt in entries:
            file = thumbnail(picture, folder)
            alt = html.escape(" ".join(alt.split()))
            lines.append(f"Notebook {int(name[:2])}, [{heading}](#{label}): {alt}\n")
            lines.append(f'<img src="_static/gallery/{file}" alt="{alt}" loading="lazy">\n')
    lines += ["## Equations\n", *table_of_equations()]
    return "\n".join(lines)


def thumbnail(picture: bytes, folder: Path) -> str:
    """Save a small version of a picture, of at most 480 pixels a side; return its name."""
    small = Image.open(io.BytesIO(picture)).convert("RGB")
    small.thumbnail((480, 480))
    file = f"{hashlib.sha256(picture).hexdigest()[:16]}.png"
    small.quantize(128).save(folder / file, optimize=True)
    return file


def table_of_equations() -> list[str]:
    """For each equation of the paper all places where it stands, and others up to four."""
    lines = ["| equation of the paper | where it stands or is discussed |", "|---|---|"]
    for number, entries in paper_equations().items():
        stands = sum(label.startswith("eq-") for *_, label in entries)
        shown = entries[: max(stands, 4)]
        where = [f"[{tag}](#{label}) in {heading}" for _, heading, tag, label in shown]
        lines.append(f"| ({number}) | {'; '.join(where) or 'nowhere'} |")
    return lines


def list_of_corrections(places: dict[str, list[str]]) -> str:
    lines = []
    for name, heading, label, text in corrections():
        where = f"(Notebook {int(name[:2])}, [{heading}](#{label}).)"
        lines.append(f"1. {link_mentions(text, name, places)} {where}\n")
    return "\n".join(lines)


def what_is_new(places: dict[str, list[str]]) -> str:
    lines = []
    for kind, title in KINDS.items():
        lines += [f"## {title}\n", "| question | answer | number | where |", "|---|---|---|---|"]
        for each, name, question, answer, number, link in answers():
            if each == kind:
                row = f"| {question} | {answer} | {number} | {link} |"
                lines.append(link_mentions(row, name, places))
        lines.append("")
    lines.append("## What remains open\n")
    for name, label, text, _ in summaries():
        for part in OPEN.findall(text):
            part = link_mentions(sentence(" ".join(part.split())), name, places)
            lines.append(f"- {part} (Notebook {int(name[:2])}, [summary](#{label}).)")
    return "\n".join(lines)


def bibliography() -> str:
    """The references of all notebooks but the paper itself, by author."""
    lines = set()
    for _, heading, _, cells in all_sections():
        if heading == "References":
            text = "\n".join(cell.source for cell in cells)
            items = re.findall(r"^[-*] (.+(?:\n  .+)*)", text, re.MULTILINE)
            lines |= {" ".join(item.split()) for item in items}
    kept = {line for line in lines if "Exploring the energy landscape" not in line}
    initials = re.compile(r"^(?:[^\W\d_]\.[- ]?)+")
    ordered = sorted(kept, key=lambda line: initials.sub("", line).strip())
    return "\n".join(f"- {line}" for line in ordered)


def table_of_notebooks() -> str:
    lines = ["| notebook | question | run time, memory |", "|---|---|---|"]
    for name in series.names():
        nb = series.read(name)
        link = f"[{series.title(nb)}](notebooks/{name}.ipynb)"
        lines.append(f"| {link} | {series.question(nb)} | {series.cost(name)} |")
    return "\n".join(lines)


def api() -> str:
    """One entry per module of the package, in alphabetical order."""
    lines = []
    for path in sorted((series.ROOT / "rbmkit").rglob("*.py")):
        parts = path.relative_to(series.ROOT).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        # of a package, each module has its own
        members = "" if path.name == "__init__.py" else "   :members:\n"
        if parts[-1] != "__main__" and module != "rbmkit":
            directive = f".. automodule:: {module}\n{members}"
            lines.append(f"## {module}\n\n```{{eval-rst}}\n{directive}```\n")
    return "\n".join(lines)


# ---------------------------------------------------------------- build and serve
def copy_mathjax(folder: Path) -> None:
    """The parts of MathJax that a page with TeX needs, from the package sphinx-mathjax-offline."""
    package = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
    whole = package / "static" / "mathjax"
    other = {path.name for path in whole.glob("*.js")} - {"tex-chtml.js"}

    def ignore(where, names):
        return other & set(names) if Path(where) == whole else {"svg", "svg.js"} & set(names)

    shutil.copytree(whole, folder, ignore=ignore, dirs_exist_ok=True)


def assemble() -> None:
    """Everything that Sphinx reads, in build/book/source."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(DOCS, SOURCE, ignore=shutil.ignore_patterns("__pycache__"))
    for path in SOURCE.glob("*.md"):
        path.write_text(links(path.read_text("utf-8")), "utf-8")
    copy_mathjax(SOURCE / "_static" / "mathjax")
    try:
        # in two processes, which import the explorers anew
        Parallel(n_jobs=2)(delayed(draw_frames)(name) for name in EXPLORERS)
    except OSError as error:
        raise SystemExit(f"run.py: the explorers cannot be drawn: {error}") from error
    for name in EXPLORERS:
        ignored = shutil.ignore_patterns("*.json", "*.txt", "digest")
        shutil.copytree(FRAMES / name, SOURCE / "_static" / "frames" / name, ignore=ignored)
    places = equations()
    (SOURCE / "notebooks").mkdir()
    for name in series.names():
        (SOURCE / "notebooks" / f"{name}.ipynb").write_text(writes(page(name, places)), "utf-8")
    made = {
        "gallery": gallery(),
        "corrections": list_of_corrections(places),
        "bibliography": bibliography(),
        "new": what_is_new(places),
        "table": table_of_notebooks(),
        "api": api(),
    }
    (SOURCE / "generated").mkdir()
    for file, text in made.items():
        (SOURCE / "generated" / f"{file}.md").write_text(text + "\n", "utf-8")


def build() -> int:
    """Assemble and build; warnings are errors. Returns the exit code of Sphinx."""
    assemble()
    shutil.rmtree(HTML, ignore_errors=True)
    options = ["-b", "html", "-q", "-W", "--keep-going", "-d", BUILD / "doctrees"]
    command = [sys.executable, "-m", "sphinx", *options, SOURCE, HTML]
    failed = subprocess.call(command, cwd=series.ROOT, env={**os.environ, "MPLBACKEND": "agg"})
    where = HTML.relative_to(series.ROOT) / "index.html"
    print("the book has problems, see above" if failed else f"open {where} in a browser")
    return failed


def main(options: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="run.py book", description="The book, into build/book/html."
    )
    parser.add_argument(
        "--serve",
        nargs="?",
        const=8000,
        type=series.port,
        metavar="PORT",
        help="then show it at http://127.0.0.1:PORT/ (8000 unless given) until Ctrl+C",
    )
    chosen = parser.parse_args(options)
    failed = build()
    return failed if failed or chosen.serve is None else serve(chosen.serve)


def serve(port: int) -> int:
    """The book at 127.0.0.1, until Ctrl+C."""
    handler = partial(SimpleHTTPRequestHandler, directory=HTML)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        reason = f"cannot listen on port {port} ({error.strerror})"
        print(f"run.py: {reason}; choose another: --serve PORT")
        return 1
    print(f"serving the book at http://127.0.0.1:{port}/ until Ctrl+C", flush=True)
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
