"""Powder patterns and lists of peaks from files: columns of text, pdCIF, and the files of instruments."""

from crystalsmith.diffraction.readers.read import AXES, is_pattern_file, read_pattern

__all__ = ["AXES", "is_pattern_file", "read_pattern"]
