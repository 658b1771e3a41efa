"""Sphinx: the pages of this folder as a site. `make docs` builds it, `tests/test_docs.py` too."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
# This checkout, whatever else is installed.
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_extensions")]

import etrace  # noqa: E402

project = "etrace"
version = release = etrace.__version__
copyright = "the authors of etrace"

extensions = ["myst_parser", "sphinx.ext.autodoc", "etrace_docstrings", "etrace_tables"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
nitpicky = True
# Types in signatures that have no entry: other projects', and those of ours that are not public.
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|numpy|os|pathlib)\..*|NDArray|Bits"),
    ("py:class", r"(etrace|emu|encoder|decoder|specs)\..*"),
]

# `page.md#heading` works as it does where the repository is browsed.
myst_heading_anchors = 4

highlight_language = "none"
#: `--option` stays as it is.
smartquotes = False

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"etrace {version}"
html_static_path = ["_static"]
html_css_files = ["etrace.css"]
html_copy_source = False
html_last_updated_fmt = None
