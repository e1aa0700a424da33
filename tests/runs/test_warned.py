"""Warnings of libraries that are logged."""

from __future__ import annotations

import logging
import warnings

import pytest

from crystalsmith.runs import warned
from crystalsmith.runs.warned import logged_warnings


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(warned, "_seen", set())


@pytest.mark.parametrize("action", ["ignore", "error", "default"])
def test_each_is_logged_once_whatever_the_filters(action, caplog, recwarn):
    warnings.simplefilter(action)
    with caplog.at_level(logging.INFO, logger="crystalsmith"):
        for _ in range(3):
            with logged_warnings() as texts:
                warnings.warn("strange\ncell", stacklevel=1)
                warnings.warn("old", DeprecationWarning, stacklevel=1)
            assert texts == ["strange cell", "old"]
    assert caplog.messages == ["UserWarning: strange cell", "DeprecationWarning: old"]
    assert not recwarn.list


def test_an_error_within_passes_and_what_came_before_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="crystalsmith"), pytest.raises(ZeroDivisionError):
        with logged_warnings():
            warnings.warn("before", stacklevel=1)
            raise ZeroDivisionError
    assert caplog.messages == ["UserWarning: before"]


def test_a_flood_of_different_ones_is_cut_off(caplog, monkeypatch):
    monkeypatch.setattr(warned, "_MOST", 5)
    with caplog.at_level(logging.INFO, logger="crystalsmith"), logged_warnings() as texts:
        for number in range(9):
            warnings.warn(f"number {number}", stacklevel=1)
    assert len(texts) == 9 and len(caplog.messages) == 5
