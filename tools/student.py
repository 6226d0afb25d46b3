"""A copy of the notebooks for students: without solutions and outputs.

python -m tools.student [FOLDER]
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
from pathlib import Path

from nbformat.v4 import new_code_cell, writes

from tools import series

SOLUTION = re.compile(r"\s*<details>\s*<summary>Solution</summary>.*?</details>", re.DOTALL)
OPEN_IN = re.compile(r"\| Open in \|[^\n]*\n?")  # a row of the first table
PICTURE = re.compile(r"(!\[[^\]]*\])\(\.\./(docs/[^)]*/([^)/]+\.png))\)")


def student_copy(nb):
    """The notebook with an empty cell in place of each solution; quiz answers stay, for self-study.

    Links to the published notebooks, which have the solutions, are left out; links to other files
    of the project lead to its address, wherever the copy is, or are names only while it has none.
    """
    cells = []
    for cell in nb.cells:
        if "solution" in series.tags(cell):
            cell = new_code_cell("# your solution", id=cell.id)
        elif cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
        else:
            plain = attach_pictures(cell, OPEN_IN.sub("", SOLUTION.sub("", cell.source)))
            cell.source = series.addressed(plain, r"[^)]*")
        if cell.source.strip():
            cells.append(cell)
    nb.cells = cells
    return nb


def attach_pictures(cell, text: str) -> str:
    """Put the pictures that the text shows into the cell; return the text, which names them there.
    """
    files = {name: (series.ROOT / path).read_bytes() for _, path, name in PICTURE.findall(text)}
    if files:
        cell.attachments = {
            name: {"image/png": base64.b64encode(file).decode()} for name, file in files.items()
        }
    return PICTURE.sub(r"\1(attachment:\3)", text)


def main(options: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="run.py student", description="A copy of the notebooks without solutions."
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="build/student unless given"
    )
    chosen = parser.parse_args(options).folder
    folder = chosen or series.ROOT / "build" / "student"
    files = {name: folder / f"{name}.ipynb" for name in series.names()}
    taken = [path for path in files.values() if path.exists()]
    if taken and chosen:
        print(f"run.py: {taken[0]} exists and may hold somebody's work; choose another folder")
        return 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"run.py: cannot make the folder {folder} ({error.strerror}); choose another")
        return 1
    for name, path in files.items():
        path.write_text(writes(student_copy(series.read(name))), "utf-8")
    print(f"{len(files)} notebooks without solutions in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
