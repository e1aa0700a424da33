"""The kinds of job: what may be asked for over HTTP, checked before it waits.

No file of this machine can be named in a request, and no Python: potentials are those of a list, crystals
come as uploads or from runs, and settings that take paths are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crystalsmith.errors import ConfigError, OrderError
from crystalsmith.runs.settings import did_you_mean, options_of
from crystalsmith.serving.errors import TooLarge

POTENTIALS = ("chgnet", "7net-0", "7net-l3i5")
PROTOTYPES = ("aflow", "none")
MOST_ORDERS = 100

_GENERATE = (
    *("seed", "sampler", "steps", "max_tries", "letters", "precision", "best_of", "judges", "potential"),
    *("sort", "prototypes", "new_only", "picture"),
)
_BOUNDS = {"steps": 1000, "max_tries": 100, "best_of": 64}


@dataclass(frozen=True)
class Allowed:
    """How much one job may be.

    Attributes:
        most: crystals in it.
        crystal: gives the plain data of an uploaded crystal by its id.
    """

    most: int
    crystal: Callable[[str], dict[str, Any]]


def generate(given: Mapping[str, Any], allowed: Allowed) -> dict[str, Any]:
    """Options of a job that makes crystals: ``orders``, one or a list, and settings of ``generate``.

    Raises:
        OrderError, ConfigError: what the command line would refuse, or a file's name.
        TooLarge: more crystals than one job may have.
    """
    from crystalsmith.generation.settings import GenerateSettings
    from crystalsmith.orders import parse_orders

    _refuse_unknown(given, ("orders", *_GENERATE))
    orders = given.get("orders")
    orders = [orders] if isinstance(orders, Mapping) else orders
    if not isinstance(orders, list) or not orders:
        raise OrderError("orders: give one order, such as {formula: BaTiO3}, or a list of them")
    if len(orders) > MOST_ORDERS:
        raise TooLarge(f"{len(orders)} orders are more than the {MOST_ORDERS} of one job")
    plain = [with_host(order, allowed) for order in orders]
    settings = {name: given[name] for name in _GENERATE if given.get(name) is not None}
    _check_names(settings)
    parsed = parse_orders(plain)
    GenerateSettings(**typed(GenerateSettings, settings))
    crystals = sum(order.count for order in parsed) * int(settings.get("best_of", 1))
    if crystals > allowed.most:
        raise TooLarge(f"{crystals:,} crystals are more than the {allowed.most:,} of one job; ask for fewer")
    return {"orders": plain, **settings}


def with_host(order: Any, allowed: Allowed) -> Any:
    """An order with the crystal of its upload in the place of the upload's id.

    Raises:
        OrderError: its host is not an upload.
    """
    if not isinstance(order, Mapping) or order.get("host") is None:
        return order
    host = order["host"]
    if not isinstance(host, Mapping) or not isinstance(host.get("upload"), str):
        raise OrderError("host: upload a crystal and give {upload: its id}")
    return {**order, "host": allowed.crystal(host["upload"])}


def typed(settings: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of plain JSON, whose types are those of the fields.

    Raises:
        ConfigError: of another type, or beyond what one job may ask for.
    """
    known = options_of(settings)
    for name, value in given.items():
        default = known[name][0].default
        wanted: tuple[type, ...] = (str,)
        if isinstance(default, bool):
            wanted = (bool,)
        elif isinstance(default, int) or name in ("steps", "z", "atoms", "max_atoms"):
            wanted = (int,)
        elif isinstance(default, float):
            wanted = (int, float)
        if not isinstance(value, wanted) or (bool not in wanted and isinstance(value, bool)):
            raise ConfigError(f"{name}: {str(value)[:40]!r} is no {wanted[-1].__name__}")
        if isinstance(value, str) and len(value) > 200:
            raise ConfigError(f"{name}: longer than 200 characters")
        if isinstance(value, int | float) and abs(value) > _BOUNDS.get(name, 2**53):
            raise ConfigError(f"{name}: at most {_BOUNDS.get(name, 2**53)}")
    return dict(given)


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            near = did_you_mean(str(name)[:40], known) or f"; there are {', '.join(known)}"
            raise ConfigError(f"there is no option {str(name)[:40]!r}{near}")


def _check_names(settings: Mapping[str, Any]) -> None:
    for name, choices in (("potential", POTENTIALS), ("prototypes", PROTOTYPES)):
        if settings.get(name) not in (None, *choices):
            shown = str(settings[name])[:40]
            raise ConfigError(f"{name}: {shown!r} is none of {', '.join(choices)}")


KINDS: Mapping[str, Callable[[Mapping[str, Any], Allowed], dict[str, Any]]] = {"generate": generate}
"""Checks by kind of job: options of a request to those of the job."""
