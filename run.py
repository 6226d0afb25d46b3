#!/usr/bin/env python3
"""Set up rbmkit and run a task in it. Needs nothing but Python 3.11 or newer.

python run.py notebooks [NAME ...]    execute the notebooks into build/notebooks
python run.py lab [OPTION ...]        open them in JupyterLab, on 127.0.0.1
python run.py explore [--port PORT]   the explorers, live, for a reader or a class, on 127.0.0.1
python run.py book [--serve [PORT]]   the book, a static site, into build/book/html
python run.py slides [NAME ...]       slides for lectures into build/slides
python run.py student [FOLDER]        a copy of the notebooks without solutions (build/student)
python run.py test [PYTEST OPTION ..] unit tests, the notebooks as tests, the rules for notebooks

For authors:

python run.py sync [NAME ...]         rebuild each .ipynb from its .md, execute it in place, tidy it
python run.py measure [NAME ...]      run time and memory of the notebooks, into their tables

With a NAME, only the notebooks whose name contains it.

The first run creates .venv, installs there what the command needs, as pinned in constraints.txt,
and compiles the kernels; later runs reuse it. The first `test`, `book` or `slides` adds what they
need.
"""
import hashlib
import json
import math
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "rbmkit-installed"
NOTEBOOKS = ROOT / "notebooks"
SERIES = [
    "00_index",
    "01_training",
    "02_reciprocal_space",
    "03_partition_function",
    "04_fokker_planck_bosons",
    "05_symmetry_breaking",
    "06_cascade_of_transitions",
    "07_past_the_transition",
]
COST = NOTEBOOKS / "cost.json"
BUILD = ROOT / "build" / "notebooks"
KEPT = [  # of the metadata in the .md; equal there and in pyproject.toml
    "kernelspec",
    "jupytext.notebook_metadata_filter",
    "jupytext.text_representation.extension",
    "jupytext.text_representation.format_name",
    "-all",
]
METADATA = {
    "jupytext": {"notebook_metadata_filter": ",".join(KEPT)},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
EXTRAS = {  # of pyproject.toml, for the commands that need more than the notebooks do
    "test": ["notebooks", "test", "book"],
    "book": ["notebooks", "book"],
    "slides": ["notebooks", "book"],
}
FIGURE = ("alt", "width")  # what is kept of a picture: its description, and how wide it is shown
WIDGET = "application/vnd.jupyter.widget-view+json"


def set_up(extras):
    """Create .venv, install into it what is missing there, and compile the kernels.

    The stamp says what was done: a digest of the pins, and the extras that are there.
    """
    files = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    inputs = [str(ROOT).encode(), *(path.read_bytes() for path in files)]
    digest = hashlib.sha256(b"\0".join(inputs)).hexdigest()
    done, *have = STAMP.read_text().split() if PYTHON.exists() and STAMP.exists() else [""]
    if done == digest and set(extras) <= set(have):
        return
    STAMP.unlink(missing_ok=True)  # written again only after a complete install
    wanted = sorted({*extras, *have})
    print(f"Installing into .venv, once: what {', '.join(wanted)} need.", flush=True)
    create_environment()
    install(wanted)
    call("rbmkit.warm_up")
    STAMP.write_text(" ".join([digest, *wanted]))


def create_environment():
    """Create .venv, unless it is there and its Python is new enough."""
    too_old = "import sys; sys.exit(sys.version_info < (3, 11))"
    if PYTHON.exists() and not subprocess.call([PYTHON, "-c", too_old]):
        return
    if subprocess.call([sys.executable, "-m", "venv", "--clear", VENV]):
        sys.exit("run.py: could not create .venv. On Debian or Ubuntu: apt install python3-venv")


def install(extras):
    """Install rbmkit into .venv, with these extras of pyproject.toml."""
    call("ensurepip", stdout=subprocess.DEVNULL)
    # modules that nobody imports need not be compiled
    pip = ["pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    # whatever the user has set for other projects
    here = {"PIP_USER": "0", "PIP_TARGET": "", "PIP_PREFIX": ""}
    if call(*pip, "-e", f".[{','.join(extras)}]", "-c", "constraints.txt", env=here):
        sys.exit("run.py: the installation failed (see above). Run the command again to redo it.")


def call(module, *args, env=(), wait=True, **kwargs):
    """Run a module with the Python of .venv, at the root; return its exit code, or the process."""
    # JupyterLab is to take the kernel of .venv, not one of the user's
    env = {**os.environ, "JUPYTER_PREFER_ENV_PATH": "1", **dict(env)}
    start = subprocess.call if wait else subprocess.Popen
    return start([PYTHON, "-m", module, *args], cwd=ROOT, env=env, **kwargs)


def choose(suffix, names):
    """Files of the series whose name contains one of `names` (all, if there are none)."""
    files = [name + suffix for name in SERIES]
    wanted = [file for file in files if not names or any(name in file for name in names)]
    found = [NOTEBOOKS / file for file in wanted if (NOTEBOOKS / file).exists()]
    if names and not found:
        sys.exit("run.py: no notebook is called like " + ", ".join(names))
    return found


def execute(path, *where):
    """Execute one notebook; print its time and memory.

    Returns the exit code, seconds, and gigabytes at most.
    """
    options = [
        "--ExecutePreprocessor.timeout=600",
        "--KernelManager.transport_encryption=auto",
        "--log-level=ERROR",
    ]
    peak = 0.0
    start = time.perf_counter()
    process = call("nbconvert", "--to", "notebook", "--execute", *options, *where, path, wait=False)
    if hasattr(os, "wait4"):  # not on Windows
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        unit = 1 if sys.platform == "darwin" else 1024  # bytes
        peak = usage.ru_maxrss * unit / 1e9  # of the largest process: the kernel
    failed = process.wait()
    seconds = time.perf_counter() - start
    verdict = "FAILED" if failed else "ok"
    print(f"{verdict:6}  {seconds:6.1f} s  {peak:4.2f} GB  {path.name}", flush=True)
    return failed, seconds, peak


def notebooks(names):
    BUILD.mkdir(parents=True, exist_ok=True)
    chosen = choose(".ipynb", names)
    failed = sum(execute(path, "--output-dir", BUILD)[0] != 0 for path in chosen)
    done = len(chosen) - failed
    print(f"{done} of {len(chosen)} notebooks executed into {BUILD.relative_to(ROOT)}")
    return failed > 0


def measure(names):
    BUILD.mkdir(parents=True, exist_ok=True)
    cost = json.loads(COST.read_text("utf-8"))
    for path in choose(".ipynb", names):
        failed, seconds, peak = execute(path, "--output-dir", BUILD)
        if failed:
            return True
        cost[path.stem] = {"seconds": 5 * math.ceil(seconds / 5), "gigabytes": round(peak, 1)}
    COST.write_text(json.dumps(cost, indent=1, sort_keys=True) + "\n", "utf-8", newline="\n")
    return call("tools.series")


def lab(options):
    call("tools.pairs")
    where = ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={ROOT}"]
    first = "--LabApp.default_url=/lab/tree/notebooks/00_index.ipynb"
    return call("jupyterlab", *where, first, *options)


def made(name, options):
    """What tools/ makes of the notebooks."""
    return call(f"tools.{name}", *options)


def test(options):
    nbval = "--nbval-lax --nbval-current-env --nbval-cell-timeout 300 -n 2 --dist loadfile".split()
    rules = "tests/test_notebooks.py"
    results = {"unit tests": call("pytest", "tests", f"--ignore={rules}", *options)}
    chosen = choose(".ipynb", [])
    if chosen:
        # two notebooks at a time: half of the cores each
        share = str(max(1, (os.cpu_count() or 2) // 2))
        names = "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"
        threads = dict.fromkeys(names, share)
        results["notebooks"] = call("pytest", *nbval, "--durations=10", *chosen, env=threads)
    else:
        print("There are no notebooks yet: none to test.", flush=True)
    results["notebook rules"] = call("pytest", rules)
    for name, failed in results.items():
        print(f"{'FAILED' if failed else 'ok':6}  {name}")
    return any(results.values())


def sync(names):
    failed = 0
    for text in choose(".md", names):
        if call("tools.pairs", text) or rebuild(text):
            failed += 1
            continue
        path = text.with_suffix(".ipynb")
        failed += execute(path, "--inplace")[0] != 0
        tidy(path)
    return failed > 0


def rebuild(text):
    """Make the .ipynb from the .md; outputs of cells that did not change stay."""
    target = text.with_suffix(".ipynb")
    return call("jupytext", "--quiet", "--to", "ipynb", "--update", "--output", target, text)


def tidy(path):
    """Remove from an .ipynb what differs from run to run.

    These are widgets, versions, timings, random cell ids, and the path of this folder.
    """
    nb = json.loads(path.read_text("utf-8"))
    nb["metadata"] = METADATA
    seen = []
    for cell in nb["cells"]:
        source = "".join(cell["source"])
        seen.append(source)
        cell["id"] = hashlib.sha256(f"{seen.count(source)} {source}".encode()).hexdigest()[:12]
        tags = cell["metadata"].get("tags")
        cell["metadata"] = {"tags": tags} if tags else {}
        if "outputs" in cell:
            cell["outputs"] = [out for out in cell["outputs"] if WIDGET not in out.get("data", {})]
            for out in cell["outputs"]:
                if "metadata" in out:
                    out["metadata"] = figure_metadata(out["metadata"])
    text = json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True)
    plain = text.replace(f"{ROOT}{os.sep}", "")
    path.write_text(plain + "\n", "utf-8", newline="\n")


def figure_metadata(metadata):
    """What is kept of the metadata of an output: for each type of picture, the keys of FIGURE."""
    kept = {}
    for mime, found in metadata.items():
        if isinstance(found, dict):
            figure = {key: found[key] for key in FIGURE if found.get(key)}
            if figure:
                kept[mime] = figure
    return kept


def main(argv):
    commands = {"notebooks": notebooks, "lab": lab, "test": test, "sync": sync, "measure": measure}
    for name in ("explore", "book", "slides", "student"):
        commands[name] = partial(made, name)
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is read by whatever Python the user has
        have = ".".join(map(str, sys.version_info[:2]))
        return f"run.py: rbmkit needs Python 3.11 or newer; this is {have} ({sys.executable})"
    if not argv or argv[0] not in commands:
        print(__doc__.strip())
        return 0 if not argv or argv[0] in ("-h", "--help", "help") else 2
    set_up(EXTRAS.get(argv[0], ["notebooks"]))
    return int(commands[argv[0]](argv[1:]))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
