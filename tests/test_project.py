"""The files around the code agree: dependencies, pins, commands, addresses; run.py sets up what it
should."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from collections import defaultdict
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import run
from tools import explore, series

PYPROJECT = tomllib.loads((run.ROOT / "pyproject.toml").read_text("utf-8"))
ENVIRONMENT = yaml.safe_load((run.ROOT / "environment.yml").read_text("utf-8"))
README = (run.ROOT / "README.md").read_text("utf-8")
CONDA_NAMES = {"matplotlib-base": "matplotlib"}  # conda-forge name -> PyPI name, where they differ


def dependencies(*extras):
    """Canonical name -> version specifier, of the package and the given extras."""
    project = PYPROJECT["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}


def tracked_files():
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    listing = subprocess.run(git, cwd=run.ROOT, capture_output=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    paths = [run.ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


# ---------------------------------------------------------------- dependencies


def test_environment_has_the_dependencies_of_pyproject():
    conda = [Requirement(line) for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]
    found = {CONDA_NAMES.get(r.name, canonicalize_name(r.name)): r.specifier for r in conda}
    assert str(found.pop("python")) == PYPROJECT["project"]["requires-python"]
    assert str(found.pop("pip")) == ""
    assert found == dependencies("notebooks")


def test_environment_takes_only_the_package_from_pip():
    others = [entry for entry in ENVIRONMENT["dependencies"] if not isinstance(entry, str)]
    assert others == [{"pip": ["-e ."]}]
    assert ENVIRONMENT["channels"] == ["conda-forge"]


def test_constraints_are_exact_pins_without_hosts():
    lines = (run.ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pin = re.compile(r"[a-z0-9-]+==[0-9][\w.]*( ; [^:@/]+)?")
    assert [line for line in lines if not pin.fullmatch(line)] == []


def test_constraints_pin_every_direct_dependency_within_its_bounds():
    lines = (run.ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = defaultdict(list)
    for pin in map(Requirement, lines):
        (exact,) = pin.specifier
        pins[canonicalize_name(pin.name)].append(exact.version)
    for name, bounds in dependencies(*PYPROJECT["project"]["optional-dependencies"]).items():
        versions = pins[name]
        assert versions, f"{name} has no pin: remake constraints.txt"
        assert all(version in bounds for version in versions), f"{name} is pinned outside {bounds}"


def test_no_torch():
    assert not {"torch", "rbms"} & set(dependencies(*PYPROJECT["project"]["optional-dependencies"]))


# ---------------------------------------------------------------- commands and addresses


def test_ci_calls_the_test_command_of_the_readme():
    script = (run.ROOT / ".ci" / "run").read_text("utf-8")
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert commands[0] == "set -euo pipefail"
    assert commands[-1] == "python3 run.py test"
    assert re.search(r"^python3 run\.py test\b", README, re.MULTILINE)
    # no test is skipped there
    assert re.search(r"^export RBMKIT_BROWSER=", script, re.MULTILINE)


COMMANDS = ["notebooks", "lab", "explore", "book", "slides", "student", "test", "sync", "measure"]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_in_the_readme_and_the_help(command):
    assert f"run.py {command}" in README
    assert f"run.py {command}" in run.__doc__


def commands(path):
    """The lines in blocks of code of a page, which a reader types."""
    fence = re.compile(r"^```(?:bash|sh|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
    blocks = fence.findall(path.read_text("utf-8"))
    return [line for block in blocks for line in block.splitlines()]


PAGES = [run.ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
PAGES += sorted((run.ROOT / "docs").glob("*.md"))
NOTEBOOKS = sorted(run.NOTEBOOKS.glob("*.md"))
NOBODY = r"rbmkit|your-?\w+|username|user|owner|example"
PLACEHOLDER = re.compile(
    rf"(?i)github\.com/(?:{NOBODY})/|example\.(?:com|org)|<(?:url|address|repo)[^>]*>"
)


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.name)
def test_no_page_needs_an_address_that_does_not_exist(page):
    """Whoever reads this has the project from somewhere; an address that nobody set must not be
    followed."""
    text = page.read_text("utf-8")
    assert PLACEHOLDER.findall(text) == []
    assert series.ADDRESS or "| Open in |" not in text
    assert page.name != "README.md" or "python3 run.py lab" in commands(page)


def test_a_placeholder_is_found():
    for address in ("https://github.com/rbmkit/rbmkit", "<url>", "https://github.com/username/x"):
        assert PLACEHOLDER.search(f"git clone {address}")
    assert not PLACEHOLDER.search("https://github.com/DsysDML/rbms and <details>")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_brackets_of_extras_are_quoted(page):
    """zsh takes .[test] for a pattern of file names."""
    assert re.findall(r"pip install [^`\n]*(?<![\"'])\.\[", page.read_text("utf-8")) == []


def test_citation_has_the_version_and_the_address_of_pyproject():
    citation = yaml.safe_load((run.ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation.get("repository-code", "") == series.ADDRESS
    assert citation["version"] == PYPROJECT["project"]["version"]
    for site in ("binder", "colab", "github"):
        assert (run.ROOT / "docs" / "_static" / f"{site}.svg").is_file()


HERE, THERE = "https://github.com/one/physics", "https://github.com/two/rbms"


def test_the_address_goes_to_the_citation_and_the_notebooks_and_out_again(tmp_path, monkeypatch):
    """Once set, changed, taken out; nothing else changes, and outputs stay."""
    text = run.NOTEBOOKS / "00_index.md"
    plain = series.with_address(text.read_text("utf-8"), text.stem)
    cited = "title: A\n"
    for name, value in {"ROOT": tmp_path, "NOTEBOOKS": tmp_path, "SERIES": [text.stem]}.items():
        monkeypatch.setattr(series, name, value)
    (tmp_path / "CITATION.cff").write_text(cited)
    shutil.copy(text.with_suffix(".ipynb"), tmp_path)
    outputs = [cell.get("outputs") for cell in series.read(text.stem).cells if cell.get("outputs")]
    monkeypatch.setattr(series, "ADDRESS", "")
    before = series.with_address(plain, text.stem)
    (tmp_path / text.name).write_text(before, "utf-8")
    for address in (HERE, THERE, ""):
        monkeypatch.setattr(series, "ADDRESS", address)
        series.stamp_address()
        found = (tmp_path / text.name).read_text("utf-8")
        slugs = set(re.findall(r"/(one/physics|two/rbms)", found))
        assert slugs == ({address.removeprefix("https://github.com/")} if address else set())
        assert (found == before) == (not address)
        nb = series.read(text.stem)
        assert [cell.get("outputs") for cell in nb.cells if cell.get("outputs")] == outputs
        assert sum("install" in series.tags(cell) for cell in nb.cells) == bool(address)
        assert series.badges(text.stem).strip() in nb.cells[0].source
        assert ("| Open in |" in found) == bool(address)
        line = f'repository-code: "{address}"\n' if address else ""
        assert (tmp_path / "CITATION.cff").read_text() == cited + line


def test_links_to_files_are_names_without_an_address(monkeypatch):
    text = "[`a.py`](../rbmkit/a.py) and [b](../docs/b.md)"
    monkeypatch.setattr(series, "ADDRESS", "")
    assert series.addressed(text, r"rbmkit[^)]*") == "`a.py` and [b](../docs/b.md)"
    monkeypatch.setattr(series, "ADDRESS", HERE)
    linked = f"[`a.py`]({HERE}/blob/main/rbmkit/a.py)"
    assert series.addressed(text, r"rbmkit[^)]*") == f"{linked} and [b](../docs/b.md)"


def test_licences_of_text_and_code_are_separate():
    assert PYPROJECT["project"]["license-files"] == ["LICENSE", "LICENSE-text"]
    assert "BSD 3-Clause" in (run.ROOT / "LICENSE").read_text("utf-8")
    assert "CC BY 4.0" in (run.ROOT / "LICENSE-text").read_text("utf-8")


def test_readme_spells_out_the_options_of_the_notebook_tests():
    source = (run.ROOT / "run.py").read_text("utf-8")
    options = re.search(r'nbval = "(.*)"', source)[1]
    assert f"pytest {options} notebooks" in README


def test_no_machine_paths_or_lock_files():
    folders = b"|".join([b"work", b"root", b"tmp"])  # apart, or this line would be found
    machine_path = re.compile(rb"(?<![\w.*/-])/(" + folders + rb")/")
    lock_file = re.compile(r"uv\.lock|pylock\..*toml")
    paths = [p for p in tracked_files() if p.suffix != ".ipynb" and b"\0" not in p.read_bytes()]
    assert [p.name for p in paths if machine_path.search(p.read_bytes())] == []
    assert [p.name for p in paths if lock_file.fullmatch(p.name)] == []
    assert machine_path.search(b"in " + b"/".join([b"", b"root", b"x.py"]))


def test_ruff():
    command = [sys.executable, "-m", "ruff", "check", "."]
    result = subprocess.run(command, cwd=run.ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


# ---------------------------------------------------------------- run.py


@pytest.fixture
def project(tmp_path, monkeypatch):
    """run.py moved to an empty folder, with the calls it makes recorded and answered with
    success."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "constraints.txt").write_text("")
    for name in ("ROOT", "VENV"):
        monkeypatch.setattr(run, name, tmp_path)
    for name in ("PYTHON", "STAMP", "NOTEBOOKS"):
        monkeypatch.setattr(run, name, tmp_path / name.lower())
    monkeypatch.setattr(run, "SERIES", ["01_a"])
    log = SimpleNamespace(commands=[], fail=None)

    def answer(command, **kwargs):
        words = [str(word) for word in command[1:]]
        log.commands.append(words)
        if "venv" in words:
            run.PYTHON.touch()
        return int(log.fail is not None and log.fail in words)

    monkeypatch.setattr(run.subprocess, "call", answer)
    return log


def installs(log):
    return sum("install" in words for words in log.commands)


def test_set_up_installs_once(project):
    run.set_up(["notebooks"])
    run.set_up(["notebooks"])
    assert installs(project) == 1
    assert ["-e", ".[notebooks]", "-c", "constraints.txt"] == project.commands[-2][-4:]
    assert project.commands[-1] == ["-m", "rbmkit.warm_up"]
    compiled = sum("rbmkit.warm_up" in words for words in project.commands)
    assert compiled == 1


def test_extras_are_added_when_first_asked_for(project):
    for more in ([], ["book"], [], ["book", "test"], ["book"]):
        run.set_up(["notebooks", *more])
    words = itertools.chain.from_iterable(project.commands)
    installed = [word for word in words if word.startswith(".[")]
    assert installed == [".[notebooks]", ".[book,notebooks]", ".[book,notebooks,test]"]


@pytest.mark.parametrize("command", ["lab", "explore", "student", "book", "slides", "test"])
def test_a_command_installs_only_what_it_needs(project, command, monkeypatch):
    asked = []
    monkeypatch.setattr(run, "set_up", asked.append)
    run.main([command])
    more = {"book": ["book"], "slides": ["book"], "test": ["test", "book"]}
    assert asked == [["notebooks", *more.get(command, [])]]
    assert set(asked[0]) <= set(PYPROJECT["project"]["optional-dependencies"])


def test_settings_of_pip_for_other_projects_do_not_count(project, monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    environments = []
    answer = run.subprocess.call

    def record(command, **kwargs):
        environments.append(kwargs.get("env", {}).get("PIP_USER"))
        return answer(command, **kwargs)

    monkeypatch.setattr(run.subprocess, "call", record)
    run.set_up(["notebooks"])
    install = next(k for k, words in enumerate(project.commands) if "install" in words)
    assert environments[install] == "0"


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_set_up_installs_again_after_a_change(project, name):
    run.set_up(["notebooks"])
    (run.ROOT / name).write_text("changed")
    run.set_up(["notebooks"])
    assert installs(project) == 2


def test_set_up_redoes_a_failed_install(project):
    run.set_up(["notebooks"])
    (run.ROOT / "constraints.txt").write_text("changed")
    project.fail = "install"
    with pytest.raises(SystemExit, match="installation failed"):
        run.set_up(["notebooks"])
    (run.ROOT / "constraints.txt").write_text("")  # back to what was installed before the failure
    project.fail = None
    run.set_up(["notebooks"])
    assert installs(project) == 3


def test_old_python_is_refused(project, monkeypatch):
    monkeypatch.setattr(run.sys, "version_info", (3, 10, 2))
    assert "needs Python 3.11 or newer; this is 3.10" in run.main(["test"])
    assert project.commands == []


@pytest.mark.parametrize(("argv", "code"), [([], 0), (["--help"], 0), (["tset"], 2)])
def test_help(project, capsys, argv, code):
    assert run.main(argv) == code
    assert "python run.py notebooks" in capsys.readouterr().out
    assert project.commands == []


def test_test_without_notebooks_passes_its_options_on(project, capsys):
    assert run.main(["test", "-k", "rbm"]) == 0
    assert "no notebooks yet" in capsys.readouterr().out
    unit, rules = (words for words in project.commands if "pytest" in words)
    assert unit[-2:] == ["-k", "rbm"]
    assert rules == ["-m", "pytest", "tests/test_notebooks.py"]


@pytest.mark.parametrize("fail", [None, "tests", "--nbval-lax", "tests/test_notebooks.py"])
def test_test_fails_when_any_step_fails(project, fail):
    run.NOTEBOOKS.mkdir()
    (run.NOTEBOOKS / "01_a.ipynb").touch()
    project.fail = fail
    assert run.main(["test"]) == (0 if fail is None else 1)
    assert sum("pytest" in words for words in project.commands) == 3


def test_only_notebooks_of_the_series_are_taken(project):
    """Not what a reader wrote or duplicated beside them."""
    run.NOTEBOOKS.mkdir()
    for name in ("01_a", "01_a-Copy1", "Untitled"):
        (run.NOTEBOOKS / f"{name}.ipynb").touch()
    assert [path.name for path in run.choose(".ipynb", [])] == ["01_a.ipynb"]
    run.test([])
    assert [word for words in project.commands for word in words if word.endswith(".ipynb")] == [
        str(run.NOTEBOOKS / "01_a.ipynb")
    ]


def test_the_series_is_complete():
    files = [path.name for path in tracked_files() if path.parent == run.NOTEBOOKS]
    assert sorted(files) == sorted(
        [name + suffix for name in run.SERIES for suffix in (".md", ".ipynb")] + ["cost.json"]
    )
    assert series.names() == run.SERIES == sorted(run.SERIES)


def test_unknown_notebook_is_named(project):
    with pytest.raises(SystemExit, match="no notebook is called like 99"):
        run.choose(".ipynb", ["99"])


def test_measure_writes_the_cost_file_and_the_tables(project, monkeypatch):
    run.NOTEBOOKS.mkdir()
    (run.NOTEBOOKS / "01_a.ipynb").touch()
    monkeypatch.setattr(run, "COST", run.NOTEBOOKS / "cost.json")
    run.COST.write_text('{"02_b": {"gigabytes": 1, "seconds": 1}}')
    monkeypatch.setattr(run, "execute", lambda path, *where: (0, 61.2, 1.234))
    assert run.main(["measure"]) == 0
    costs = json.loads(run.COST.read_text())
    new = {"gigabytes": 1.2, "seconds": 65}
    kept = {"gigabytes": 1, "seconds": 1}
    assert costs == {"01_a": new, "02_b": kept}
    assert project.commands[-1] == ["-m", "tools.series"]


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="Windows tells no memory of what has ended")
def test_memory_of_the_kernel_is_measured():
    """A process whose child takes 300 MB, as nbconvert and its kernel; started by a small process,
    as run.py is: Linux counts to a new process what the one that started it had used."""
    grandchild = "x = bytearray(300_000_000); x[::4096] = x[::4096]"
    child = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {grandchild!r}])"
    small = f"""
import pathlib, run, subprocess, sys
run.call = lambda *args, **kwargs: subprocess.Popen([sys.executable, "-c", {child!r}])
print(*run.execute(pathlib.Path("a.ipynb")))
"""
    printed = subprocess.check_output([sys.executable, "-c", small], cwd=run.ROOT, text=True)
    failed, seconds, gigabytes = map(float, printed.splitlines()[-1].split())
    assert failed == 0
    assert seconds > 0
    assert 0.3 < gigabytes < 0.4


def test_tables_are_stamped(tmp_path, monkeypatch):
    monkeypatch.setattr(series, "ROOT", tmp_path)
    monkeypatch.setattr(series, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(series, "COST", tmp_path / "cost.json")
    series.COST.write_text('{"01_a": {"gigabytes": 1.2, "seconds": 65}}')
    row = "| [a](01_a.ipynb) | [x](https://y/01_a.ipynb) | planned |"
    (tmp_path / "README.md").write_text(row.replace("(01", "(notebooks/01") + "\nb")
    (tmp_path / "00_index.md").write_text(row)
    table = "| Run time, memory | ? |\n| Code | z |"
    (tmp_path / "01_a.md").write_text(table)
    (tmp_path / "01_a.ipynb").write_text(json.dumps({"source": table}))
    series.stamp()
    stamped = "01_a.ipynb) | 65 s, 1.2 GB |"
    assert (tmp_path / "README.md").read_text().splitlines()[0].endswith(stamped)
    assert (tmp_path / "00_index.md").read_text().endswith(stamped)
    for path in ("01_a.md", "01_a.ipynb"):
        text = (tmp_path / path).read_text()
        assert "| Run time, memory | about 65 s and 1.2 GB on 2 cores |" in text
        assert "| Code | z |" in text


# ---------------------------------------------------------------- servers


@pytest.fixture
def busy_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_explore_says_that_a_port_is_busy(busy_port, capsys):
    assert explore.main(["--port", str(busy_port)]) == 1
    assert f"port {busy_port} of 127.0.0.1 is in use" in capsys.readouterr().out


def test_book_says_that_a_port_is_busy(busy_port, capsys, monkeypatch):
    book = pytest.importorskip("tools.book")
    monkeypatch.setattr(book, "build", lambda: 0)
    assert book.main(["--serve", str(busy_port)]) == 1
    assert f"cannot listen on port {busy_port}" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["0", "70000", "-1", "http"])
def test_a_number_that_is_no_port(text, capsys):
    book = pytest.importorskip("tools.book")
    for main, option in ((explore.main, f"--port={text}"), (book.main, f"--serve={text}")):
        with pytest.raises(SystemExit, match="2"):
            main([option])
        assert f"{text} is no port: it must be a number from 1 to 65535" in capsys.readouterr().err


def test_an_address_that_is_not_of_this_machine(capsys):
    assert explore.main(["--ip", "nowhere.invalid"]) == 1
    assert explore.main(["--ip", "192.0.2.1"]) == 1  # an address for documentation
    told = capsys.readouterr().out
    assert "nowhere.invalid is no address of this machine" in told
    assert "192.0.2.1 is no address of this machine" in told
    assert "port" not in told


@pytest.mark.parametrize("name", ["explore", "book", "slides", "student"])
@pytest.mark.parametrize(("option", "code"), [("--help", 0), ("--bokk", 2)])
def test_options_are_told_or_refused(name, option, code, capsys, tmp_path, monkeypatch):
    tool = pytest.importorskip(f"tools.{name}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=str(code)):
        tool.main([option])
    assert f"usage: run.py {name}" in "".join(capsys.readouterr())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl+C in another way")
def test_book_is_served_until_ctrl_c(tmp_path):
    """A page comes, and Ctrl+C ends the server without a word."""
    pytest.importorskip("tools.book")
    (tmp_path / "index.html").write_text("the book")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = f"""
import pathlib, sys
from tools import book
book.HTML = pathlib.Path({str(tmp_path)!r})
sys.exit(book.serve({port}))
"""
    heard = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], cwd=run.ROOT, **heard) as server:
        assert f"http://127.0.0.1:{port}/ until Ctrl+C" in server.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            assert answer.read() == b"the book"
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
        assert "Traceback" not in server.stderr.read()


def test_servers_listen_here_only_unless_asked(monkeypatch):
    asked = []

    def serve(ip, port, readers, browser):
        asked.append((ip, port))
        return 0

    monkeypatch.setattr(explore, "serve", serve)
    assert explore.main([]) == 0
    assert explore.main(["--ip", "0.0.0.0"]) == 0
    assert asked == [("127.0.0.1", 8866), ("0.0.0.0", 8866)]
    lab = []
    monkeypatch.setattr(run, "call", lambda *words, **kwargs: lab.append(words) or 0)
    run.lab([])
    assert "--ServerApp.ip=127.0.0.1" in lab[-1]
