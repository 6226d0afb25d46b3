"""The explorers of the series, live, for one reader or a class: a list, and a page for each.

python -m tools.explore [--port PORT] [--ip ADDRESS] [--readers N] [--no-browser]

What an explorer shows depends on the places of its controls and on nothing else. So no reader needs
a process: a few, one per core, load all explorers and draw for everybody, and a picture that was
drawn once is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import html
import mimetypes
import multiprocessing
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
import warnings
import webbrowser
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rbmkit.explorers import EXPLORERS, NOTEBOOKS
from rbmkit.explorers.explorer import Explorer
from rbmkit.explorers.live import Live
from rbmkit.explorers.widgets import EXPECTED
from tools import frames, series

STATIC = series.ROOT / "docs" / "_static"
BOOK = series.ROOT / "build" / "book" / "html"
KEPT = 100_000_000  # bytes of pictures that are kept
AWAY = 120.0  # seconds after which a reader who asked for nothing makes room for another
# seconds that a reader waits for a picture, at most: explorers may still be loading
PATIENCE = 300.0
PICTURE = re.compile(r"/(\w+)/(start|\d+(?:-\d+)*(?:_\d+(?:-\d+)*)*)\.png")
THREADS = "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"
MOST = 8  # processes, of up to 0.6 GB each
PRESSES = 60  # at most so many presses of a button in a row
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/frames.css"><script src="/static/frames.js"></script>
<style>
body {{
  font: 1rem/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 58rem; padding: 0 1rem;
}}
</style>
</head><body>{body}</body></html>"""


# ---------------------------------------------------------------- in the processes that draw
def obedient() -> None:
    """Ctrl+C is for the server alone, which then asks the processes to end; they do so in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    # of a learning rate too large, say: the reader sees what it does
    warnings.simplefilter("ignore", RuntimeWarning)


@functools.cache
def explorer(name: str) -> Explorer | Live:
    """An explorer, loaded when a process first needs it."""
    return EXPLORERS[name]()


def load(name: str) -> None:
    """Load the explorers of a notebook."""
    for make in NOTEBOOKS[name]:
        explorer(make.__name__)


def markup(name: str, note: str) -> str:
    """The HTML of an explorer."""
    one = explorer(name)
    if isinstance(one, Live):
        return frames.live_markup(name, one.module, f"/{name}/data.js", note)
    axes = [frames.axis(control, control.values) for control in one.controls.values()]
    first = "start" if one.buttons else "-".join(str(axis.start) for axis in axes)
    how = {"width": 320, "note": note, "live": True, "buttons": one.buttons}
    return frames.markup(axes, f"/{name}", first, **how)


def script(name: str) -> bytes:
    """The data of a live explorer."""
    return explorer(name).script().encode()


def draw(name: str, at: str) -> tuple[int, bytes]:
    """200 and the picture with the address `at`, e.g. 3-0-12.

    If there is none, another HTTP status, and a sentence that tells why.
    """
    one = explorer(name)
    parts = [] if at == "start" else at.split("_")
    settings = [setting(one, list(map(int, part.split("-")))) for part in parts]
    if None in settings or (len(settings) != 1 and not one.buttons):
        return 404, b"There is no such picture."
    try:
        return 200, one.picture(*settings)
    except EXPECTED as error:
        return 422, " ".join(str(error).split()).encode()


def setting(one: Explorer, places: list[int]) -> dict | None:
    """The values of the controls at these places, by name; None if there are no such places."""
    values = [control.values for control in one.controls.values()]
    if len(places) != len(values) or any(p >= len(v) for p, v in zip(places, values)):
        return None
    return {name: v[p] for name, v, p in zip(one.controls, values, places)}


# ---------------------------------------------------------------- in the server
@functools.cache
def headings(notebook: str) -> dict[str, str]:
    """The explorers of a notebook, by name, and the headings below which it shows them."""
    return {name: heading for name, (heading, _) in series.explorers(series.read(notebook)).items()}


@functools.cache
def title(notebook: str) -> str:
    return series.title(series.read(notebook))


def home(name: str) -> str:
    """The notebook that shows an explorer."""
    return next(notebook for notebook, makers in NOTEBOOKS.items() if EXPLORERS[name] in makers)


class Pictures:
    """Pictures by address, drawn by the processes of `pool`, each once; the latest are kept."""

    def __init__(self, pool: Executor):
        self.pool = pool
        self.lock = threading.Lock()
        self.size = 0
        self.known: OrderedDict[tuple, Future] = OrderedDict()

    def get(self, *address) -> tuple[int, bytes]:
        """Waits until the picture is there; all who ask for it while it is drawn wait for one."""
        with self.lock:
            new = address not in self.known
            if new:
                self.known[address] = self.pool.submit(draw, *address)
            future = self.known[address]
            self.known.move_to_end(address)
        if new:
            future.add_done_callback(lambda done: self._keep(address, done))
        return future.result(PATIENCE)

    def _keep(self, address: tuple, done: Future) -> None:
        with self.lock:
            if done.cancelled() or done.exception() or done.result()[0] != 200:
                self.known.pop(address, None)
                return
            self.size += len(done.result()[1])
            for oldest in list(self.known) if self.size > KEPT else ():
                if self.size > KEPT and oldest != address and self.known[oldest].done():
                    self.size -= len(self.known.pop(oldest).result()[1])


class Readers:
    """Who reads: at most `limit`; one who asked for nothing for two minutes is away."""

    def __init__(self, limit: int):
        self.limit = limit
        self.lock = threading.Lock()
        self.seen = {}

    def admit(self, reader: str) -> bool:
        """Is there room? Readers who are in stay in."""
        now = time.monotonic()
        with self.lock:
            self.seen = {name: at for name, at in self.seen.items() if now - at < AWAY}
            room = reader in self.seen or len(self.seen) < self.limit
            if room:
                self.seen[reader] = now
            return room


@dataclass
class Hall:
    """All that the server knows."""

    pool: Executor
    pictures: Pictures
    readers: Readers

    def answer(self, path: str, reader: str) -> tuple[int, str, bytes]:
        """HTTP status, type and content of a path."""
        if path == "/":
            return 200, "text/html", overview().encode()
        if path.startswith(("/static/", "/book/")):
            return file_in(STATIC if path.startswith("/static/") else BOOK, path.split("/", 2)[2])
        name = path.split("/")[1]
        if name not in EXPLORERS:
            return 404, "text/plain", b"There is no such page."
        if not self.readers.admit(reader):
            return 503, "text/html", full(name, self.readers.limit).encode()
        picture = PICTURE.fullmatch(path)
        if picture and picture[2].count("_") >= PRESSES:
            return 422, "text/plain", b"That is far enough: start again."
        if picture:
            status, content = self.pictures.get(name, picture[2])
            return status, "image/png" if status == 200 else "text/plain", content
        if path == f"/{name}/data.js":
            return 200, "text/javascript", self.pool.submit(script, name).result(PATIENCE)
        return 200, "text/html", self.explorer(name).encode()

    def explorer(self, name: str) -> str:
        """The page of one explorer."""
        where = html.escape(title(home(name)))
        note = f"From notebook <i>{where}</i>, which explains it. <a href='/'>All explorers</a>"
        body = self.pool.submit(markup, name, note).result(PATIENCE)
        return written(headings(home(name))[name], body)


def written(heading: str, body: str) -> str:
    heading = html.escape(heading.replace("$", ""))
    return PAGE.format(title=heading, body=f"<h1>{heading}</h1>{body}")


def overview() -> str:
    """The list of all explorers."""
    lines = ["<p>Move a slider, with a finger, the mouse or the arrow keys, "]
    lines += ["and the picture follows.</p>"]
    for notebook in NOTEBOOKS:
        lines.append(f"<h2>{html.escape(title(notebook))}</h2><ul>")
        for name, heading in headings(notebook).items():
            lines.append(f"<li><a href='/{name}'>{html.escape(heading)}</a></li>")
        lines.append("</ul>")
    return written("Explorers", "".join(lines) + f"<p>{book_link('')}</p>")


def full(name: str, limit: int) -> str:
    """What one reader too many sees."""
    page = f"notebooks/{home(name)}.html"
    lines = [f"<p>All {limit} places are taken. One becomes free when a reader has not moved "]
    lines += [f"anything for two minutes: <a href='/{name}'>try again</a>. Pictures that need "]
    lines += [f"no place are in the book of the series:</p><p>{book_link(page)}</p>"]
    return written("The hall is full", "".join(lines))


def book_link(page: str) -> str:
    if not (BOOK / page).exists():
        command = "<code>python3 run.py book</code>"
        return f"The book is not here: whoever runs this server can make it with {command}."
    text = "The book, with explorers as pictures that were drawn before"
    return f"<a href='/book/{page or 'index.html'}'>{text}</a>"


def file_in(folder: Path, name: str) -> tuple[int, str, bytes]:
    """A file of a folder, or 404; nothing outside of it."""
    path = (folder / unquote(name)).resolve()
    if not path.is_file() or not path.is_relative_to(folder.resolve()):
        return 404, "text/plain", b"There is no such file."
    return 200, mimetypes.guess_type(path.name)[0] or "application/octet-stream", path.read_bytes()


class Handler(BaseHTTPRequestHandler):
    """One connection of a browser."""

    protocol_version = "HTTP/1.1"
    timeout = 2 * AWAY

    def do_GET(self):
        cookie = re.search(r"\breader=(\w+)", self.headers.get("Cookie", ""))
        reader = cookie[1] if cookie else secrets.token_hex(8)
        try:
            status, kind, content = self.server.hall.answer(urlsplit(self.path).path, reader)
        except (TimeoutError, BrokenExecutor, CancelledError):
            status = 503
            kind = "text/plain"
            content = b"The server is too busy, or stops."
        if kind.startswith("text/"):
            kind += "; charset=utf-8"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "max-age=3600" if kind == "image/png" else "no-cache")
        if not cookie and status == 200:
            self.send_header("Set-Cookie", f"reader={reader}; HttpOnly; SameSite=Lax; Path=/")
        self.end_headers()
        self.wfile.write(content)

    def handle(self):
        with contextlib.suppress(ConnectionError):  # a browser that closes is no error
            super().handle()

    def finish(self):
        with contextlib.suppress(ConnectionError):
            super().finish()

    def log_message(self, *words):
        """Readers are not logged."""


class Server(ThreadingHTTPServer):
    """Serves until it is stopped; `hall` knows what."""

    request_queue_size = 128  # a class opens the page at once
    hall: Hall


# ---------------------------------------------------------------- the command
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
    parser = argparse.ArgumentParser(
        prog="run.py explore", description="The explorers, live, for a reader or a class."
    )
    parser.add_argument("--port", type=series.port, default=8866)
    parser.add_argument(
        "--ip", default="127.0.0.1", help="any but 127.0.0.1 opens the pages to others"
    )
    parser.add_argument("--readers", type=int, default=40, help="at most so many at a time (40)")
    parser.add_argument("--no-browser", action="store_true")
    chosen = parser.parse_args(options)
    refused = problem(chosen.ip, chosen.port)
    if refused:
        print(f"run.py: {refused}")
        return 1
    return serve(chosen.ip, chosen.port, chosen.readers, browser=not chosen.no_browser)


def serve(ip: str, port: int, readers: int, *, browser: bool) -> int:
    """The explorers at this address, until Ctrl+C."""
    address = f"http://{ip}:{port}/"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl+C
    os.environ.update(dict.fromkeys(THREADS, "1"), MPLBACKEND="agg")  # of the processes that draw
    workers = min(os.cpu_count() or 2, MOST)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), obedient)
    hall = Hall(pool, Pictures(pool), Readers(readers))
    with contextlib.suppress(KeyboardInterrupt), running(ip, port, hall):
        hint = "(if no browser opens, copy the address; Ctrl+C stops)"
        print(f"Explorers at {address} {hint}", flush=True)
        if browser:
            webbrowser.open(address)
        load_all(pool, workers)
        threading.Event().wait()
    return 0


@contextlib.contextmanager
def running(ip: str, port: int, hall: Hall) -> Iterator[Server]:
    """A server that answers in the background; it stops at the end, and those who draw as well."""
    with Server((ip, port), Handler) as server:
        server.hall = hall
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
            for process in multiprocessing.active_children():
                process.terminate()  # nobody waits any more for what they draw
            hall.pool.shutdown(cancel_futures=True)


def load_all(pool: Executor, workers: int) -> None:
    """Load the explorers, notebook by notebook, into all processes.

    Those that readers ask for come first.
    """
    start = time.monotonic()
    for notebook in NOTEBOOKS:
        wait([pool.submit(load, notebook) for _ in range(workers)])
        print(f"  {time.monotonic() - start:3.0f} s  loaded: {title(notebook)}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
