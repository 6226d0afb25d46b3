"""All explorers of the series on one page, served by Voila on 127.0.0.1.

python -m tools.explore [--port PORT] [--ip ADDRESS] [--no-browser]
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import subprocess
import sys

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes

from run import METADATA
from tools import series

PAGE = series.ROOT / "build" / "explore" / "explorers.ipynb"


def page():
    """A notebook that shows the explorers, notebook by notebook."""
    cells = [
        new_markdown_cell(
            "# Explorers\n\nMove a slider, with the mouse or with the arrow keys, and the picture follows. "
            "What they show is explained in the notebooks."
        ),
        new_code_cell("from tools.explore import show"),
    ]
    for name in series.names():
        if any(statement.shows for statement in series.explorer_code(series.read(name))):
            cells += [new_markdown_cell(f"## {series.title(series.read(name))}"), new_code_cell(f"show({name!r})")]
    return new_notebook(cells=cells, metadata=METADATA)


def show(name: str) -> None:
    """Display the explorers of a notebook, or one sentence that says why not."""
    from IPython.display import display

    from rbmkit.explorers.widgets import EXPECTED

    try:
        display(*series.explorers(name))
    except EXPECTED as error:
        print(f"Not available: {error}")


def problem(ip: str, port: int) -> str:
    """Why this address cannot be listened on, or an empty text."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                return f"{ip} is no address of this machine; try --ip 127.0.0.1"
            return f"port {port} of {ip} is in use or not yours; choose another --port"
    return ""


def main(options: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run.py explore", description="All explorers on one page.")
    parser.add_argument("--port", type=series.port, default=8866)
    parser.add_argument("--ip", default="127.0.0.1", help="any but 127.0.0.1 opens the page to others")
    parser.add_argument("--no-browser", action="store_true")
    chosen = parser.parse_args(options)
    refused = problem(chosen.ip, chosen.port)
    if refused:
        return print(f"run.py: {refused}") or 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(writes(page()), "utf-8")
    address = f"http://{chosen.ip}:{chosen.port}/"
    print(f"Explorers at {address} (if no browser opens, copy the address; Ctrl+C stops)", flush=True)
    command = [sys.executable, "-m", "voila", PAGE, f"--Voila.ip={chosen.ip}", f"--port={chosen.port}"]
    command += ["--Voila.log_level=ERROR", "--progressive_rendering=True", "--KernelManager.transport_encryption=auto"]
    environment = {**os.environ, "PYTHONPATH": str(series.ROOT)}
    try:
        return subprocess.call([*command, "--no-browser"] if chosen.no_browser else command, env=environment)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
