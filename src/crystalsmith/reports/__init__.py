"""What all reports share: one base page, one style sheet, words, tables and drawings.

A report is a jinja2 template beside the code that fills it: it extends ``base.html`` and takes its tables,
facts and cards from ``parts.html``. Pages are single files: no fonts, nothing from elsewhere, and no script
but that of the viewer of crystals, which is in the page.
"""

from crystalsmith.reports.page import render

__all__ = ["render"]
