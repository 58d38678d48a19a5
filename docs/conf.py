"""Configuration of the documentation: Sphinx, MyST for prose, numpydoc for docstrings."""

import sys
from pathlib import Path

import isoloss

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "isoloss"
author = "The isoloss authors"
copyright = "2026, The isoloss authors"
release = version = isoloss.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "codes_page",
    "law_pages",
]
exclude_patterns = ["_build"]
root_doc = "index"
nitpicky = False

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the numpydoc sections say types in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = f"isoloss {release}"
html_static_path = ["_static"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_toc_level": 2,
}
