"""The report of a run: a page that opens offline, a table, and the crystals as files."""

from crystalsmith.discovery.report.writer import write_report

__all__ = ["write_report"]
