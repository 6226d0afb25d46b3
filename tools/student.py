"""A copy of the notebooks for students: without solutions and outputs.

python -m tools.student [FOLDER]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from nbformat.v4 import new_code_cell, writes

from tools import series

SOLUTION = re.compile(r"\s*<details>\s*<summary>Solution</summary>.*?</details>", re.DOTALL)


def student_copy(nb):
    """The notebook with an empty cell in place of each solution; quiz answers stay, for self-study."""
    cells = []
    for cell in nb.cells:
        if "solution" in series.tags(cell):
            cell = new_code_cell("# your solution", id=cell.id)
        elif cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = SOLUTION.sub("", cell.source)
        if cell.source.strip():
            cells.append(cell)
    nb.cells = cells
    return nb


def main(options: list[str]) -> int:
    folder = Path(options[0] if options else series.ROOT / "build" / "student")
    taken = [path for path in (folder / f"{name}.ipynb" for name in series.names()) if path.exists()]
    if taken and options:
        return print(f"run.py: {taken[0]} exists and may hold somebody's work; choose another folder") or 1
    folder.mkdir(parents=True, exist_ok=True)
    for name in series.names():
        (folder / f"{name}.ipynb").write_text(writes(student_copy(series.read(name))), "utf-8")
    print(f"{len(series.names())} notebooks without solutions in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
