"""The two files of a notebook hold the same cells, in whichever of them somebody worked.

JupyterLab saves both. Other editors change one: then the newer one counts, and what the older one
was is kept in build/replaced.

python -m tools.pairs           before JupyterLab opens
python -m tools.pairs TEXT ...  before the .ipynb of these .md are rebuilt: then the .md counts
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import jupytext
from jupytext.config import load_jupytext_config

from run import NOTEBOOKS, ROOT

KEPT = ROOT / "build" / "replaced"


def cells(path: Path) -> list[tuple]:
    """Type, source and tags of each cell of a notebook in either form."""
    return [
        (cell.cell_type, cell.source.strip(), sorted(cell.metadata.get("tags", [])))
        for cell in jupytext.read(path).cells
    ]


def keep(path: Path) -> str:
    """Copy a file that is about to be replaced; with a checksum in its name no copy replaces
    another."""
    KEPT.mkdir(parents=True, exist_ok=True)
    copy = KEPT / f"{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}{path.suffix}"
    shutil.copy2(path, copy)
    return copy.as_posix()


def settle(text: Path, *, text_counts: bool = False) -> str:
    """Let the newer file of a pair count, or the .md if `text_counts`; tell what was done, if
    anything.

    The .md is written anew if it is the older one. The .ipynb is left to JupyterLab or ``run.py
    sync``, which put the cells of the .md into it.
    """
    notebook = text.with_suffix(".ipynb")
    if not notebook.exists() or cells(text) == cells(notebook):
        return ""
    if text_counts or text.stat().st_mtime >= notebook.stat().st_mtime:
        what = f"{notebook.name} has other cells than {text.name}, which counts"
        return f"{what}; a copy is in {keep(notebook)}"
    copy = keep(text)
    write(jupytext.read(notebook), text)
    what = f"{text.name} was written anew from {notebook.name}, which is newer"
    return f"{what}; what it was is in {copy}"


def write(nb, text: Path) -> None:
    """The .md of a notebook, as JupyterLab writes it."""
    jupytext.write(nb, text, fmt="md:myst", config=load_jupytext_config(str(text)))


def main(texts: list[str]) -> int:
    for text in map(Path, texts) if texts else sorted(NOTEBOOKS.glob("*.md")):
        done = settle(text, text_counts=bool(texts))
        if done:
            print(done, flush=True)
        if texts:
            write(jupytext.read(text), text)  # its blank lines, too, as JupyterLab writes them
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
