"""The series as its readers and builders see it: names, titles, addresses, costs, and where explorers stand.

python -m tools.series      # write the costs and the address of the project where readers see them
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib

import nbformat

from run import COST, NOTEBOOKS, ROOT, SERIES

ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]
TAG = re.compile(r"\\tag\*?\{([^}]*)\}")


def names(part: str = "") -> list[str]:
    """Names of the notebooks, in order, e.g. 02_reciprocal_space; only those that contain `part`."""
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
    slug, file = ADDRESS.removeprefix("https://github.com/"), f"notebooks/{name}.ipynb"
    links = {
        "Binder": f"https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/{file}",
        "Colab": f"https://colab.research.google.com/github/{slug}/blob/main/{file}",
        "GitHub": f"{ADDRESS}/blob/main/{file}",
    }
    return " ".join(f"[![{site}](../docs/_static/{site.lower()}.svg)]({link})" for site, link in links.items())


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
    return f"{measured['seconds']:.0f} s, {measured['gigabytes']:.1f} GB" if measured else "not measured yet"


def stamp() -> None:
    """Write the costs into the README, the index and the first table of each notebook."""
    tables = [ROOT / "README.md", *NOTEBOOKS.glob("00_index.*")]
    for name, measured in json.loads(COST.read_text("utf-8")).items():
        row = rf"(\((?:notebooks/)?{name}\.ipynb\)(?:(?!\\n)[^\n])*\| )[^|\n]*( \|(?=\\n|\n|\"|$))"
        for path in tables:
            text = path.read_text("utf-8")
            path.write_text(re.sub(row, rf"\g<1>{cost(name)}\g<2>", text), "utf-8", newline="\n")
        for path in NOTEBOOKS.glob(f"{name}.*"):
            line = f"| Run time, memory | about {measured['seconds']} s and {measured['gigabytes']} GB on 2 cores |"
            text = path.read_text("utf-8")
            path.write_text(re.sub(r"\| Run time, memory \|[^|]*\|", line, text), "utf-8", newline="\n")


def stamp_address() -> None:
    """Write the address that pyproject has into CITATION.cff and the notebooks, in place of the one they have."""
    citation = ROOT / "CITATION.cff"
    old = re.search(r'repository-code: "https://github\.com/([^"]+)"', citation.read_text("utf-8"))[1]
    link = re.compile(rf"(github\.com/|com/github/|v2/gh/){re.escape(old)}\b")
    for path in [citation, *(NOTEBOOKS / (name + end) for name in SERIES for end in (".md", ".ipynb"))]:
        text = link.sub(rf"\g<1>{ADDRESS.removeprefix('https://github.com/')}", path.read_text("utf-8"))
        path.write_text(text, "utf-8", newline="\n")


def explorers(nb) -> dict[str, tuple[str, str]]:
    """Explorers that a notebook shows, by name: the heading above, and the cell."""
    heading, found = "", {}
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            heading = ([heading] + re.findall(r"(?m)^#{2,3} (.+)", cell.source))[-1]
        else:
            shown = re.findall(r"(?m)^explorers\.(\w+)\(\)\.show\(\)", cell.source)
            found |= dict.fromkeys(shown, (heading, cell.id))
    return found


if __name__ == "__main__":
    stamp()
    stamp_address()
