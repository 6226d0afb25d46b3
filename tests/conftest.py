"""Settings shared by all tests: figures are drawn off-screen and closed after each test."""

import os
import sys

import numba
import pytest

os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def one_thread():
    """Small models are fastest with one thread, most of all on a busy machine; test_threads
    compares one and two."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(threads)


@pytest.fixture(scope="session")
def built_book():
    """The folder of the book, built once (its frames are drawn again only if their sources
    changed)."""
    pytest.importorskip("myst_nb", reason="the book needs pip install '.[book]'")
    from tools import book

    assert book.build() == 0, "Sphinx warns, see above"
    return book.HTML
