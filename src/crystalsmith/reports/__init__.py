"""What all reports share: one base page, one style sheet, words, tables and drawings.

A report is a jinja2 template beside the code that fills it: it extends ``base.html`` and takes its tables,
facts and cards from ``parts.html``. Pages are single files: no scripts, no fonts, nothing from elsewhere.
"""

from crystalsmith.reports.page import render

__all__ = ["render"]
