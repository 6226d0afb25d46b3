"""The series as its readers and builders see it.

Names, titles, addresses and costs of the notebooks, and where explorers stand in them.

python -m tools.series      # write the costs and the address of the project where readers see them
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib

import nbformat

from run import COST, NOTEBOOKS, ROOT, SERIES, rebuild, tidy

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# empty until the project is published somewhere
ADDRESS = PROJECT.get("urls", {}).get("Repository", "")
TAG = re.compile(r"\\tag\*?\{([^}]*)\}")


def names(part: str = "") -> list[str]:
    """Names of the notebooks that contain `part`, in order, e.g. 02_reciprocal_space."""
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
    """A row of the first table: links that open a notebook on Binder, in Colab, on GitHub.

    Empty without an address.
    """
    if not ADDRESS:
        return ""
    slug = ADDRESS.removeprefix("https://github.com/")
    file = f"notebooks/{name}.ipynb"
    links = {
        "Binder": f"https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/{file}",
        "Colab": f"https://colab.research.google.com/github/{slug}/blob/main/{file}",
        "GitHub": f"{ADDRESS}/blob/main/{file}",
    }
    badge = "[![{}](../docs/_static/{}.svg)]({})"
    shown = [badge.format(site, site.lower(), link) for site, link in links.items()]
    return f"| Open in | {' '.join(shown)} |\n"


def install() -> str:
    """The cell that fetches the project where it is missing, as in Colab.

    Empty without an address.
    """
    return INSTALL.format(ADDRESS) if ADDRESS else ""


def addressed(text: str, file: str) -> str:
    """Let links to files of the project whose path matches `file` lead to its address.

    Without an address, only their names are left.
    """
    link = re.compile(rf"\[([^]\n]*)\]\(\.\./({file})\)")
    return link.sub(rf"[\1]({ADDRESS}/blob/main/\2)" if ADDRESS else r"\1", text)


INSTALL = """\
# where rbmkit is missing, as in Colab, this cell fetches the project; elsewhere it does nothing
import sys
from importlib.util import find_spec

# missing, or only the folder that a session before fetched
if getattr(find_spec("rbmkit"), "origin", None) is None:
    sys.modules.pop("rbmkit", None)
    !test -d rbmkit || git clone --quiet --depth 1 {}
    %cd rbmkit"""


def port(text: str) -> int:
    """A number of a port, as argparse wants it."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: it must be a number from 1 to 65535")
    return int(text)


def cost(name: str) -> str:
    """Run time and memory as measured by ``run.py measure``."""
    measured = json.loads(COST.read_text("utf-8")).get(name)
    if not measured:
        return "not measured yet"
    return f"{measured['seconds']:.0f} s, {measured['gigabytes']:.1f} GB"


def stamp() -> None:
    """Write the costs into the README, the index and the first table of each notebook."""
    tables = [ROOT / "README.md", *NOTEBOOKS.glob("00_index.*")]
    for name, measured in json.loads(COST.read_text("utf-8")).items():
        row = rf"(\((?:notebooks/)?{name}\.ipynb\)(?:(?!\\n)[^\n])*\| )[^|\n]*( \|(?=\\n|\n|\"|$))"
        for path in tables:
            text = path.read_text("utf-8")
            path.write_text(re.sub(row, rf"\g<1>{cost(name)}\g<2>", text), "utf-8", newline="\n")
        told = f"about {measured['seconds']} s and {measured['gigabytes']} GB on 2 cores"
        line = f"| Run time, memory | {told} |"
        for path in NOTEBOOKS.glob(f"{name}.*"):
            text = path.read_text("utf-8")
            text = re.sub(r"\| Run time, memory \|[^|]*\|", line, text)
            path.write_text(text, "utf-8", newline="\n")


def stamp_address() -> None:
    """Write the address that pyproject has, or has not, into CITATION.cff and the notebooks."""
    citation = ROOT / "CITATION.cff"
    lines = citation.read_text("utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("repository-code:")]
    lines += [f'repository-code: "{ADDRESS}"'] if ADDRESS else []
    citation.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
    for name in SERIES:
        path = NOTEBOOKS / f"{name}.md"
        text = path.read_text("utf-8")
        if (new := with_address(text, name)) != text:
            path.write_text(new, "utf-8", newline="\n")
            rebuild(path)
            tidy(path.with_suffix(".ipynb"))


def with_address(text: str, name: str) -> str:
    """The .md of a notebook with the row of badges and the cell for Colab that fit the address."""
    text = re.sub(r"\| Open in \|.*\n", "", text)
    text = re.sub(r"```\{code-cell\}\n:tags: \[install\]\n.*?\n```\n\n", "", text, flags=re.DOTALL)
    table = re.search(r"\| \| \|\n\|---\|---\|\n(?:\|.*\n)+", text)
    text = text[: table.end()] + badges(name) + text[table.end() :]
    cell = f"```{{code-cell}}\n:tags: [install]\n\n{install()}\n```\n\n" if ADDRESS else ""
    return text.replace("```{code-cell}", cell + "```{code-cell}", 1)


def explorers(nb) -> dict[str, tuple[str, str]]:
    """Explorers that a notebook shows, by name: the heading above, and the cell."""
    heading = ""
    found = {}
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            heading = [heading, *re.findall(r"(?m)^#{2,3} (.+)", cell.source)][-1]
        else:
            shown = re.findall(r"(?m)^explorers\.(\w+)\(\)\.show\(\)", cell.source)
            found |= dict.fromkeys(shown, (heading, cell.id))
    return found


if __name__ == "__main__":
    stamp()
    stamp_address()
