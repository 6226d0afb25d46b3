"""The page on architecture tells the truth: which room stands where, and what may import what."""

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import rbmkit

ROOT = Path(__file__).resolve().parents[1]
KERNELS = {
    "sampling",
    "likelihood",
    "tempering",
    "denoising",
    "diffusion",
    "training",
    "optimisers",
}


# ---------------------------------------------------------------- what is read
def modules(root):
    """Dotted name of every module of the package in `root` -> its file."""
    found = {}
    for path in sorted((root / "rbmkit").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(root):
    """Dotted name of every module -> all that it imports, inside functions too; our modules by
    their dotted names."""
    known = modules(root)
    found = {}
    for name, path in known.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found[name] |= {x if x in known else node.module for x in inner}
    return found


def room(name):
    """`rbmkit.study.folder` -> study; the package itself -> rbmkit."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def floors(page):
    """Room -> number of its floor, from the top, as the table of the page has it."""
    found = {}
    rows = re.findall(r"^\| \w+ \| (`.*?`) \|", page, re.MULTILINE)
    for number, row in enumerate(rows):
        for name in re.findall(r"`(\w+)`", row):
            assert name not in found, f"{name} stands on two floors"
            found[name] = number
    return found


def problems(root, page):
    """What breaks a rule of the page."""
    level = floors(page)
    found = imports(root)
    rooms = {room(name) for name in found} - {"rbmkit"}
    wrong = [f"{name} is on no floor" for name in sorted(rooms - set(level))]
    wrong += [f"{name} is on the page only" for name in sorted(set(level) - rooms)]
    for name, targets in found.items():
        here = room(name)
        for target in sorted(targets):
            wrong += external(here, target.split(".")[0])
            there = room(target)
            if not target.startswith("rbmkit") or there in (here, "rbmkit") or here == "rbmkit":
                continue
            if level.get(there, 99) < level.get(here, -1):
                wrong.append(f"{name} imports {target}, from a floor above")
            if there == "kernels" and here not in KERNELS:
                wrong.append(f"{name} calls kernels")
            if there == "machine" and here not in ("kernels", "sampling"):
                wrong.append(f"{name} knows the machine")
            if "plain" in (here, there):
                wrong.append(f"{name} imports {target}: plain stands alone")
    return wrong + circles(found)


def external(here, package):
    if package == "matplotlib" and here not in ("figures", "explorers"):
        return [f"{here} imports matplotlib"]
    if package == "ipywidgets" and here != "explorers":
        return [f"{here} imports ipywidgets"]
    if package in ("tools", "benchmarks", "tests", "data", "run"):
        return [f"{here} imports {package}"]
    return []


def circles(found):
    """A circle of modules that import each other, if there is one."""
    ours = {name: targets & set(found) - {name} for name, targets in found.items()}
    try:
        TopologicalSorter(ours).prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


# ---------------------------------------------------------------- the house as it is
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_the_house_is_built_as_the_page_says():
    assert problems(ROOT, PAGE) == []


def test_callers_of_kernels_are_those_of_the_page():
    callers = {
        room(name) for name, targets in imports(ROOT).items() if "kernels" in map(room, targets)
    }
    assert callers - {"rbmkit", "kernels"} == KERNELS
    line = next(line for line in PAGE.splitlines() if line.startswith("- `kernels` is called"))
    assert set(re.findall(r"`(\w+)`", line)) - {"kernels"} == KERNELS


def test_names_on_the_page_exist():
    names = re.findall(r"`((?:likelihood|sampling|kernels)\.\w+)`", PAGE)
    assert "kernels.anneal" in names
    for dotted in names:
        module, name = dotted.split(".")
        assert hasattr(getattr(rbmkit, module), name), dotted


def test_all_modules_can_be_had_from_the_package_and_wait_until_then():
    script = "import sys, rbmkit; print(*(n for n in sys.modules if n.startswith('rbmkit.')))"
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=ROOT).split()
    assert not {"rbmkit.reciprocal", "rbmkit.symmetry", "rbmkit.figures"} & set(loaded)
    assert rbmkit.modes is rbmkit.reciprocal.modes
    assert "diffusion" in dir(rbmkit)
    with pytest.raises(AttributeError, match="has no attribute 'bosons_of_another_kind'"):
        rbmkit.bosons_of_another_kind  # noqa: B018


# ---------------------------------------------------------------- the rules can be broken
@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        (
            {"model": "from rbmkit import sampling"},
            "rbmkit.model imports rbmkit.sampling, from a floor above",
        ),
        (
            {"model": "def f():\n    from rbmkit.study import run"},
            "rbmkit.model imports rbmkit.study, from a floor above",
        ),
        ({"equilibrium": "from rbmkit.kernels import gibbs"}, "rbmkit.equilibrium calls kernels"),
        ({"training": "import rbmkit.machine"}, "rbmkit.training knows the machine"),
        ({"data": "import matplotlib.pyplot as plt"}, "data imports matplotlib"),
        ({"figures/a": "import ipywidgets"}, "figures imports ipywidgets"),
        (
            {"plain": "from rbmkit import checks"},
            "rbmkit.plain imports rbmkit.checks: plain stands alone",
        ),
        ({"cellar": ""}, "cellar is on no floor"),
        ({"study/run": "from tools import book"}, "study imports tools"),
        (
            {"spectra": "import rbmkit.reciprocal", "reciprocal": "from rbmkit.spectra import x"},
            "rbmkit.reciprocal -> rbmkit.spectra -> rbmkit.reciprocal",
        ),
    ],
)
def test_a_broken_rule_is_found(tmp_path, files, wrong):
    package = tmp_path / "rbmkit"
    for name in floors(PAGE):
        (package / f"{name}.py").parent.mkdir(exist_ok=True)
        if not any(file.startswith(f"{name}/") for file in files):
            (package / f"{name}.py").write_text("")
    for name, text in files.items():
        (package / f"{name}.py").parent.mkdir(exist_ok=True)
        (package / f"{name}.py").write_text(text)
    found = [set(problem.split(" -> ")) for problem in problems(tmp_path, PAGE)]
    assert set(wrong.split(" -> ")) in found  # a circle may begin anywhere
