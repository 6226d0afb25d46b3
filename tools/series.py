"""The series as its readers and builders see it: names, titles, addresses, costs, and the explorers
of a notebook.

python -m tools.series      # write the costs and the address of the project where readers see them
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import re
import symtable
import tomllib

import nbformat

from run import COST, NOTEBOOKS, ROOT, SERIES

ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
    "Repository"
]
TAG = re.compile(r"\\tag\*?\{([^}]*)\}")


def names(part: str = "") -> list[str]:
    """Names of the notebooks, in order, e.g. 02_reciprocal_space; only those that contain
    `part`."""
    return [name for name in SERIES if part in name and (NOTEBOOKS / f"{name}.ipynb").exists()]


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def title(nb) -> str:
    """The heading, without its #."""
    return nb.cells[0].source.splitlines()[0].lstrip("# ")


def question(nb) -> str:
    """The bold sentence below the heading."""
    return " ".join(re.search(r"\*\*(.+?)\*\*", nb.cells[0].source, re.DOTALL)[1].split())


def badges(name: str) -> str:
    """Links that open a notebook on Binder, in Colab and on GitHub, as Markdown."""
    slug = ADDRESS.removeprefix("https://github.com/")
    file = f"notebooks/{name}.ipynb"
    links = {
        "Binder": f"https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/{file}",
        "Colab": f"https://colab.research.google.com/github/{slug}/blob/main/{file}",
        "GitHub": f"{ADDRESS}/blob/main/{file}",
    }
    return " ".join(
        f"[![{site}](../docs/_static/{site.lower()}.svg)]({link})" for site, link in links.items()
    )


INSTALL = f"""\
import sys  # where rbmkit is missing, as in Colab, this cell fetches the project; elsewhere it does nothing
from importlib.util import find_spec

if getattr(find_spec("rbmkit"), "origin", None) is None:  # missing, or only the folder that a session before fetched
    sys.modules.pop("rbmkit", None)
    !test -d rbmkit || git clone --quiet --depth 1 {ADDRESS}
    %cd rbmkit"""


def port(text: str) -> int:
    """A number of a port, as argparse wants it."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: it must be a number from 1 to 65535")
    return int(text)


def cost(name: str) -> str:
    """Run time and memory as measured by ``run.py measure``."""
    measured = json.loads(COST.read_text("utf-8")).get(name)
    return (
        f"{measured['seconds']:.0f} s, {measured['gigabytes']:.1f} GB"
        if measured
        else "not measured yet"
    )


def stamp() -> None:
    """Write the costs into the README, the index and the first table of each notebook."""
    tables = [ROOT / "README.md", *NOTEBOOKS.glob("00_index.*")]
    for name, measured in json.loads(COST.read_text("utf-8")).items():
        row = rf"(\((?:notebooks/)?{name}\.ipynb\)(?:(?!\\n)[^\n])*\| )[^|\n]*( \|(?=\\n|\n|\"|$))"
        for path in tables:
            text = path.read_text("utf-8")
            path.write_text(re.sub(row, rf"\g<1>{cost(name)}\g<2>", text), "utf-8", newline="\n")
        for path in NOTEBOOKS.glob(f"{name}.*"):
            told = f"about {measured['seconds']} s and {measured['gigabytes']} GB on 2 cores"
            line = f"| Run time, memory | {told} |"
            text = path.read_text("utf-8")
            path.write_text(
                re.sub(r"\| Run time, memory \|[^|]*\|", line, text), "utf-8", newline="\n"
            )


def stamp_address() -> None:
    """Write the address that pyproject has into CITATION.cff and the notebooks, in place of the
    one they have."""
    citation = ROOT / "CITATION.cff"
    old = re.search(r'repository-code: "https://github\.com/([^"]+)"', citation.read_text("utf-8"))[
        1
    ]
    link = re.compile(rf"(github\.com/|com/github/|v2/gh/){re.escape(old)}\b")
    for path in [
        citation,
        *(NOTEBOOKS / (name + end) for name in SERIES for end in (".md", ".ipynb")),
    ]:
        text = link.sub(
            rf"\g<1>{ADDRESS.removeprefix('https://github.com/')}", path.read_text("utf-8")
        )
        path.write_text(text, "utf-8", newline="\n")


# ---------------------------------------------------------------- explorers
def explorers(name: str) -> list:
    """The explorers of a notebook, alive: runs the statements that they need, and nothing else."""
    space = {"__name__": name}
    boxes = []
    with contextlib.redirect_stdout(io.StringIO()):
        for statement in explorer_code(read(name)):
            if statement.shows:
                boxes.append(eval(compile(ast.Expression(statement.value), name, "eval"), space))
            else:
                exec(compile(ast.Module([statement], []), name, "exec"), space)
    return boxes


def explorer_code(nb) -> list[ast.stmt]:
    """The statements that show an explorer (`shows` is true) and those that they need, found by
    the names used."""
    skip = {"install", "solution"}
    statements = []
    for cell in nb.cells:
        if cell.cell_type == "code" and not skip & set(tags(cell)):
            plain = re.sub(r"(?m)^\s*[%!].*$", "", cell.source)  # without magics
            statements += [setattr(s, "cell", cell.id) or s for s in ast.parse(plain).body]
    imports = {name for statement in statements for name in _imports(statement)}
    needed: set[str] = set()
    chosen = []
    for statement in reversed(statements):
        defined, changed, used = _names(statement)
        statement.shows = isinstance(statement, ast.Expr) and bool(imports & _root(statement.value))
        if statement.shows or needed & (defined | changed):
            needed = needed - defined | used
            chosen.append(statement)
    return chosen[::-1]


def _imports(statement: ast.stmt) -> set[str]:
    """Names that a statement imports from rbmkit.explorers."""
    if not isinstance(statement, ast.ImportFrom) or not (statement.module or "").startswith(
        "rbmkit.explorers"
    ):
        return set()
    return {alias.asname or alias.name for alias in statement.names}


def _root(node: ast.expr) -> set[str]:
    """{"explorers"} for a call ``explorers.something(...)``; else an empty set."""
    if not isinstance(node, ast.Call):
        return set()
    while isinstance(node, (ast.Call, ast.Attribute)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _names(statement: ast.stmt) -> tuple[set[str], set[str], set[str]]:
    """Names that a statement defines, changes in place, and uses."""
    tables = [symtable.symtable(ast.unparse(statement), "statement", "exec")]
    top = tables[0].get_symbols()
    defined = {s.get_name() for s in top if s.is_assigned() or s.is_imported()}
    used = {s.get_name() for s in top if s.is_referenced()}
    while tables:  # functions and comprehensions, and those inside them
        inner = tables.pop().get_children()
        used |= {s.get_name() for table in inner for s in table.get_symbols() if s.is_global()}
        tables += inner
    changed = set()
    for node in ast.walk(statement):
        target = None
        if isinstance(node, ast.AugAssign):  # total += ...
            target = node.target
        elif isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(
            node.ctx, ast.Load
        ):
            target = node  # values[0] = ...
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            # panels.append(...)
            target = node.value.func if isinstance(node.value.func, ast.Attribute) else None
        changed |= {n.id for n in ast.walk(target) if isinstance(n, ast.Name)} if target else set()
    loop = ast.walk(statement.target) if isinstance(statement, ast.For) else ()
    return (
        defined - changed,
        changed,
        used - {node.id for node in loop if isinstance(node, ast.Name)},
    )


if __name__ == "__main__":
    stamp()
    stamp_address()
