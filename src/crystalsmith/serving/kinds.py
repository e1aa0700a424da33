"""The kinds of job: what may be asked for over HTTP, checked before it waits.

No file of this machine can be named in a request, and no Python: potentials are those of a list, crystals
and patterns come as uploads or from runs, and settings that take paths are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import ConfigError, DataError, OrderError
from crystalsmith.runs.settings import did_you_mean, options_of
from crystalsmith.serving.errors import TooLarge

if TYPE_CHECKING:
    from crystalsmith.discovery.settings import DiscoverySettings

POTENTIALS = ("chgnet", "7net-0", "7net-l3i5")
PROTOTYPES = ("aflow", "none")
MOST_ORDERS = 100

GENERATE = (
    *("seed", "sampler", "steps", "max_tries", "letters", "precision", "best_of", "judges", "potential"),
    *("sort", "prototypes", "new_only", "picture"),
)
RELAX = ("potential", "only", "fmax", "smax", "max_calls", "max_volume_change", "seconds")
SOLVE = (
    *("formula", "elements", "space_group", "cell", "z", "atoms", "max_atoms", "radiation", "axis"),
    *("two_theta", "candidates"),
    *("refine", "rietveld", "index", "index_seconds", "tolerance", "potential", "prototypes", "seed"),
)
DISCOVER = (
    *("space_groups", "common", "formulas", "crystals", "samples", "competitors", "sites", "max_sites"),
    *("max_atoms", "minutes", "potential", "keep_scored", "keep_energies", "keep_relaxed", "per_formula"),
    *("shortlist", "phonons", "max_above_hull", "max_calls", "fmax", "smax", "seconds", "keep_known", "seed"),
)

LARGEST = {
    **{"steps": 1000, "max_tries": 100, "best_of": 64, "z": 1000, "atoms": 1000, "max_atoms": 1000},
    **{"max_calls": 2000, "seconds": 86400, "minutes": 10080, "refine": 100, "rietveld": 20, "phonons": 100},
    **{"index_seconds": 3600, "samples": 1000, "competitors": 10000, "shortlist": 500, "max_sites": 20},
    **{"keep_scored": 20000, "keep_energies": 5000, "keep_relaxed": 1000, "per_formula": 1000},
}
"""The largest numbers that settings may be."""

_WHOLE = ("steps", "z", "atoms", "max_atoms", "crystals", "max_sites")  # whose default is None
_REAL = ("minutes", "seconds", "max_volume_change")
_MANY = ("cell", "space_group", "space_groups", "formulas", "two_theta", "sites", "max_calls", "elements")


@dataclass(frozen=True)
class Allowed:
    """How much one job may be, and where what it works on comes from.

    Attributes:
        most: crystals in it.
        upload: what was read of an upload, by its id: ``pattern`` or ``crystals``, in plain data.
        crystals: crystals of a run in plain data by name, by its id; all of them, or those of these names.
        energies: crystals of a run with energies, by its id: the potential, and a row for each.
    """

    most: int
    upload: Callable[[str], dict[str, Any]]
    crystals: Callable[[str, Sequence[str] | None], dict[str, Any]]
    energies: Callable[[str], tuple[str, list[dict[str, Any]]]]


@dataclass(frozen=True)
class Checked:
    """A job that may be done.

    Attributes:
        options: of the job.
        name: what it is about, for people.
        data: what it works on, if that is large.
    """

    options: dict[str, Any]
    name: str
    data: dict[str, Any] = field(default_factory=dict)


def generate(given: Mapping[str, Any], allowed: Allowed) -> Checked:
    """Crystals to order: ``orders``, one or a list, and settings of ``generate``.

    Raises:
        OrderError, ConfigError: what the command line would refuse, or a file's name.
        TooLarge: more crystals than one job may have.
    """
    from crystalsmith.generation.settings import GenerateSettings
    from crystalsmith.orders import parse_orders

    _refuse_unknown(given, ("orders", *GENERATE))
    orders = given.get("orders")
    orders = [orders] if isinstance(orders, Mapping) else orders
    if not isinstance(orders, list) or not orders:
        raise OrderError("orders: give one order, such as {formula: BaTiO3}, or a list of them")
    if len(orders) > MOST_ORDERS:
        raise TooLarge(f"{len(orders)} orders are more than the {MOST_ORDERS} of one job")
    plain = [with_host(order, allowed) for order in orders]
    settings = _settings(given, GENERATE, GenerateSettings)
    parsed = parse_orders(plain)
    GenerateSettings(**settings)
    crystals = sum(order.count for order in parsed) * int(settings.get("best_of", 1))
    _check_number(crystals, allowed)
    names = [order.content.tag for order in parsed]
    return Checked({"orders": plain, **settings}, _listed(names))


def relax(given: Mapping[str, Any], allowed: Allowed) -> Checked:
    """Crystals of a ``run`` (all, or those of ``names``) or of an ``upload``, relaxed.

    Raises:
        ConfigError: a setting that there is not, or nothing to relax.
        TooLarge: more crystals than one job may have.
    """
    from crystalsmith.potentials.settings import RelaxSettings, Resources

    _refuse_unknown(given, ("run", "names", "upload", *RELAX))
    settings = _settings(given, RELAX, RelaxSettings, Resources)
    RelaxSettings(**{k: v for k, v in settings.items() if k != "potential"})
    crystals, name = _crystals(given, allowed)
    _check_number(len(crystals), allowed)
    return Checked(settings, name, {"crystals": crystals})


def solve(given: Mapping[str, Any], allowed: Allowed) -> Checked:
    """The structure behind the pattern of an ``upload``, from what is known of the sample.

    Raises:
        ConfigError, OrderError: what the command line would refuse.
        TooLarge: more candidates than one job may have.
    """
    from crystalsmith.serving.plain_patterns import pattern_of
    from crystalsmith.solving.question import formulas
    from crystalsmith.solving.settings import SolveSettings

    _refuse_unknown(given, ("upload", *SOLVE))
    settings = _settings(given, SOLVE, SolveSettings)
    chosen = SolveSettings(**settings)
    formulas(chosen)
    _check_number(chosen.candidates, allowed)
    found = allowed.upload(_id(given.get("upload"), "upload", "a pattern"))
    if "pattern" not in found:
        raise DataError("the upload holds crystals, not a pattern")
    # Refused here where the X-rays are not known.
    pattern_of(found["pattern"], str(found["name"]), settings.get("radiation"), settings.get("axis"))
    what = str(settings.get("formula") or "-".join(symbol for symbol, *_ in chosen.elements))
    return Checked(settings, what[:60], {"pattern": found["pattern"], "name": found["name"]})


def discover(given: Mapping[str, Any], allowed: Allowed) -> Checked:
    """New crystals of a ``system`` near the convex hull.

    Raises:
        ConfigError, DiscoveryError, HullError, OrderError: what the command line would refuse.
        TooLarge: more crystals than one job may have.
    """
    from crystalsmith.discovery.settings import FEWEST_ELEMENTS, MOST_ELEMENTS, DiscoverySettings
    from crystalsmith.hull.system import parse_system

    _refuse_unknown(given, ("system", *DISCOVER))
    system = parse_system(_system(given), MOST_ELEMENTS, FEWEST_ELEMENTS)
    settings = _settings(given, DISCOVER, DiscoverySettings)
    chosen = discovery_settings({"system": system, **settings})
    chosen.check_formulas()
    _check_number(chosen.crystals or 2000, allowed)
    return Checked({"system": list(system), **settings}, chosen.name)


def discovery_settings(options: Mapping[str, Any]) -> DiscoverySettings:
    """Settings of a search, lists as the command line writes them or as JSON has them.

    Raises:
        CrystalsmithError: a value that the command line would refuse.
    """
    from crystalsmith.discovery import settings

    readers: dict[str, Callable[[str], Any]] = {
        "space_groups": settings.space_groups,
        "formulas": settings.names,
        "sites": settings.site_range,
        "max_calls": settings.two_calls,
    }
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    read: dict[str, Any] = {
        k: readers[k](v) if k in readers and isinstance(v, str) else v for k, v in values.items()
    }
    return settings.DiscoverySettings(**read)


def hull(given: Mapping[str, Any], allowed: Allowed) -> Checked:
    """The phases of a ``system`` by a ``potential``, with the relaxed crystals of ``runs`` among them.

    Raises:
        ConfigError: neither a system nor runs, or runs of different potentials.
        HullError: a system that has no hull.
    """
    from crystalsmith.crystal.elements import formula_order
    from crystalsmith.hull.system import MOST_ELEMENTS, parse_system

    _refuse_unknown(given, ("system", "runs", "potential"))
    settings = _settings(given, ("potential",), _OfPotential)
    runs = given.get("runs") or []
    if not isinstance(runs, list) or len(runs) > MOST_ORDERS:
        raise ConfigError(f"runs: a list of up to {MOST_ORDERS} ids of relaxations")
    candidates: list[dict[str, Any]] = []
    potential = settings.get("potential")
    for run_id in runs:
        own, rows = allowed.energies(_id(run_id, "runs", "a relaxation"))
        if potential not in (None, own):
            raise ConfigError(f"energies of {own} and of {potential} cannot stand on one hull")
        potential = own
        candidates += rows
    _check_number(len(candidates), allowed)
    potential = str(potential or "chgnet")
    if given.get("system") is not None:
        elements = parse_system(_system(given), MOST_ELEMENTS, 2)
    else:
        found = {e for row in candidates for e in row["counts"]}
        elements = parse_system("-".join(sorted(found, key=formula_order)), MOST_ELEMENTS, 2)
    inside = [row for row in candidates if set(row["counts"]) <= set(elements)]
    options = {"system": list(elements), "potential": potential, "runs": runs}
    return Checked(options, "-".join(elements), {"candidates": inside})


@dataclass(frozen=True)
class _OfPotential:
    potential: str | None = None


def with_host(order: Any, allowed: Allowed) -> Any:
    """An order with the crystal of its upload in the place of the upload's id.

    Raises:
        OrderError: its host is not an upload of one crystal.
    """
    if not isinstance(order, Mapping) or order.get("host") is None:
        return order
    host = order["host"]
    if not isinstance(host, Mapping) or not isinstance(host.get("upload"), str):
        raise OrderError("host: upload a crystal and give {upload: its id}")
    crystals = allowed.upload(host["upload"]).get("crystals", {})
    if len(crystals) != 1:
        raise OrderError(f"host: the upload must hold one crystal; it holds {len(crystals)}")
    return {**order, "host": next(iter(crystals.values()))}


def _settings(given: Mapping[str, Any], names: Sequence[str], *classes: type) -> dict[str, Any]:
    """Those of a request, each of the type of its field and no larger than may be.

    Raises:
        ConfigError: names the setting and what it takes.
    """
    found = {name: given[name] for name in names if given.get(name) is not None}
    defaults = {n: f.default for one in classes for n, (f, _) in options_of(one).items()}
    for name, value in found.items():
        _check_type(name, value, defaults.get(name))
    for name, choices in (("potential", POTENTIALS), ("prototypes", PROTOTYPES)):
        if found.get(name) not in (None, *choices):
            raise ConfigError(f"{name}: {str(found[name])[:40]!r} is none of {', '.join(choices)}")
    return found


def _check_type(name: str, value: Any, default: Any) -> None:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{name}: {str(value)[:40]!r} is neither true nor false")
        return
    if name in _MANY and isinstance(value, list) and len(value) <= 300:
        for one in value:
            _check_type("", one, 0.0 if isinstance(one, int | float) else "")
        return
    wanted: tuple[type, ...] = (str, int) if name in _MANY else (str,)
    if name not in _MANY and (isinstance(default, float) or name in _REAL):
        wanted = (int, float)
    elif name not in _MANY and (isinstance(default, int) or name in _WHOLE):
        wanted = (int,)
    if isinstance(value, bool) or not isinstance(value, wanted):
        words = {str: "text", int: "a whole number", float: "a number"}
        raise ConfigError(f"{name}: {str(value)[:40]!r} is not {words[wanted[-1]]}")
    if isinstance(value, str) and len(value) > 300:
        raise ConfigError(f"{name}: longer than 300 characters")
    if isinstance(value, int | float) and not abs(value) <= LARGEST.get(name, 2**53):
        raise ConfigError(f"{name}: at most {LARGEST.get(name, 2**53)}")


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            near = did_you_mean(str(name)[:40], known) or f"; there are {', '.join(known)}"
            raise ConfigError(f"there is no option {str(name)[:40]!r}{near}")


def _check_number(crystals: int, allowed: Allowed) -> None:
    if crystals > allowed.most:
        raise TooLarge(f"{crystals:,} crystals are more than the {allowed.most:,} of one job; ask for fewer")


def _crystals(given: Mapping[str, Any], allowed: Allowed) -> tuple[dict[str, Any], str]:
    """Crystals of a run or an upload by name, and what to call them."""
    if (given.get("run") is None) == (given.get("upload") is None):
        raise ConfigError("say whose crystals: give run or upload, the id of either")
    names = given.get("names")
    if names is not None and not (isinstance(names, list) and names and all(type(n) is str for n in names)):
        raise ConfigError("names: a list of names of crystals; leave it out for all")
    if given.get("upload") is not None:
        found = allowed.upload(_id(given["upload"], "upload", "crystals"))
        crystals = {n: c for n, c in found.get("crystals", {}).items() if names is None or n in names}
    else:
        crystals = allowed.crystals(_id(given["run"], "run", "crystals"), names)
    name = f"{len(crystals)} crystals" if len(crystals) > 1 else next(iter(crystals), "")
    if not crystals:
        raise DataError("there is no crystal to work on")
    return crystals, name


def _id(value: Any, key: str, what: str) -> str:
    if not isinstance(value, str) or len(value) > 100:
        raise ConfigError(f"{key}: give the id of {what}")
    return value


def _system(given: Mapping[str, Any]) -> str:
    system = given.get("system")
    if isinstance(system, list) and all(isinstance(one, str) for one in system):
        system = "-".join(system)
    if not isinstance(system, str) or len(system) > 100:
        raise ConfigError("system: give elements such as Cu-K-Si")
    return system


def _listed(names: Sequence[str]) -> str:
    """The first few."""
    shown = list(dict.fromkeys(names))
    return ", ".join(shown[:3])[:80] + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


KINDS: Mapping[str, Callable[[Mapping[str, Any], Allowed], Checked]] = {
    "generate": generate,
    "relax": relax,
    "solve": solve,
    "discover": discover,
    "hull": hull,
}
"""Checks by kind of job: options of a request to those of the job."""
