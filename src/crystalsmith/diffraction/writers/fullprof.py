"""Input of FullProf: a Rietveld refinement of one phase, .pcr, and its data."""

from __future__ import annotations

from crystalsmith.crystal.hall import hermann_mauguin
from crystalsmith.diffraction.writers.start import Atom, Start, atoms_of, tied_cell


class _Codes:
    """Numbers of refined parameters; FullProf codes are ten times the number, plus or minus a factor."""

    def __init__(self) -> None:
        self.count = 0

    def new(self) -> int:
        self.count += 1
        return self.count

    @staticmethod
    def code(number: int | None, factor: float = 1.0) -> float:
        """Of a parameter that changes with the numbered one by a factor; 0 is fixed."""
        if number is None or not factor:
            return 0.0
        return (10 * number + abs(factor)) * (1 if factor > 0 else -1)


def fullprof_data(start: Start) -> str:
    """The pattern as FullProf reads it with Ins = 10: six lines of heading, then angle, intensity, sigma."""
    p = start.pattern
    head = ["XYDATA", "INTER 1.0 1.0 0", "TEMP 295.0", f"! {p.name}", f"! {p.radiation.name}", "!"]
    rows = zip(p.two_theta, p.intensity, p.sigma, strict=True)
    return "\n".join(head) + "\n" + "".join(f"{x:.5f} {y:.6g} {s:.6g}\n" for x, y, s in rows)


def fullprof_input(start: Start, name: str) -> str:
    """The text of a .pcr file: scale, zero point, cell, width and coordinates are free.

    The data are looked for in NAME.dat.
    """
    crystal, radiation = start.crystal, start.pattern.radiation
    low, high = start.limits
    codes = _Codes()
    zero, scale = codes.new(), codes.new()
    background = [
        f"{x:10.4f} {max(y, 0.0):14.4f} {codes.code(codes.new()):10.2f}" for x, y in start.background
    ]
    second = radiation.wavelengths[1] if start.ratio else radiation.wavelength
    phase = _phase(start, name, codes, scale)
    lines = [
        f"COMM {name}: {crystal.formula}",
        "!Job Npr Nph Nba Nex Nsc Nor Dum Iwg Ilo Ias Res Ste Nre Cry Uni Cor Opt Aut",
        f"   0   5   1 {len(background):3d}   0   0   0   0   0   0   0   0   0   0   0   0   0   0   0",
        "!Ipr Ppl Ioc Mat Pcr Ls1 Ls2 Ls3 NLI Prf Ins Rpa Sym Hkl Fou Sho Ana",
        "   0   0   1   0   1   0   4   0   0   3  10   0   0   0   0   0   0",
        "! Lambda1  Lambda2    Ratio    Bkpos    Wdt    Cthm     muR   AsyLim   Rpolarz  2nd-muR",
        f" {radiation.wavelength:.6f} {second:.6f} {start.ratio:.5f} 40.000 20.0000"
        f" {radiation.polarization:.4f}  0.0000   60.00    0.0000  0.0000",
        "!NCY  Eps  R_at  R_an  R_pr  R_gl     Thmin       Step       Thmax    PSD    Sent0",
        f"  20  0.10  0.50  0.50  0.50  0.50 {low:10.4f} {start.pattern.step:10.6f} {high:10.4f}"
        "   0.000   0.000",
        "!2Theta/TOF/E(Kev)   Background  for Pattern#  1",
        *background,
        f"    {codes.count}    !Number of refined parameters",
        "!  Zero    Code    SyCos    Code   SySin    Code  Lambda     Code MORE",
        f" {start.zero:.5f} {codes.code(zero):.1f}  0.00000 0.0  0.00000 0.0 0.000000 0.00   0",
        *phase,
        "!  2Th1/TOF1    2Th2/TOF2  Pattern # 1",
        f"   {low:.3f}   {high:.3f}   1",
    ]
    return "\n".join(lines) + "\n"


def _phase(start: Start, name: str, codes: _Codes, scale: int) -> list[str]:
    crystal = start.crystal
    symbol = hermann_mauguin(crystal.space_group).partition(" :")[0]  # its own default is ours
    atoms = atoms_of(crystal)
    general = len(crystal.group.rotations) * len(crystal.group.centring)
    sites = [line for atom in atoms for line in _site(atom, general, start.thermal, codes)]
    width = codes.new()
    free = [None if k is None else k for k in tied_cell(crystal)]
    numbers = {k: codes.new() for k in sorted({k for k in free if k is not None})}
    cell_codes = [codes.code(None if k is None else numbers[k]) for k in free]
    return [
        "!-------------------------------------------------------------------------------",
        "!  Data for PHASE number:   1",
        "!-------------------------------------------------------------------------------",
        name,
        "!Nat Dis Ang Pr1 Pr2 Pr3 Jbt Irf Isy Str Furth       ATZ    Nvk Npr More",
        f"  {len(atoms)}   0   0 0.0 0.0 1.0   0   0   0   0   0          0.000   0   5   0",
        f"{symbol:24s}<--Space group symbol",
        "!Atom   Typ       X        Y        Z     Biso       Occ     In Fin N_t Spc /Codes",
        *sites,
        "!  Scale        Shape1      Bov      Str1      Str2      Str3   Strain-Model",
        f" 0.10000E-03 {start.mixing:.5f}   0.00000   0.00000   0.00000   0.00000       0",
        f" {codes.code(scale):.5f}     0.000     0.000     0.000     0.000     0.000",
        "!       U         V          W           X          Y        GauSiz   LorSiz Size-Model",
        f" {start.width.slope:.6f}   0.000000   {start.width.constant:.6f}"
        "   0.000000   0.000000   0.000000   0.000000    0",
        f"      0.000      0.000   {codes.code(width):.3f}      0.000      0.000      0.000      0.000",
        "!     a          b         c        alpha      beta       gamma      #Cell Info",
        " ".join(f"{v:11.6f}" for v in crystal.cell),
        " ".join(f"{c:11.5f}" for c in cell_codes),
        "!  Pref1    Pref2      Asy1     Asy2     Asy3     Asy4      S_L      D_L",
        "  1.00000  0.00000  0.00000  0.00000  0.00000  0.00000  0.00000  0.00000",
        "     0.00     0.00     0.00     0.00     0.00     0.00     0.00     0.00",
    ]


def _site(atom: Atom, general: int, thermal: float, codes: _Codes) -> list[str]:
    """Two lines: coordinates, B and occupation by multiplicity; and the codes of their parameters."""
    x, y, z = atom.place
    numbers = [codes.new() for _ in atom.free]
    places = []
    for slopes in atom.slopes:
        # A code takes one parameter: a coordinate that two of them move stays where it is.
        moved = [(numbers[j], float(s)) for j, s in enumerate(slopes) if s]
        places.append(codes.code(*moved[0]) if len(moved) == 1 else 0.0)
    row = f"{atom.label:6s} {atom.element.upper():4s} {x:9.6f} {y:9.6f} {z:9.6f} {thermal:8.4f}"
    return [
        f"{row} {atom.multiplicity / general:9.6f}   0   0   0    0",
        "            " + " ".join(f"{c:9.2f}" for c in (*places, 0.0, 0.0)),
    ]
