"""The book: a static site from docs/ and the executed notebooks, with everything it needs, into build/book/html.

python -m tools.book [--serve [PORT]]

Notebooks are taken as they are, but for this: equations and their mentions are linked, solutions are folded,
explorers become pictures that slide without a kernel, and links to files of the repository become links to its address.
The gallery and the list of corrections are collected from the notebooks.
"""

from __future__ import annotations

import argparse
import ast
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
from pathlib import Path

from joblib import Parallel, delayed
from nbformat.v4 import new_markdown_cell, writes
from PIL import Image

from tools import frames, series

DOCS, DATA = series.ROOT / "docs", series.ROOT / "data"
BUILD = series.ROOT / "build" / "book"
SOURCE, HTML, FRAMES = BUILD / "source", BUILD / "html", BUILD / "frames"
# at most so many values of each control that moves in the book, per explorer of a notebook; others stay where they are
GRID = {
    "01_training": [{"method": 3, "updates": 9}, {"picture": 10, "rows": 15}],
    "02_reciprocal_space": [{"model": 6, "mode": 20}, {"N": 12, "M": 12}],
    "03_partition_function": [{"model": 3, "scale": 12, "beta": 6}],
    "04_fokker_planck_bosons": [{"s": 25, "time": 7}],
    "05_symmetry_breaking": [{"second": 12, "angle": 19}],
    "06_cascade_of_transitions": [{"epoch": 8, "mode": 3, "ceiling": 6}],
}
USUAL = (12, 8)  # values of the first two controls of an explorer that is not in the table
COLOURS = 64  # of a frame; its file is a third of the original then
DISPLAYED = re.compile(r"[ \t]*\$\$((?:(?!\$\$).)*?\\tag\*?\{([^}]*)\}(?:(?!\$\$).)*?)\$\$", re.DOTALL)
NOT_PROSE = r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)|\\begin\{equation\*\}.*?\\end\{equation\*\}"
MENTIONS = re.compile(NOT_PROSE + r"|(?P<mention>\bEqs?\.\s*(?:\([\w.']+\)(?:\s|,|and|or|to|-|–)*)+)", re.DOTALL)
CORRECTION = re.compile(r"(\(?)\*\*Correction:\*\*\s*(\S.*?)(?=\(?\*\*Correction|\n\n|\Z)", re.DOTALL)
FIGURE = re.compile(r"\bFig(?:s?\.|ures?)\s*((?:\d[a-f]?(?:[-–][a-f])?(?:,\s+|\s+and\s+)?)+)")


# ---------------------------------------------------------------- what the notebooks contain
def sections(nb):
    """(heading, number, cells) of each section of a notebook; headings in the middle of a cell start a new one."""
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
            parts = re.split(r"\n(?=#{2,3} )", cell.source)
            yield from (new_markdown_cell(part, id=f"{cell.id}{k or ''}") for k, part in enumerate(parts))
        else:
            yield cell


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
    """Number of an equation of the paper -> (notebook, heading, section, label) where it stands or is discussed."""
    found: dict[int, list] = {number: [] for number in range(1, 58)}
    for name in series.names():
        for heading, k, cells in sections(series.read(name)):
            text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
            if heading in ("References", "Next"):
                continue
            tagged = [tag for tag in series.TAG.findall(text) if re.match(r"P\d", tag)]
            mentioned = re.findall(r"\((P\d+[a-f]?)\)", text)
            for tag in dict.fromkeys(tagged + mentioned):
                label = equation_label(name, tag) if tag in tagged else section_label(name, k)
                entry = (name, heading, tag, label)
                number = int(re.match(r"P(\d+)", tag)[1])
                if tag in tagged:
                    found[number].insert(sum(e[3].startswith("eq-") for e in found[number]), entry)
                elif entry not in found[number]:
                    found[number].append(entry)
    return found


def paper_figures() -> dict[str, list[tuple[str, str, str, bytes, str]]]:
    """Figure of the paper -> (notebook, heading, label, our picture, its description) where the text names it."""
    found: dict[str, list] = {}
    for name in series.names():
        for heading, k, cells in sections(series.read(name)):
            if heading == "References":
                continue
            for i, cell in enumerate(cells):
                named = FIGURE.findall(cell.source) if cell.cell_type == "markdown" else []
                for number in re.findall(r"\d[a-f]?(?:[-–][a-f])?", " ".join(named)):
                    near = sorted(range(len(cells)), key=lambda j: (j < i, abs(j - i)))  # the next one, else one before
                    picture = next((p for j in near for p in pictures(cells[j])), None)
                    if picture:
                        entry = (name, heading, section_label(name, k), *picture)
                        if entry not in found.setdefault(f"Fig. {number}", []):
                            found[f"Fig. {number}"].append(entry)
    return dict(sorted(found.items()))


def pictures(cell) -> list[tuple[bytes, str]]:
    """The PNG files that a cell shows, each with its description."""
    outputs = [out for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
    return [
        (base64.b64decode(out.data["image/png"]), out.metadata.get("image/png", {}).get("alt", "")) for out in outputs
    ]


def corrections() -> list[tuple[str, str, str, str]]:
    """(notebook, heading, label, text) of each correction of the paper."""
    found = []
    for name in series.names():
        for heading, k, cells in sections(series.read(name)):
            text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
            found += [(name, heading, section_label(name, k), part) for part in correction_texts(text)]
    return found


def correction_texts(text: str) -> list[str]:
    """What follows **Correction:** up to the end of the paragraph, or of the parenthesis that holds it."""
    found = []
    for bracket, part in CORRECTION.findall(text):
        depth = itertools.accumulate((c == "(") - (c == ")") for c in part)
        end = next((k for k, d in enumerate(depth) if d < 0), None) if bracket else None
        part = " ".join(part[:end].split())
        found.append(part[0].upper() + part[1:])
    return found


# ---------------------------------------------------------------- notebooks as pages
def page(name: str, places: dict[str, list[str]]):
    """The notebook as the book shows it."""
    nb = series.read(name)
    shown = [statement.cell for statement in series.explorer_code(nb) if statement.shows]
    cells = []
    for first, k, cell in ((part[0], k, cell) for _, k, part in sections(nb) for cell in part):
        if "install" in series.tags(cell):
            continue
        if cell.cell_type == "markdown":
            text = links(link_mentions(displayed(cell.source, name), name, places))
            cell.source = f"({section_label(name, k)})=\n{text}" if cell is first else text
        else:
            alts = [alt for _, alt in pictures(cell)]
            if alts:
                cell.metadata["mystnb"] = {"image": {"alt": " ".join(alts[0].split())}}
            if "solution" in series.tags(cell):
                cell.metadata["tags"] = [*series.tags(cell), "hide-cell"]
        cells.append(cell)
        if cell.id in shown:
            cells.append(new_markdown_cell(frames_html(FRAMES / name / str(shown.index(cell.id)))))
    nb.cells = cells
    return nb


def displayed(text: str, name: str) -> str:
    """Numbered equations as blocks of their own that links can point to."""

    def block(match):
        label, body = equation_label(name, match[2]), match[1].strip()
        return f"\n\n({label})=\n\\begin{{equation*}}\n{body}\n\\end{{equation*}}\n\n"

    return re.sub(r"\n{3,}", "\n\n", DISPLAYED.sub(block, text)).strip()


def link_mentions(text: str, name: str, places: dict[str, list[str]]) -> str:
    """Eq. (2.7) becomes a link, to this notebook if it has that number, else to the first that has it.

    Eq. (P29), whose lines are tagged P29a to P29c, becomes a link to the first of them.
    """

    def one(match):
        tag = match[1] if match[1] in places else f"{match[1]}a"
        where = places.get(tag, [])
        return f"([{match[1]}](#{equation_label(name if name in where else where[0], tag)}))" if where else match[0]

    def all_of(match):
        return re.sub(r"\(([\w.']+)\)", one, match[0]) if match["mention"] else match[0]

    return MENTIONS.sub(all_of, text)


def links(text: str) -> str:
    """Links to files of the repository: to the API page for modules, to the repository for others."""
    text = text.replace("](../docs/", "](../")
    module = re.compile(r"\[`?([\w/.]+?)`?\]\(\.\./(rbmkit/[\w/]+)\.py\)")
    text = module.sub(lambda m: f"{{py:mod}}`{m[1]} <{m[2].replace('/', '.')}>`", text)
    other = re.compile(r"\]\(\.\./((?:rbmkit|data|benchmarks|tests|studies)\b[^)]*)\)")
    return other.sub(rf"]({series.ADDRESS}/blob/main/\1)", text)


# ---------------------------------------------------------------- explorers as frames
def draw_frames(name: str) -> None:
    """The frames of all explorers of a notebook, unless they were drawn from the same sources and data before."""
    folder = FRAMES / name
    digest = digest_of_sources(name)
    if (folder / "digest").exists() and (folder / "digest").read_text() == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for k, box in enumerate(series.explorers(name)):
        table = GRID.get(name, [])
        draw_explorer(box, table[k] if k < len(table) else dict(zip(box.controls, USUAL)), folder / str(k))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digest").write_text(digest)


def draw_explorer(box, grid: dict[str, int], folder: Path) -> None:
    """A picture for each combination of places of the controls in `grid`, and the file axes.json."""
    folder.mkdir(parents=True)
    values = {key: frames.choices(box.controls[key], count) for key, count in grid.items()}
    rest = {key: control.value for key, control in box.controls.items()}
    for places in itertools.product(*(range(len(one)) for one in values.values())):
        picture = box.frame(**rest | {key: one[i] for (key, one), i in zip(values.items(), places)})
        small = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS)
        small.save(folder / f"{'-'.join(map(str, places))}.png", optimize=True)
    axes = [asdict(frames.axis(key, box.controls[key], one)) for key, one in values.items()]
    (folder / "axes.json").write_text(json.dumps(axes))


def digest_of_sources(name: str) -> str:
    """Changes with the code that draws the frames of a notebook, and with the data."""
    code = [ast.unparse(statement) for statement in series.explorer_code(series.read(name))]
    files = [Path(__file__), Path(frames.__file__)]
    files += [*sorted((series.ROOT / "rbmkit").rglob("*.py")), *sorted(DATA.rglob("*.npz"))]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return hashlib.sha256("\n".join(code + sums).encode()).hexdigest()


def frames_html(folder: Path) -> str:
    """Controls and the first picture; frames.js does the rest."""
    axes = [frames.Axis(**axis) for axis in json.loads((folder / "axes.json").read_text())]
    first = "-".join(str(axis.start) for axis in axes)
    width = min(Image.open(folder / f"{first}.png").width, 560)  # in points of the screen
    where = f"../_static/frames/{folder.parent.name}/{folder.name}"
    note = "Drawn when the book was made. In the notebook and by <code>run.py explore</code> all controls are live."
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
            small = Image.open(io.BytesIO(picture)).convert("RGB")
            small.thumbnail((480, 480))
            file = f"{hashlib.sha256(picture).hexdigest()[:16]}.png"
            small.quantize(128).save(folder / file, optimize=True)
            alt = html.escape(" ".join(alt.split()))
            lines.append(f"Notebook {int(name[:2])}, [{heading}](#{label}): {alt}\n")
            lines.append(f'<img src="_static/gallery/{file}" alt="{alt}" loading="lazy">\n')
    lines += ["## Equations\n", "| equation of the paper | where it stands or is discussed |", "|---|---|"]
    for number, entries in paper_equations().items():
        stands = sum(entry[3].startswith("eq-") for entry in entries)  # all of these, and other places up to four
        where = [f"[{tag}](#{label}) in {heading}" for _, heading, tag, label in entries[: max(stands, 4)]]
        lines.append(f"| ({number}) | {'; '.join(where) or 'nowhere'} |")
    return "\n".join(lines)


def list_of_corrections(places: dict[str, list[str]]) -> str:
    lines = []
    for name, heading, label, text in corrections():
        lines.append(f"1. {link_mentions(text, name, places)} (Notebook {int(name[:2])}, [{heading}](#{label}).)\n")
    return "\n".join(lines)


def bibliography() -> str:
    """The references of all notebooks but the paper itself, by author."""
    lines = set()
    for name in series.names():
        for heading, _, cells in sections(series.read(name)):
            text = "\n".join(cell.source for cell in cells) if heading == "References" else ""
            lines |= {" ".join(item.split()) for item in re.findall(r"^[-*] (.+(?:\n  .+)*)", text, re.MULTILINE)}
    kept = {line for line in lines if "Exploring the energy landscape" not in line}
    surname = re.compile(r"^(?:[^\W\d_]\.[- ]?)+")
    return "\n".join(f"- {line}" for line in sorted(kept, key=lambda line: surname.sub("", line).strip()))


def table_of_notebooks() -> str:
    lines = ["| notebook | question | run time, memory |", "|---|---|---|"]
    for name in series.names():
        nb = series.read(name)
        lines.append(f"| [{series.title(nb)}](notebooks/{name}.ipynb) | {series.question(nb)} | {series.cost(name)} |")
    return "\n".join(lines)


def api() -> str:
    """One entry per module of the package, in alphabetical order."""
    lines = []
    for path in sorted((series.ROOT / "rbmkit").rglob("*.py")):
        parts = path.relative_to(series.ROOT).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        if parts[-1] != "__main__" and module != "rbmkit":
            lines.append(f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n")
    return "\n".join(lines)


# ---------------------------------------------------------------- build and serve
def copy_mathjax(folder: Path) -> None:
    """The parts of MathJax that a page with TeX needs, from the package sphinx-mathjax-offline."""
    whole = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
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
    names = series.names()
    try:
        Parallel(n_jobs=2)(delayed(draw_frames)(name) for name in names)  # new processes: OpenMP survives no fork
    except OSError as error:
        raise SystemExit(f"run.py: the explorers cannot be drawn: {error}") from error
    for name in names:
        shutil.copytree(
            FRAMES / name, SOURCE / "_static" / "frames" / name, ignore=shutil.ignore_patterns("*.json", "digest")
        )
    places = equations()
    (SOURCE / "notebooks").mkdir()
    for name in names:
        (SOURCE / "notebooks" / f"{name}.ipynb").write_text(writes(page(name, places)), "utf-8")
    made = {"gallery": gallery(), "corrections": list_of_corrections(places), "bibliography": bibliography()}
    made |= {"table": table_of_notebooks(), "api": api()}
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
    parser = argparse.ArgumentParser(prog="run.py book", description="The book, into build/book/html.")
    help_serve = "then show it at http://127.0.0.1:PORT/ (8000 unless given) until Ctrl+C"
    parser.add_argument("--serve", nargs="?", const=8000, type=series.port, metavar="PORT", help=help_serve)
    chosen = parser.parse_args(options)
    failed = build()
    return failed if failed or chosen.serve is None else serve(chosen.serve)


def serve(port: int) -> int:
    """The book at 127.0.0.1, until Ctrl+C."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=HTML))
    except OSError as error:
        return print(f"run.py: cannot listen on port {port} ({error.strerror}); choose another: --serve PORT") or 1
    print(f"serving the book at http://127.0.0.1:{port}/ until Ctrl+C", flush=True)
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
