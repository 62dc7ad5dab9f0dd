"""Sphinx settings."""

import importlib.metadata

project = "wsresilient"
author = "The wsresilient authors"
release = importlib.metadata.version("wsresilient")

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {release}"

autodoc_member_order = "groupwise"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
