"""A class at the explorers: real browsers that open pages and move sliders at the same time.

    python benchmarks/hall.py [READERS]     # 8 unless given; about 90 s on 2 quiet cores

Starts `run.py explore` and one Chromium with as many separate readers. Goals: a first page within 3
s when nobody else is there, all readers ready within 20 s, a slider that answers within 1 s
(median) while all move theirs without a pause, and not a line in the log of the server when the
browser closes. Readers move to random places, so that hardly a picture is asked for twice: the
worst case. Browsers and server share the machine here, so the numbers are upper bounds. On a busy
machine look at the processor time that the server needs per answer: readers times this, over cores,
is what a quiet machine would take. Linux only.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rbmkit.explorers import EXPLORERS, NOTEBOOKS
from tools import series

SECONDS = 20  # that all readers move their sliders
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
READY = """() => {
  const i = document.querySelector(".frames img");
  return i?.complete && i.naturalWidth > 0;
}"""
# moves random sliders without a pause until the time is over; keeps the seconds from each move to
# its picture
MOVE = """seconds => {
  const image = document.querySelector(".frames img");
  const controls = [...document.querySelectorAll(".frames input, .frames select")];
  const button = document.querySelector(".frames button");
  const end = performance.now() + 1000 * seconds;
  const picture = () => new Promise((done) => {
    image.addEventListener("load", done, { once: true });
    image.addEventListener("error", done, { once: true });
  });
  window.times = [];
  (async () => {
    while (performance.now() < end) {
      const start = performance.now();
      const control = controls[Math.floor(Math.random() * controls.length)];
      const places = control.options ? control.options.length : Number(control.max) + 1;
      const next = (Number(control.value) + 1 + Math.floor(Math.random() * (places - 1))) % places;
      control.value = next;
      const drawn = picture();
      control.dispatchEvent(new Event("input"));
      if (button) button.click();
      await drawn;
      window.times.push((performance.now() - start) / 1000);
    }
    window.done = true;
  })();
}"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid):
    """A process and all that it started (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def memory(pid):
    """Gigabytes of a process and those that it started; what they share is counted once."""
    kilobytes = 0
    for one in family(pid):
        told = Path(f"/proc/{one}/smaps_rollup").read_text()
        kilobytes += int(re.search(r"(?m)^Pss:\s+(\d+) kB", told)[1])
    return kilobytes * 1024 / 1e9


def processor(pid):
    """Seconds that the processors have worked for a process and those that it started."""
    ticks = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def load():
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def start_server(log):
    """The server, its address, and the seconds until all explorers are loaded."""
    port = free_port()
    start = time.perf_counter()
    options = ["--no-browser", f"--port={port}", "--readers=1000"]
    command = [sys.executable, "-m", "tools.explore", *options]
    process = subprocess.Popen(
        command, cwd=series.ROOT, stdout=subprocess.PIPE, stderr=log, text=True
    )
    wanted = len(NOTEBOOKS)
    for line in process.stdout:
        wanted -= "loaded:" in line
        if not wanted:
            break
    return process, f"http://127.0.0.1:{port}", time.perf_counter() - start


def measure(browser, address, readers, pid):
    """Seconds to the first page, to all pages, of all answers, and of processors per answer.

    The answers are a list for each reader.
    """
    # completion asks for no pictures
    addresses = [f"{address}/{name}" for name in EXPLORERS if name != "completion"]
    alone = browser.new_context().new_page()
    start = time.perf_counter()
    alone.goto(addresses[0])
    alone.wait_for_function(READY)
    first = time.perf_counter() - start
    alone.context.close()
    pages = [browser.new_context().new_page() for _ in range(readers)]
    start = time.perf_counter()
    for k, page in enumerate(pages):
        page.goto(addresses[k % len(addresses)], wait_until="commit")
    for page in pages:
        page.wait_for_function(READY)
    everybody = time.perf_counter() - start
    used = processor(pid)
    for page in pages:
        page.evaluate(MOVE, SECONDS)
    for page in pages:
        page.wait_for_function("() => window.done", timeout=60_000 + 1000 * SECONDS)
    times = [page.evaluate("() => window.times") for page in pages]
    return first, everybody, times, (processor(pid) - used) / sum(map(len, times))


def verdict(name, value, goal):
    print(f"| {name} | {value:.2f} s | {goal:g} s | {'pass' if value <= goal else 'FAIL'} |")


def main():
    readers = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    path = next(filter(None, map(shutil.which, [os.environ.get("RBMKIT_BROWSER", ""), *BROWSERS])))
    with tempfile.TemporaryFile("w+") as log, sync_playwright() as driver:
        before = load()
        process, address, loaded = start_server(log)
        try:
            browser = driver.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            )
            first, everybody, times, work = measure(browser, address, readers, process.pid)
            used = memory(process.pid)
            browser.close()
            time.sleep(2)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        log.seek(0)
        said = log.read()
    print(f"{before} at the start, {load()} at the end")
    print(f"server ready after {loaded:.0f} s, {used:.2f} GB with all its processes")
    print("| | measured | goal | |\n|---|---|---|---|")
    verdict("first page, nobody else there", first, 3)
    verdict(f"{readers} readers ready", everybody, 20)
    every = np.concatenate(times)
    slowest = max(np.median(one) for one in times)
    verdict(f"answers of sliders, median of {len(every)}", np.median(every), 1)
    print(f"| the same for the slowest reader | {slowest:.2f} s | | |")
    print(f"| 90 % of all answers are within | {np.quantile(every, 0.9):.2f} s | | |")
    print(f"| processor time of the server per answer | {work:.3f} s | | |")
    print(f"| lines in the log | {len(said.splitlines())} | 0 | {'FAIL' if said else 'pass'} |")
    print(said)


if __name__ == "__main__":
    main()
