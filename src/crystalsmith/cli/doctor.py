"""``crystalsmith doctor``: what is installed, what is missing and how to get it, and whether it all works."""

from __future__ import annotations

import argparse
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.cli.output import emit
from crystalsmith.errors import CrystalsmithError
from crystalsmith.runs.extras import EXTRAS, checkout, install_command, missing, package_of

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from crystalsmith.diffusion import AnyModel

OK, ABSENT, FAULT = "ok", "absent", "fault"
"""Works; not there, and only some commands need it; broken, or there and of no use."""

_FOR = {
    "relax": "relax, hull build, generate --potential chgnet",
    "sevennet": "the potentials 7net-0 and 7net-l3i5",
    "phonons": "phonons, discover",
    "powder": "indexing and Rietveld refinement in solve",
    "materials-project": "hull build --materials-project",
    "evaluate": "all figures of evaluate",
    "tensorboard": "curves of train",
    "cluster": "--engine on a cluster",
    "web": "serve, and pictures that turn",
}
"""What an extra is needed for."""

_POTENTIALS = {"chgnet": "chgnet", "7net-0": "sevenn", "7net-l3i5": "sevenn", "mace:PATH": "mace"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: heading under which it stands.
        name: of it.
        state: ``ok``, ``absent`` (only some commands need it) or ``fault``.
        text: what was found.
        mend: what to do about it; empty where nothing is to be done.
    """

    part: str
    name: str
    state: str
    text: str
    mend: str = ""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="say what is installed, what is missing, and whether all works",
        description="Look at versions, devices, checkpoints, potentials and extras, say how to get what is"
        " missing, and make a few crystals to see that all works. Exit status 1 where something is broken.",
    )
    parser.add_argument("--no-test", action="store_true", help="only look; leave the self-test out")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    findings = examine(test=not args.no_test)
    faults = [f for f in findings if f.state == FAULT]
    emit({"healthy": not faults, "findings": findings}, "\n".join(_lines(findings)))
    return 1 if faults else 0


def examine(test: bool = True) -> list[Finding]:
    """Look at everything; what is broken is a finding and never an exception.

    Args:
        test: make crystals, too, which takes some ten seconds.
    """
    parts = [_installation, _machine, _devices, _checkpoints, _potentials, _extras]
    if test:
        parts.append(_self_test)
    findings: list[Finding] = []
    for part in parts:
        try:
            findings += part()
        except Exception as error:
            name = part.__name__.strip("_").replace("_", "-")
            findings.append(Finding(name, name, FAULT, _said(error)))
    return findings


def requirements() -> list[Requirement]:
    """What the package asks for, with its bounds; extras as ``extra == "relax"`` in the markers.

    Of a checkout as its file says today, since what was written at the installation may be older.
    """
    from packaging.requirements import Requirement

    folder = checkout()
    if folder is None:
        return [Requirement(text) for text in metadata.requires("crystalsmith") or ()]
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra, held in project["optional-dependencies"].items():
        lines += [f'{text}; extra == "{extra}"' for text in held]
    return [Requirement(line) for line in lines]


def _installation() -> Iterator[Finding]:
    part = "installation"
    folder = checkout()
    where = f"checkout {folder}" if folder else f"package in {Path(__file__).resolve().parents[2]}"
    yield Finding(part, "crystalsmith", OK, f"{__version__}, {where}")
    yield Finding(part, "python", OK, f"{platform.python_version()}, {sys.executable}")
    for wanted in requirements():
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield _package(part, wanted)


def _package(part: str, wanted: Requirement) -> Finding:
    """Whether a package is there and within the bounds."""
    mend = f"{_pip()} '{wanted.name}{wanted.specifier}'"
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return Finding(part, wanted.name, FAULT, f"not installed; {wanted.specifier} is needed", mend)
    if not wanted.specifier.contains(version, prereleases=True):
        return Finding(part, wanted.name, FAULT, f"{version}; {wanted.specifier} is needed", mend)
    return Finding(part, wanted.name, OK, version)


def _pip() -> str:
    """The command that installs, without what."""
    return install_command(["x"]).rpartition(" ")[0]


def _machine() -> Iterator[Finding]:
    from crystalsmith.runs.pool import available_cores

    part = "machine"
    yield Finding(part, "system", OK, f"{platform.system()} {platform.release()}, {platform.machine()}")
    usable, quota = available_cores(), _quota()
    text = f"{usable} of {os.cpu_count()} usable; workers of relax, discover and others: {usable}"
    if quota < usable:
        mend = f"--workers {max(1, math.floor(quota))} with commands that take workers"
        yield Finding(part, "cores", OK, f"{text}, but this container may use {quota:g} of them", mend)
    else:
        yield Finding(part, "cores", OK, text)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        yield Finding(part, "memory", OK, f"{size / 2**30:.0f} GiB")
    threads = os.environ.get("OMP_NUM_THREADS")
    yield Finding(
        part,
        "threads",
        OK,
        f"1 a process unless --threads says more; OMP_NUM_THREADS is {threads or 'not set'}",
    )
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free / 2**30
    mend = "" if free > 1 else "free some space, or set TMPDIR to another folder"
    yield Finding(
        part, "temporary files", OK if free > 0.1 else FAULT, f"{folder}, {free:.0f} GiB free", mend
    )


def _quota() -> float:
    """Cores' worth of time that a container grants (cgroup, version 2); infinite where nothing is said."""
    try:
        most, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return float(most) / float(period)
    except (OSError, ValueError):  # "max" is no number
        return math.inf


def _devices() -> Iterator[Finding]:
    import torch

    part = "devices"
    yield Finding(part, "cpu", OK, "what commands take unless --device says otherwise")
    if torch.cuda.is_available():
        for k in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(k)
            memory = f"{about.total_memory / 2**30:.0f} GiB"
            yield Finding(part, f"cuda:{k}", OK, f"{about.name}, {memory}; with --device cuda:{k}")
    elif _has_card():
        if torch.version.cuda is None:
            text = "a card is here, and torch is a build for the CPU"
            mend = "install the CUDA build, see docs/start/install.md"
        else:
            text = f"a card is here, and torch for CUDA {torch.version.cuda} cannot use it"
            mend = "install its driver, or the build of torch for the one that is there"
        yield Finding(part, "cuda", ABSENT, text, mend)
    else:
        build = torch.version.cuda and f"torch is a build for CUDA {torch.version.cuda}, which works without"
        yield Finding(part, "cuda", ABSENT, f"no card{'; ' + build if build else ''}; none is needed")
    if torch.backends.mps.is_available():
        yield Finding(part, "mps", OK, "Metal; with --device mps")


def _has_card() -> bool:
    """Whether the driver's own tool lists a card of NVIDIA's."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and "GPU" in done.stdout


def _checkpoints() -> Iterator[Finding]:
    from crystalsmith.diffusion import default_checkpoint, load_model

    for method in ("default", "paper"):
        path = default_checkpoint(method)
        try:
            model = load_model(method)
        except CrystalsmithError as error:
            yield Finding("checkpoints", method, FAULT, str(error), "install crystalsmith anew")
            continue
        size = path.stat().st_size / 1e6
        text = (
            f"{size:.0f} MB, {len(model.elements)} elements, up to {model.max_atoms} atoms, {model.hash[:12]}"
        )
        yield Finding("checkpoints", method, OK, text)


def _potentials() -> Iterator[Finding]:
    for name, module in _POTENTIALS.items():
        if missing([module]):
            mend = install_command([module])
            yield Finding("potentials", name, ABSENT, "not installed", mend)
        else:
            note = "; give the file of a model in place of PATH" if name.endswith("PATH") else ""
            yield Finding("potentials", name, OK, f"{_version(module)}{note}")
    yield Finding("potentials", "module:factory", OK, "any ASE calculator: a function that returns one")


def _extras() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    bounds: dict[str, SpecifierSet] = {}
    for wanted in requirements():
        if wanted.marker is not None:
            bounds[wanted.name] = bounds.get(wanted.name, SpecifierSet()) & wanted.specifier
    for extra, modules in EXTRAS.items():
        use = f"; for {_FOR[extra]}" if extra in _FOR else ""
        if lacking := missing(modules):
            names = ", ".join(map(package_of, lacking))
            yield Finding("extras", extra, ABSENT, f"{names} not installed{use}", install_command(lacking))
            continue
        shown, mends = [], []
        for module in modules:
            package, version = package_of(module), _version(module)
            shown.append(f"{package} {version}")
            bound = bounds.get(package, SpecifierSet())
            if version != "?" and not bound.contains(version, prereleases=True):
                shown[-1] += f" ({bound} is needed)"
                mends.append(f"{package}{bound}")
        mend = f"{_pip()} {' '.join(repr(m) for m in mends)}" if mends else ""
        yield Finding("extras", extra, FAULT if mends else OK, ", ".join(shown) + use, mend)


def _version(module: str) -> str:
    try:
        return metadata.version(package_of(module))
    except metadata.PackageNotFoundError:
        return "?"  # on the path without having been installed


def _self_test() -> Iterator[Finding]:
    """The roads that all commands take, each with one tiny task; a step that fails ends no other."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        steps: list[tuple[str, Callable[[Path], str]]] = [
            ("generate", _generates),
            ("files", _writes_and_reads),
            ("pattern", _diffracts),
            ("hull", _has_hull),
            ("workers", _relaxes_in_processes),
        ]
        steps += [
            (f"energy {n}", _energy_of(n)) for n in ("chgnet", "7net-0") if not missing([_POTENTIALS[n]])
        ]
        for name, step in steps:
            began = time.monotonic()
            try:
                text, state = step(folder), OK
            except Exception as error:
                text, state = _said(error), FAULT
            yield Finding("self-test", name, state, f"{text} ({time.monotonic() - began:.1f} s)")


def _model() -> AnyModel:
    from crystalsmith.diffusion import load_model

    return load_model()


def _generates(folder: Path) -> str:
    from crystalsmith.api import generate

    orders: list[dict[str, Any]] = [
        {"space_group": 136, "wyckoff": [["Ti", "a"], ["O", "f"]], "count": 2},
        {"formula": "NaCl", "count": 2},
    ]
    made = generate(orders, folder / "made", model=_model(), seed=0).crystals
    formulas = sorted(crystal.formula for crystal in made)
    if formulas != ["NaCl", "NaCl", "TiO2", "TiO2"]:
        raise CrystalsmithError(f"ordered two each of TiO2 and NaCl, made {', '.join(formulas) or 'nothing'}")
    return "2 crystals each of TiO2 and NaCl"


def _writes_and_reads(folder: Path) -> str:
    from crystalsmith.api import read
    from crystalsmith.crystal import Crystal

    made = list(read(folder / "made"))
    again = [Crystal.from_cif(crystal.to_cif()) for crystal in made]
    if not made or [c.counts for c in again] != [c.counts for c in made]:
        raise CrystalsmithError("what was written as CIF is not what is read")
    return f"{len(made)} crystals read from their folder and through CIF"


def _diffracts(folder: Path) -> str:
    from crystalsmith.api import read
    from crystalsmith.diffraction.radiation import radiation
    from crystalsmith.diffraction.simulation import simulate

    pattern = simulate(read(folder / "made")[0], radiation("CuKa"), (10, 90))
    highest = float(pattern.intensity.max())
    if not math.isclose(highest, 100.0, rel_tol=1e-3):
        raise CrystalsmithError(f"the highest line of a simulated pattern is {highest:g} in place of 100")
    return "a powder pattern simulated"


def _has_hull(folder: Path) -> str:
    from crystalsmith.api import hull

    phases = hull("Na-Cl").to_dataframe()
    if "NaCl" not in set(phases.formula[phases.above_hull == 0]):
        raise CrystalsmithError("NaCl is not on the hull of Na-Cl that ships")
    return f"{len(phases)} phases of Na-Cl"


def _relaxes_in_processes(folder: Path) -> str:
    from ase.build import bulk

    from crystalsmith.api import relax

    metals = [bulk("Cu"), bulk("Au")]
    relaxed = relax(metals, potential="ase.calculators.emt:EMT", workers=2).to_dataframe()
    if not relaxed.converged.all():
        raise CrystalsmithError(f"copper and gold do not relax: {'; '.join(relaxed.reason)}")
    return "2 crystals relaxed by 2 processes"


def _energy_of(potential: str) -> Callable[[Path], str]:
    def step(folder: Path) -> str:
        from ase.build import bulk

        from crystalsmith.potentials import load_calculator

        atoms = bulk("NaCl", "rocksalt", a=5.64)
        atoms.calc = load_calculator(potential)
        energy = float(atoms.get_potential_energy()) / len(atoms)
        if not -6.0 < energy < -1.0:  # with PBE about -3.4
            raise CrystalsmithError(f"energy of rock salt {energy:.2f} eV an atom; it should be near -3.4")
        return f"rock salt {energy:.2f} eV an atom"

    return step


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, CrystalsmithError) and text else f"{type(error).__name__}: {text}"


def _lines(findings: list[Finding]) -> Iterator[str]:
    width = max(len(finding.name) for finding in findings)
    shown = ""
    for finding in findings:
        if finding.part != shown:
            yield finding.part
            shown = finding.part
        mark = {OK: "ok", ABSENT: "--", FAULT: "!!"}[finding.state]
        yield f"  {mark}  {finding.name:<{width}}  {finding.text}"
        if finding.mend:
            yield f"      {'':<{width}}  -> {finding.mend}"
    faults = [finding.name for finding in findings if finding.state == FAULT]
    yield (
        f"broken (!!): {', '.join(faults)}"
        if faults
        else "nothing is broken; -- marks what only some commands need"
    )
