"""Sphinx configuration of the book. `python run.py book` assembles the source and builds it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]  # this file is copied to build/book/source
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = "rbmkit"
author = "the rbmkit authors"
copyright = "2026, the rbmkit authors. Text and figures: CC BY 4.0. Code: BSD-3-Clause"  # noqa: A001
version = release = PROJECT["version"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["generated/*"]
mathjax_path = "mathjax/tex-chtml.js"  # beside the pages, copied by tools/book.py
nitpicky = True
# types in docstrings are words for people, "(n, N) array of 0 and 1"
nitpick_ignore_regex = [("py:.*", ".*")]
suppress_warnings = ["ref.python"]  # for the same reason

# the notebooks were executed before, by their authors and by the tests
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = [
    "amsmath",
    "attrs_block",
    "colon_fence",
    "deflist",
    "dollarmath",
    "html_image",
]
myst_heading_anchors = 3
myst_dmath_double_inline = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have them in words
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "sphinx_book_theme"
html_title = "The physics of Restricted Boltzmann Machines"
html_static_path = ["_static"]
html_css_files = ["book.css", "frames.css"]
html_js_files = ["book.js", "frames.js"]
html_copy_source = False
html_show_sphinx = False
ADDRESS = PROJECT.get("urls", {}).get("Repository", "")
html_theme_options = {
    "repository_url": ADDRESS,
    "use_repository_button": bool(ADDRESS),
    "use_download_button": False,
    "home_page_in_toc": True,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
}
html_context = {"default_mode": "auto"}
html_last_updated_fmt = None


def plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text: |x| is an absolute value and lambda_ a name, neither is markup."""
    for k, line in enumerate(lines):
        lines[k] = re.sub(r"(`+.+?`+)|\||(?<=\w)_(?!\w)", lambda m: m[1] or "\\" + m[0], line)


def setup(app):
    app.connect("autodoc-process-docstring", plain_text, priority=100)
