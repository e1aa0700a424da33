"""Outputs of VASP and pw.x, as short as their readers allow, for tests."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Structure

BOHR = 0.529177210903
RY = 13.605693122994


def vasprun(
    structure: Structure,
    energies: list[float],
    *,
    nsw: int = 99,
    cycles: int = 8,
    nelm: int = 100,
    encut: float = 520.0,
    hubbard: dict[str, float] | None = None,
) -> str:
    """A vasprun.xml; ``energies`` (eV per cell) of its ionic steps, each of ``cycles`` electronic ones."""
    symbols = [site.specie.symbol for site in structure]
    kinds = list(dict.fromkeys(symbols))
    hubbard = hubbard or {}
    ldau = ""
    if hubbard:
        values = " ".join(f"{hubbard.get(k, 0.0):.2f}" for k in kinds)
        ldau = (
            f'<i type="logical" name="LDAU">T</i><v name="LDAUU">{values}</v>'
            f'<v name="LDAUJ">{" ".join("0.00" for _ in kinds)}</v>'
        )
    atoms = "".join(f"<rc><c>{s}</c><c>{kinds.index(s) + 1}</c></rc>" for s in symbols)
    types = "".join(
        f"<rc><c>{symbols.count(k)}</c><c>{k}</c><c>1.0</c><c>1.0</c><c>PAW_PBE {k} 01Jan2001</c></rc>"
        for k in kinds
    )

    def rows(array: np.ndarray) -> str:
        return "".join("<v>" + " ".join(f"{x:.10f}" for x in row) + "</v>" for row in array)

    basis = (
        f'<crystal><varray name="basis">{rows(structure.lattice.matrix)}</varray></crystal>'
        f'<varray name="positions">{rows(structure.frac_coords)}</varray>'
    )

    def energy(value: float) -> str:
        names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
        return "<energy>" + "".join(f'<i name="{n}">{value:.8f}</i>' for n in names) + "</energy>"

    steps = "".join(
        "<calculation>"
        + f"<scstep>{energy(value)}</scstep>" * cycles
        + f"<structure>{basis}</structure>"
        + f'<varray name="forces">{rows(np.zeros((len(structure), 3)))}</varray>'
        + energy(value)
        + "</calculation>"
        for value in energies
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>'
        '<generator><i name="program" type="string">vasp</i><i name="version" type="string">6.4.2</i>'
        f'</generator><incar><i name="ENCUT">{encut}</i>{ldau}</incar>'
        '<kpoints><generation param="Gamma"><v type="int" name="divisions">7 7 7</v></generation>'
        '<varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1.0</v></varray></kpoints>'
        f'<parameters><i type="int" name="NSW">{nsw}</i><i type="int" name="IBRION">2</i>'
        f'<i type="int" name="NELM">{nelm}</i><i name="ENMAX">{encut}</i><i name="EDIFFG">-0.01</i>'
        '<i type="logical" name="LHFCALC">F</i><i type="string" name="GGA">PE</i>{}</parameters>'.format("")
        + f"<atominfo><atoms>{len(symbols)}</atoms><types>{len(kinds)}</types>"
        f'<array name="atoms"><set>{atoms}</set></array><array name="atomtypes"><set>{types}</set></array>'
        f'</atominfo><structure name="initialpos">{basis}</structure>{steps}'
        f'<structure name="finalpos">{basis}</structure></modeling>\n'
    )


def pw_output(
    structure: Structure,
    energy: float,
    *,
    cutoff: float = 90.0,
    electronic: bool = True,
    ionic: bool = True,
    finished: bool = True,
) -> str:
    """What pw.x prints in vc-relax; ``energy`` in eV per cell."""
    alat = structure.lattice.a
    symbols = [site.specie.symbol for site in structure]
    kinds = list(dict.fromkeys(symbols))
    axes = "".join(
        f"               a({i}) = ( {' '.join(f'{x:10.6f}' for x in row / alat)} )\n"
        for i, row in enumerate(structure.lattice.matrix, 1)
    )
    sites = "".join(
        f"{i:10d}           {s:<4s}tau({i:4d}) = ( {' '.join(f'{x:12.7f}' for x in xyz / alat)}  )\n"
        for i, (s, xyz) in enumerate(zip(symbols, structure.cart_coords, strict=True), 1)
    )
    pseudos = "".join(
        f"     PseudoPot. # {i} for {k:<2s} read from file:\n     ../pseudo/{k}.upf\n"
        f"     MD5 check sum: {i}abc\n     Pseudo is Ultrasoft\n"
        for i, k in enumerate(kinds, 1)
    )
    done = (
        "     convergence has been achieved in  10 iterations\n"
        if electronic
        else "     convergence NOT achieved after 200 iterations: stopping\n"
    )
    scf = f"\n!    total energy              = {energy / RY:17.8f} Ry\n{done}\n"
    cell = "".join("  ".join(f"{x:.9f}" for x in row) + "\n" for row in structure.lattice.matrix)
    final = "".join(
        f"{s}  {' '.join(f'{x:.10f}' for x in f)}\n"
        for s, f in zip(symbols, structure.frac_coords, strict=True)
    )
    geometry = f"CELL_PARAMETERS (angstrom)\n{cell}\nATOMIC_POSITIONS (crystal)\n{final}"
    if ionic:
        end = (
            "     bfgs converged in   3 scf cycles and   2 bfgs steps\n"
            "     End of BFGS Geometry Optimization\n\n"
            f"Begin final coordinates\n{geometry}End final coordinates\n\n"
            "     A final scf calculation at the relaxed structure.\n"
        )
    else:
        end = f"{geometry}\n     The maximum number of steps has been reached.\n"
    return (
        "\n     Program PWSCF v.7.2 starts on  1Jan2024 at 10: 0: 0\n\n"
        f"     lattice parameter (alat)  = {alat / BOHR:12.4f}  a.u.\n"
        f"     number of atoms/cell      = {len(symbols):12d}\n"
        f"     number of atomic types    = {len(kinds):12d}\n"
        f"     kinetic-energy cutoff     = {cutoff:12.4f}  Ry\n"
        f"     charge density cutoff     = {8 * cutoff:12.4f}  Ry\n"
        "     Exchange-correlation= PBE\n\n"
        f"     celldm(1)= {alat / BOHR:.8f}  celldm(2)=   0.000000  celldm(3)=   0.000000\n\n"
        f"     crystal axes: (cart. coord. in units of alat)\n{axes}\n{pseudos}\n"
        f"   Cartesian axes\n\n     site n.     atom                  positions (alat units)\n{sites}\n"
        f"     BFGS Geometry Optimization\n{scf}     number of bfgs steps      =   1\n"
        f"{end}{scf}" + ("     JOB DONE.\n" if finished else "")
    )
