"""Addresses of database servers: what is one, and how it is shown without its password.

The word ``password`` itself, which messages say, is none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

SERVERS = ("postgresql://", "postgres://")
FORM = "postgresql://user:password@host:port/database, with %40 for @ and %2F for / in a password"

# What follows the user is cut up to the @ before the host; in what is no proper address, up to the last @;
# and in pieces of one, up to the end. A path of pathlib has one slash less.
_USER = r"((?:://|postgres(?:ql)?:/)[^:/@\s]*)"
_PROPER = re.compile(_USER + r":(?!password@)[^@/\s]*@(?=[^@/\s]*(?:[/\s'\"]|$))(?!\S*@\S*/)")
_IMPROPER = re.compile(_USER + r":(?!password@)\S*@")
_PIECE = re.compile(r"(postgres(?:ql)?:/{1,2}[^:/@\s'\"]*):(?!password@)(?!\d+(?:[/?\s'\"]|$))[^@/\s'\"]*")
_WORD = re.compile(r"(\b\w*password=)[^&@\s'\"]*", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?P<url>postgres(?:ql)?://(?:[^:/@\s]*(?::[^/@\s]*)?@)?[^/@?\s]*(?:/[^/@?\s]*)?(?:\?[^@\s]*)?)"
    r"(?:@(?P<selection>[^/]+))?"
)


def is_server(source: Any) -> bool:
    """Whether this is the address of a database server and not the name of a file."""
    return isinstance(source, (str, os.PathLike)) and os.fspath(source).startswith(SERVERS)


def split_address(text: str) -> tuple[str, str] | None:
    """URL and selection of ``URL@SELECTION``; None where it is none.

    A library that is given an improper one would show parts of the password as the name of a host.
    """
    found = _ADDRESS.fullmatch(text)
    return None if found is None else (found["url"], found["selection"] or "")


def shown(text: str) -> str:
    """A text whose addresses have no passwords."""
    if ":/" not in text:
        return text
    text = _IMPROPER.sub(r"\1@", _PROPER.sub(r"\1@", text))
    return _WORD.sub(r"\1***", _PIECE.sub(r"\1", text))


def all_shown(value: Any) -> Any:
    """Plain JSON with ``shown`` applied to every text in it."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {key: all_shown(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [all_shown(one) for one in value]
    return value
