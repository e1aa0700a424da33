"""``crystalsmith doctor``: it finds what is broken, and says how to mend it."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

import crystalsmith.api
import crystalsmith.diffusion
from crystalsmith.cli import doctor
from crystalsmith.cli.doctor import ABSENT, FAULT, OK, Finding, examine
from crystalsmith.cli.main import main
from crystalsmith.errors import CheckpointError
from crystalsmith.runs.extras import EXTRAS


def by_name(findings: list[Finding]) -> dict[tuple[str, str], Finding]:
    found = {(f.part, f.name): f for f in findings}
    assert len(found) == len(findings)
    return found


def test_all_is_well_here_and_a_machine_can_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    findings = [Finding(**f) for f in result["findings"]]
    assert result["healthy"] and not [f for f in findings if f.state == FAULT]
    found = by_name(findings)
    assert found["installation", "torch"].text == metadata.version("torch")
    assert {name for part, name in found if part == "extras"} == set(EXTRAS)
    assert {f.state for f in findings if f.part == "self-test"} == {OK}
    assert [f.name for f in findings if f.part == "self-test"][:5] == [
        "generate", "files", "pattern", "hull", "workers"
    ]  # fmt: skip
    assert all(f.mend for f in findings if f.state == ABSENT and f.part in ("extras", "potentials"))


def test_people_read_lines_and_may_leave_the_test_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "missing", lambda modules: [m for m in modules if m == "sevenn"])
    assert main(["doctor", "--no-test"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "self-test" not in lines and "potentials" in lines
    place = next(n for n, line in enumerate(lines) if line.split()[:2] == ["--", "7net-0"])
    assert "install" in lines[place + 1] and "->" in lines[place + 1]
    assert lines[-1].startswith("nothing is broken")


def test_versions_out_of_bounds_are_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    true = metadata.version

    def version(name: str) -> str:
        if name == "spglib":
            raise metadata.PackageNotFoundError(name)
        return {"numpy": "1.20.0", "rietx": "99.0"}.get(name) or true(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = by_name(examine(test=False))
    old, lacking, new = (
        found["installation", "numpy"],
        found["installation", "spglib"],
        found["extras", "powder"],
    )
    assert old.state == FAULT and "1.20.0" in old.text and "numpy>=" in old.mend
    assert lacking.state == FAULT and "not installed" in lacking.text
    assert new.state == FAULT and "'rietx<" in new.mend
    assert found["installation", "scipy"].state == OK


def test_what_is_broken_is_one_finding_and_the_rest_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(*_: object, **__: object) -> None:
        raise CheckpointError("default.safetensors is damaged")

    monkeypatch.setattr(crystalsmith.diffusion, "load_model", torn)
    monkeypatch.setattr(crystalsmith.api, "hull", lambda system: 1 / 0)
    monkeypatch.setattr("crystalsmith.runs.pool.available_cores", lambda: 1 / 0)
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "!!  default" in text and "default.safetensors is damaged" in text
    assert text.count("ZeroDivisionError") >= 2 and "potentials" in text
    last = text.splitlines()[-1]
    assert last.startswith("broken (!!): machine, ") and "hull" in last and "generate" in last


def test_cores_that_a_container_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_quota", lambda: 0.5)
    cores = by_name(examine(test=False))["machine", "cores"]
    assert "may use 0.5" in cores.text and cores.mend.startswith("--workers 1 ")


@pytest.mark.parametrize(("text", "cores"), [("max 100000\n", None), ("150000 100000\n", 1.5), ("", None)])
def test_quotas_as_the_system_writes_them(
    text: str, cores: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: text)
    assert doctor._quota() == (float("inf") if cores is None else cores)


def test_requirements_of_a_wheel_are_those_of_its_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "checkout", lambda: None)
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["numpy>=1", 'mp-api>=0.4; extra == "x"'])
    assert [r.name for r in doctor.requirements()] == ["numpy", "mp-api"]
    found = by_name(examine(test=False))
    assert ("installation", "numpy") in found and ("installation", "mp-api") not in found
    assert "package in" in found["installation", "crystalsmith"].text
