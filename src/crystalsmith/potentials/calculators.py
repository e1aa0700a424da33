"""Interatomic potentials by name, as ASE calculators. None of them is needed until it is asked for."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Iterable
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.errors import RelaxationError
from crystalsmith.runs import extras
from crystalsmith.runs.engines.likeness import rely_on_file, rely_on_module
from crystalsmith.runs.extras import install_command, missing
from crystalsmith.runs.warned import logged_warnings

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

_MODULES = {"chgnet": "chgnet", "7net-0": "sevenn", "7net-l3i5": "sevenn", "mace": "mace"}
"""Names before the colon, and the module that must be installed."""
CHGNET_ELEMENTS = frozenset(range(1, 95)) - frozenset(range(84, 89))
"""Those of its training data, MPtrj: up to Pu without Po, At, Rn, Fr and Ra, of which it has weights that
never saw a crystal."""

_KNOWN = "chgnet, 7net-0, 7net-l3i5, mace:PATH (a model file), or module:factory (a function of your own)"


def check_potential(name: str) -> None:
    """Refuse a potential that ``load_calculator`` could not load, without loading it.

    Only the module that holds a factory, not the factory itself, is looked for. From now on workers on other
    machines must have the same model file, or module.

    Args:
        name: as for ``load_calculator``.

    Raises:
        RelaxationError: unknown, not installed, or a model file that does not exist.
    """
    kind, colon, rest = name.partition(":")
    if kind in _MODULES and (kind == "mace") == bool(colon):
        module = _MODULES[kind]
        if missing([module]):
            raise RelaxationError(f"potential {name} is not installed: {install_command([module])}")
        if kind == "mace" and not Path(rest).is_file():
            raise RelaxationError(f"potential {name} needs a model file, and {rest or 'no file'} is not one")
        if kind == "mace":
            rely_on_file(rest)
    elif colon and kind not in _MODULES and kind and rest.isidentifier():
        if missing([kind]):
            raise RelaxationError(
                f"potential {name}: there is no module {kind}; install it or mend PYTHONPATH"
            )
        rely_on_module(kind)
    else:
        raise RelaxationError(f"unknown potential {name!r}; known are {_KNOWN}")


def load_calculator(name: str) -> Calculator:
    """The ASE calculator of a potential; nothing is printed while it loads.

    Args:
        name: ``chgnet`` (on the CPU), ``7net-0``, ``7net-l3i5``, ``mace:PATH`` with a model file, or
            ``module:factory``, a function without arguments that returns a calculator.

    Raises:
        RelaxationError: unknown, not installed, or it cannot be loaded.
    """
    check_potential(name)
    # The libraries greet on standard output and warn about each other's versions.
    with contextlib.redirect_stdout(io.StringIO()), logged_warnings():
        try:
            calculator = _load(name)
        except Exception as error:
            raise RelaxationError(f"potential {name} cannot be loaded: {one_line(error)}") from error
    if name == "chgnet":  # of every process's first evaluation; nothing a user could mend
        warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad=True")
    if not hasattr(calculator, "get_potential_energy"):
        kind = type(calculator).__name__
        raise RelaxationError(f"potential {name} gives a {kind}; its factory must return an ASE calculator")
    return calculator


@lru_cache(maxsize=1)
def process_calculator(potential: str) -> Calculator:
    """The potential of this process, kept; a process of a pool is made ready for it: one thread, memory kept.

    Raises:
        RelaxationError: it cannot be loaded.
    """
    import scipy.optimize  # noqa: F401  # or the first crystal would spend its time on it

    calculator = load_calculator(potential)
    if parent_process() is not None:
        keep_freed_memory()
        if "torch" in sys.modules:  # not imported for potentials that do without
            sys.modules["torch"].set_num_threads(1)  # one process a core
    return calculator


def known_elements(calculator: Calculator) -> frozenset[int] | None:
    """Atomic numbers that a potential was fitted to; None where it does not say.

    A network answers for other elements too, if it has a place for their numbers: with an untrained weight,
    and else with an index error from its depths.
    """
    if chgnet_model(calculator) is not None:
        return CHGNET_ELEMENTS
    table = getattr(calculator, "type_map", None)  # SevenNet: place by atomic number
    if table is None:
        table = getattr(getattr(calculator, "z_table", None), "zs", None)  # MACE
    return None if table is None else frozenset(int(number) for number in table)


def unknown_to(calculator: Calculator, symbols: Iterable[str]) -> str:
    """Why a potential has no energy for these elements, in a few words; empty where it may have one."""
    known = known_elements(calculator)
    unknown = {s for s in symbols if known is not None and NUMBERS[s] not in known}
    names = ", ".join(sorted(unknown, key=NUMBERS.__getitem__))
    return f"the potential does not know {names}" if unknown else ""


def chgnet_model(calculator: Calculator) -> Any:
    """The model inside a calculator of CHGNet's; None of any other."""
    kinds = {kind.__name__ for kind in type(calculator).__mro__}
    return getattr(calculator, "model", None) if "CHGNetCalculator" in kinds else None


def module_of(name: str) -> str:
    """The module that a potential needs; empty where that is the user's own affair."""
    return _MODULES.get(name.partition(":")[0], "")


def package_of(name: str) -> str:
    """The pip package that holds a potential; empty where that is the user's own affair."""
    module = module_of(name)
    return extras.package_of(module) if module else ""


def one_line(error: BaseException) -> str:
    """Type and first line of an exception's message."""
    message = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _load(name: str) -> Any:
    kind, _, rest = name.partition(":")
    if kind == "chgnet":
        from crystalsmith.potentials.chgnet import chgnet_calculator

        return chgnet_calculator()
    if kind.startswith("7net-"):
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator(kind)
    if kind == "mace":
        from mace.calculators import MACECalculator

        return MACECalculator(model_paths=rest, device="cpu")
    return getattr(importlib.import_module(kind), rest)()
