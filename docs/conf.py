"""Configuration of the documentation. `make docs` builds it into docs/_build/html."""

from __future__ import annotations

import os
import pathlib
import sys

# Before TensorFlow is imported, which the API reference needs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

DOCS = pathlib.Path(__file__).parent
sys.path[:0] = [str(DOCS / "_extension"), str(DOCS.parent)]

import kerasface_gallery  # noqa: E402

import kerasface  # noqa: E402

project = "kerasface"
author = "the kerasface authors"
copyright = "the kerasface authors"
version = release = kerasface.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "kerasface_reference",
    "kerasface_requests",
]
exclude_patterns = ["_build", "_extension", "gallery/*.ipynb", "gallery/*.py", "gallery/*.md5"]

# Markdown.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

# Docstrings. A name in single backticks links to the name if it is one of ours.
default_role = "py:obj"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False
# Other projects' names are not resolved, because that needs their sites. Ours must exist.
nitpick_ignore_regex = [("py:.*", r"(?!kerasface\.).*")]
nitpick_ignore = [  # type variables, and the base class of two results
    ("py:class", "kerasface.embedding.centers.Outcome"),
    ("py:class", "kerasface.metrics.ordered_pairs.OrderedPairs"),
    ("py:class", "kerasface.models.registration.AnyBuilder"),
]
suppress_warnings = ["config.cache"]  # the gallery's settings hold functions

# Gallery.
sphinx_gallery_conf = kerasface_gallery.settings(run=os.environ.get("GALLERY", "1") != "0")

# Page layout.
html_theme = "pydata_sphinx_theme"
html_title = "kerasface"
html_static_path = ["_static"]
html_css_files = ["kerasface.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "kerasface"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 5,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "index": [],
    "quickstart": [],
    "choose_a_recipe": [],
    "privacy": [],
    "troubleshooting": [],
    "design": [],
    "contributing": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
