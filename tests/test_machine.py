"""Machines as they come: folders for reading only, full disks, damaged files, quotas, fork,
threads."""

import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from numba.core import caching

from rbmkit import kernels, machine, warm_up

# a module of two small kernels in a folder of its own, with the cache of rbmkit
MODULE = """
from rbmkit import machine

@machine.compiled(nogil=True)
def double(x):
    return 2 * x

@machine.threaded(nogil=True)
def add_one(first, last, x):
    for i in range(first, last):
        x[i] += 1
"""


def run(folder, code, **environment):
    """Standard output and error of Python code beside the small module."""
    (folder / "small.py").write_text(MODULE)
    (folder / "code.py").write_text(textwrap.dedent(code))
    environment = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "."), **environment}
    environment = {name: value for name, value in environment.items() if value is not None}
    command = [sys.executable, folder / "code.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


# ---------------------------------------------------------------- the cache


@pytest.fixture
def double(tmp_path, monkeypatch):
    """A function in a file of its own, compiled anew at each call as by a new process; nothing was
    warned of yet."""
    monkeypatch.setattr(machine, "_told", [])
    (tmp_path / "small.py").write_text(MODULE)
    spec = importlib.util.spec_from_file_location("small", tmp_path / "small.py")
    small = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(small)
    return lambda: machine.compiled(nogil=True)(small.double.py_func)


def hits(kernel):
    """How often a compiled kernel came from the cache."""
    return sum(kernel.stats.cache_hits.values())


def test_a_folder_for_reading_only(double, monkeypatch):
    """Without any folder for the cache the kernels work, and one warning says that they are not
    kept."""
    for locator in caching.CacheImpl._locator_classes:
        monkeypatch.setattr(locator, "from_function", classmethod(lambda *args: None))
    sentence = "cannot be kept on disk.*set NUMBA_CACHE_DIR"
    with pytest.warns(RuntimeWarning, match=sentence) as warned:
        assert [double()(4), double()(5)] == [8, 10]
    assert len(warned) == 1


def test_a_full_disk(double, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_save_data", full)
    with pytest.warns(RuntimeWarning, match="No space left on device") as warned:
        assert [double()(4), double()(4.5)] == [8, 9]
    assert len(warned) == 1


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 5, 40])
def test_a_damaged_file_is_made_again(double, tmp_path, suffix, left):
    assert double()(4) == 8
    (file,) = (tmp_path / "__pycache__").glob(f"small.double*.{suffix}")
    file.write_bytes(file.read_bytes()[:left])
    damaged, mended = double(), double()
    assert (damaged(4), hits(damaged)) == (8, 0)
    assert (mended(4), hits(mended)) == (8, 1)


def test_warming_up_compiles_all_kernels_that_python_calls():
    """And those only once: the types are those of real use."""
    warm_up.compile_kernels()
    sources = [path.read_text("utf-8") for path in Path(machine.__file__).parent.glob("*.py")]
    names = {name for source in sources for name in re.findall(r"\bkernels\.(\w+)\(", source)}
    found = {name: vars(kernels)[name] for name in names}
    for module in pkgutil.iter_modules(kernels.__path__, "rbmkit.kernels."):
        inside = vars(importlib.import_module(module.name))
        found |= {name: front for name, front in inside.items() if hasattr(front, "kernel")}
    found = {name: getattr(front, "kernel", front) for name, front in found.items()}
    compiled = {name: len(f.signatures) for name, f in found.items() if hasattr(f, "signatures")}
    assert {"gibbs", "_correlations", "anneal", "log_sums", "langevin", "sgd_step"} <= set(compiled)
    missing = [name for name, count in compiled.items() if count == 0]
    assert missing == [], "rbmkit/warm_up.py does not call them"


# ---------------------------------------------------------------- threads


LIMIT = """
import joblib
joblib.cpu_count = lambda: 1
import numba
from rbmkit import machine
print(machine.threads(), numba.get_num_threads())
numba.set_num_threads(1)
print(machine.threads())
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
def test_no_more_threads_than_the_quota_allows_unless_the_user_says_so(tmp_path):
    assert run(tmp_path, LIMIT, NUMBA_NUM_THREADS=None)[0] == "1 1\n1"
    assert run(tmp_path, LIMIT, NUMBA_NUM_THREADS="2")[0] == "2 2\n1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_affinity_is_a_limit(tmp_path):
    code = """
    import os
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from rbmkit import machine
    print(machine.threads())
    """
    assert run(tmp_path, code, NUMBA_NUM_THREADS=None)[0] == "1"


FORK = """
import multiprocessing, numpy as np, small
def work(n):
    x = np.zeros(n)
    small.add_one(n, 2, x)
    return x.sum()
if __name__ == "__main__":
    if {first}:
        work(30)
    with multiprocessing.get_context("{method}").Pool(1) as pool:
        print(pool.apply_async(work, [50]).get(timeout=200))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("first", "method"), [(False, "fork"), (True, "fork"), (True, "spawn")])
def test_kernels_work_in_a_copy_of_the_process(tmp_path, first, method):
    """Also in one made by fork after the threads were started, which fork does not copy."""
    told, _ = run(tmp_path, FORK.format(first=first, method=method), NUMBA_NUM_THREADS="2")
    assert told == "50.0"


def test_python_threads_call_kernels_at_once(tmp_path):
    code = """
    import numpy as np, small
    from concurrent.futures import ThreadPoolExecutor
    def work(k):
        x = np.zeros(1000)
        for _ in range(300):
            small.add_one(1000, 100, x)
        return x.min(), x.max()
    with ThreadPoolExecutor(4) as pool:
        print(set(pool.map(work, range(8))))
    """
    told, _ = run(tmp_path, code, NUMBA_NUM_THREADS="2")
    assert told == str({(300.0, 300.0)}).replace("300.0", "np.float64(300.0)")


def test_an_error_in_one_of_the_threads_is_told(tmp_path):
    code = """
    import numpy as np
    from rbmkit import machine
    def fails(first, last):
        if first == 3:
            raise ValueError("three")
        return first
    front = machine.threaded()(fails)
    try:
        front(4, 1)
    except ValueError as error:
        print(error)
    """
    assert run(tmp_path, code, NUMBA_NUM_THREADS="2")[0] == "three"


def test_a_change_in_another_file_of_the_folder_compiles_again(double, tmp_path):
    assert double()(4) == 8
    same = double()
    assert (same(4), hits(same)) == (8, 1)
    (tmp_path / "other.py").write_text("# kernels contain kernels of other files")
    again = double()
    assert (again(4), hits(again)) == (8, 0)


def test_without_a_compiler_one_sentence_says_so(tmp_path):
    code = """
    import rbmkit
    try:
        rbmkit.gibbs(rbmkit.RBM.random(3, 2, sigma=1, rng=0), 2, steps=1, rng=0)
    except RuntimeError as error:
        print(error)
    """
    told, _ = run(tmp_path, code, NUMBA_DISABLE_JIT="1")
    assert told == "the kernels need numba's compiler: unset NUMBA_DISABLE_JIT"
