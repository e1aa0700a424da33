"""``crystalsmith wyckoff``: the table, JSON lines, counts, refusals, and who stops reading."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from crystalsmith.assignments import count_assignments, list_assignments, to_pairs
from crystalsmith.cli.main import main
from crystalsmith.orders import parse_order
from crystalsmith.symmetry import space_group

PEROVSKITE = ("--space-group", "221", "--formula", "BaTiO3")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Standard output of a command that succeeds and complains about nothing."""
    assert main(["wyckoff", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def json_lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer(capsys, *arguments, "--lines").splitlines()]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that is refused."""
    assert main(["wyckoff", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("crystalsmith: error: ") and captured.err.count("\n") == 1
    return captured.err


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, *PEROVSKITE, "--z", "1") == (
        "space group  Pm-3m (221)\n"
        "formula      BaTiO3\n"
        "asked for    z 1, atoms not given, max_atoms not given\n"
        "\n"
        "z  primitive cell  conventional cell  assignments  with equivalent ones\n"
        "1         5 atoms            5 atoms            2                     4\n"
        "\n"
        "no.  z  free coordinates  free lattice  assignment\n"
        "  1  1                 0             1  Ba 1a (m-3m); Ti 1b (m-3m); O 3c (4/mm.m)\n"
        "  2  1                 0             1  Ba 1a (m-3m); Ti 1b (m-3m); O 3d (4/mm.m)\n"
    )


def test_a_symbol_a_centred_cell_and_repeated_positions(capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(capsys, "--space-group", "P-1", "--formula", "TiO₂", "--atoms", "6", "--limit", "0")
    assert "space group  P-1 (2)" in out and "formula      TiO2" in out
    assert out.endswith("  2                 9             6  Ti 2i (1); O 2 x 2i (1)\n")
    out = answer(capsys, "--space-group", "Fm-3m", "--formula", "NaCl", "--z", "4")
    assert re.search(r"^4 +2 atoms +8 atoms +1 +2$", out, re.MULTILINE)
    assert out.endswith("  Na 4a (m-3m); Cl 4b (m-3m)\n")


def test_the_order_of_the_list_is_that_of_the_letters(capsys: pytest.CaptureFixture[str]) -> None:
    lines = json_lines(capsys, "--space-group", "47", "--formula", "BaTiO3", "--z", "1", "--limit", "0")
    assert len(lines) == count_assignments(47, (1, 1, 3)) > 50
    expected = [to_pairs(47, ("Ba", "Ti", "O"), a) for a in list_assignments(47, (1, 1, 3))]
    assert [tuple(map(tuple, line["wyckoff"])) for line in lines] == expected


@pytest.mark.parametrize("more", [[], ["--count"]])
def test_json_is_all_lines_in_one_document(capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    document = json.loads(answer(capsys, *PEROVSKITE, *more, "--json"))
    assert document["result"] == json_lines(capsys, *PEROVSKITE, *more)


def test_json_lines_are_what_orders_take(capsys: pytest.CaptureFixture[str]) -> None:
    lines = json_lines(capsys, *PEROVSKITE)
    assert len(lines) == sum(count_assignments(221, (n, n, 3 * n)) for n in (1, 2, 3, 4))
    assert {(line["z"], line["atoms"]) for line in lines} == {(1, 5), (3, 15), (4, 20)}
    group = space_group(221)
    for line in lines:
        assert line["space_group"] == 221 and line["formula"] == "BaTiO3" and line["max_atoms"] == 20
        order = parse_order({key: line[key] for key in ("space_group", "wyckoff")})
        assert order.content.check(order.bounds, 1000) == line["atoms"]
        assert line["free_parameters"] == sum(group.wyckoff[letter].dof for _, letter in line["wyckoff"])
        assert line["lattice_parameters"] == 1


@pytest.mark.parametrize(("group", "free"), [(2, 6), (14, 4), (62, 3), (136, 2), (194, 2), (225, 1)])
def test_free_parameters_of_the_lattice(capsys: pytest.CaptureFixture[str], group: int, free: int) -> None:
    (line,) = json_lines(
        capsys, "--space-group", str(group), "--formula", "Cu", "--max-atoms", "8", "--limit", "1"
    )
    assert line["lattice_parameters"] == free


def test_counting_only(capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(capsys, *PEROVSKITE, "--max-atoms", "20", "--count")
    assert out.splitlines()[-1].split() == ["all", "16", "32"] and "no." not in out
    assert json_lines(capsys, *PEROVSKITE, "--z", "4", "--count") == [
        {
            "space_group": 221,
            "formula": "BaTiO3",
            "z": 4,
            "atoms": 20,
            "max_atoms": None,
            "assignments": 12,
            "with_equivalent_ones": 24,
        }
    ]


def test_every_answer_says_what_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for size, words in (
        (["--z", "1"], "z 1, atoms not given, max_atoms not given"),
        (["--atoms", "5"], "z not given, atoms 5, max_atoms not given"),
        (["--max-atoms", "7"], "z not given, atoms not given, max_atoms 7"),
        ([], "z not given, atoms not given, max_atoms 20"),
        (["--z", "1", "--max-atoms", "9"], "z 1, atoms not given, max_atoms 9"),
    ):
        assert f"asked for    {words}\n" in answer(capsys, *PEROVSKITE, *size)
        (*_, last) = json_lines(capsys, *PEROVSKITE, *size, "--limit", "1")
        assert (last["z"], last["atoms"]) == (1, 5)
        assert f"max_atoms {last['max_atoms'] or 'not given'}" in words


def test_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    cell = ("--space-group", "47", "--formula", "BaTiO3", "--z", "1")
    total = count_assignments(47, (1, 1, 3))
    out = answer(capsys, *cell)
    assert out.splitlines()[-1] == f"50 of {total} listed; --limit 0 lists all"
    assert len(json_lines(capsys, *cell)) == 50
    out = answer(capsys, *cell, "--limit", "3")
    assert out.splitlines()[-1] == f"3 of {total} listed; --limit 0 lists all"
    for limit in ("0", str(total), str(total + 1)):
        assert "listed" not in answer(capsys, *cell, "--limit", limit)
        assert len(json_lines(capsys, *cell, "--limit", limit)) == total


def test_huge_numbers_have_separators(capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(capsys, "--space-group", "47", "--formula", "BaTiO3", "--z", "8", "--limit", "2")
    distinct, total = count_assignments(47, (8, 8, 24)), count_assignments(47, (8, 8, 24), distinct=False)
    assert distinct > 10**9
    assert f"{distinct:,}  {total:,}\n" in out and "," in f"{distinct:,}"
    assert out.endswith(f"2 of {distinct:,} listed; --limit 0 lists all\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--space-group 225 --formula NaCl --z 1", "does not fill the 4 primitive cells"),
        ("--space-group 225 --formula NaCl --z 1", "possible in Fm-3m (225): z = 4, 8"),
        ("--space-group 221 --formula BaTiO3 --atoms 7", "7 atoms are no multiple of the 5 atoms of BaTiO3"),
        ("--space-group 194 --formula BaTiO3 --z 1", "no combination of the Wyckoff positions of P6_3/mmc"),
        ("--space-group 194 --formula BaTiO3 --z 1", "possible in P6_3/mmc (194): z = 2, 4"),
        ("--space-group 221 --formula BaTiO3 --max-atoms 4", "the smallest possible has 5 atoms"),
        ("--space-group 221 --formula BaTiO3 --z 4 --max-atoms 15", "more than the limit of 15"),
        ("--space-group 221 --formula BaTiO3 --z 1000000000", "more than the limit of 1000"),
        ("--space-group 221 --formula BaTiO3 --max-atoms 1001", "at most 1000"),
        ("--space-group 231 --formula BaTiO3", "numbers run from 1 to 230"),
        ("--space-group Pmm4 --formula BaTiO3", "did you mean"),
        ("--space-group 221 --formula Xx2O3", "Xx is no chemical element"),
        ("--space-group 221 --formula Ba0.5TiO3", "fractional"),
        ("--space-group 221 --formula= ", "the formula is empty"),
        ("--space-group 221 --formula BaTiO3 --z 0", "--z: '0'"),
        ("--space-group 221 --formula BaTiO3 --z -1", "--z: '-1'"),
        ("--space-group 221 --formula BaTiO3 --z one", "--z: 'one'"),
        ("--space-group 221 --formula BaTiO3 --atoms 0", "--atoms: '0'"),
        ("--space-group 221 --formula BaTiO3 --max-atoms 0", "--max-atoms: '0'"),
        ("--space-group 221 --formula BaTiO3 --limit -1", "--limit: '-1'"),
        ("--space-group 221 --formula BaTiO3 --z 1 --atoms 5", "not allowed with"),
        ("--space-group 221", "--formula"),
        ("--formula BaTiO3", "--space-group"),
    ],
)
@pytest.mark.parametrize("form", [[], ["--lines"]])
def test_refusals(capsys: pytest.CaptureFixture[str], arguments: str, words: str, form: list[str]) -> None:
    assert words in refused(capsys, *arguments.split(), *form)


def process(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "crystalsmith", "wyckoff", *arguments]


@pytest.mark.parametrize("form", [[], ["--lines"]])
def test_who_has_read_enough_stops_it(form: list[str]) -> None:
    """Of more assignments than anybody could list, ten lines are read."""
    command = process("--space-group", "47", "--formula", "BaTiO3", "--z", "8", "--limit", "0", *form)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stderr is not None
        lines = [child.stdout.readline() for _ in range(10)]
        child.stdout.close()
        try:
            assert child.wait() == 1
        finally:
            child.kill()
        assert child.stderr.read() == ""
    assert all(line.endswith("\n") for line in lines)
    assert '"wyckoff"' in lines[-1] if form else "Ba" in lines[-1]


def test_torch_and_its_like_stay_away() -> None:
    code = (
        "import sys; from crystalsmith.cli.main import main;"
        "status = main(['wyckoff', '--space-group', '221', '--formula', 'BaTiO3', '--z', '1', '--lines']);"
        "print(status, [m for m in ('torch', 'pymatgen', 'pyxtal', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_help_says_in_which_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wyckoff", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "not sorted by free parameters" in text and "CONVENTIONAL" in text
