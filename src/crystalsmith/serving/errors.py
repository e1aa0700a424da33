"""What the service refuses, each with the status that says so over HTTP."""

from __future__ import annotations

from crystalsmith.errors import CrystalsmithError


class Refused(CrystalsmithError):
    """A request that is not carried out; its words are for the user."""

    status = 422


class NotFound(Refused):
    """There is nothing of that name."""

    status = 404


class Conflict(Refused):
    """Not in this state."""

    status = 409


class TooLarge(Refused):
    """More than the server takes at once."""

    status = 413


class Busy(Refused):
    """Too much is waiting already."""

    status = 429


class NoAnswer(Refused):
    """The process that was asked died, or took too long."""

    status = 503
