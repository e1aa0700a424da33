"""Passwords in addresses are shown nowhere."""

from __future__ import annotations

import pytest

from crystalsmith.runs.addresses import FORM, all_shown, is_server, shown, split_address

PROPER = [
    ("postgresql://me:secret@host:5432/db", "postgresql://me@host:5432/db", ""),
    ("postgres://me:secret@[::1]:5432/db", "postgres://me@[::1]:5432/db", ""),
    ("postgresql://me:secret@host/db@stage=free", "postgresql://me@host/db@stage=free", "stage=free"),
    ("postgresql://host/db?user=me&password=secret", "postgresql://host/db?user=me&password=***", ""),
    ("postgresql:///db", "postgresql:///db", ""),
    (
        "postgresql://me@a:1,b:2/db?sslmode=require@Cu>1",
        "postgresql://me@a:1,b:2/db?sslmode=require@Cu>1",
        "Cu>1",
    ),
]


@pytest.mark.parametrize(("text", "expected", "selection"), PROPER)
def test_an_address_and_how_it_is_shown(text: str, expected: str, selection: str) -> None:
    assert is_server(text) and shown(text) == expected
    assert split_address(text) == (text.removesuffix(f"@{selection}") if selection else text, selection)
    assert shown(f"relax '{text}' -o out") == f"relax '{expected}' -o out"
    assert all_shown({"a": [text, 1], "b": None}) == {"a": [expected, 1], "b": None}


@pytest.mark.parametrize(
    "password", ["se@cret", "se/cret", "s@e/cret", "se:cret", "cret@", "/cret", "se?cret"]
)
def test_a_password_that_should_have_been_written_otherwise(password: str) -> None:
    """Its @ and / must be written by their numbers; what is left of it is shown in no case."""
    text = f"postgresql://me:{password}@host/db"
    assert "cret" not in shown(text) and shown(text).endswith("host/db")


def test_pieces_of_an_address() -> None:
    assert (
        shown("there is no file postgresql:/me:secret@host/db") == "there is no file postgresql:/me@host/db"
    )
    assert shown("unknown element 'postgresql://me:secr'; see") == "unknown element 'postgresql://me'; see"
    assert shown("postgresql://host:5432/db?x") == "postgresql://host:5432/db?x"


def test_other_texts_are_as_they_were() -> None:
    for text in ("runs/crystals.db@stage=free", "password=x", "https://example.org/a", FORM, "a@b:c@d"):
        assert shown(text) == text
    assert not is_server("crystals.db") and not is_server(3)
    assert split_address("postgresql://me:p@ss@host/db") != ("postgresql://me:p@ss@host/db", "")
