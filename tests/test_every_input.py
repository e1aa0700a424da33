"""Every input for every command: the same two crystals from each form on disk and in Python."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import inputs
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import Record, named_crystals, read_records
from crystalsmith.data import Dataset
from crystalsmith.data.build import build
from crystalsmith.errors import DataError
from crystalsmith.evaluation import read_samples
from crystalsmith.evaluation.targets import target_orders
from crystalsmith.orders import parse_order
from crystalsmith.runs.pool import Failed
from emt_potential import make

FORMS = [*inputs.FILES, *inputs.OBJECTS]


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("forms")
    found: dict[str, Any] = {name: make() for name, make in inputs.OBJECTS.items()}
    for k, (name, write) in enumerate(inputs.FILES.items()):
        found[name] = folder / f"source-{k}"  # no ending: the content decides
        write(found[name])
    return found


def kinds(crystals: Any) -> Counter[tuple[str, int, float]]:
    return Counter((c.formula, c.space_group, round(c.volume, 1)) for c in crystals)


EXPECTED = kinds(inputs.CRYSTALS.values())


@pytest.mark.parametrize("form", FORMS)
def test_reading(form: str, forms: dict[str, Any]) -> None:
    records = [r for r in read_records(forms[form]) if not r.failure]
    assert kinds(r.symmetrized() for r in records) == EXPECTED
    stated = [r.crystal for r in records if r.crystal is not None]
    assert len(stated) == (len(records) if form in inputs.LOSSLESS else 0)
    assert kinds(stated) in (EXPECTED, Counter())
    if form in inputs.WITH_ENERGY:
        assert [r.energy for r in records] == pytest.approx([inputs.ENERGY] * 2)
    for record, name in zip(records, named_crystals(records), strict=True):
        assert record.source or form in inputs.OBJECTS
        assert len(name.encode()) <= 200 and name == Path(name).name


@pytest.mark.parametrize("form", FORMS)
def test_relax(form: str, forms: dict[str, Any]) -> None:
    from crystalsmith.potentials import RelaxSettings, relax_crystal

    found = named_crystals(forms[form])
    crystals = [c for c in found.values() if not isinstance(c, Failed)]
    outcomes = [relax_crystal(c, make(), RelaxSettings(only="symmetric", max_calls=1)) for c in crystals]
    assert kinds(outcome.start for outcome in outcomes) == EXPECTED


@pytest.mark.parametrize("form", FORMS)
def test_evaluate_reads_both_sides(form: str, forms: dict[str, Any]) -> None:
    samples = read_samples(forms[form])
    assert kinds(s.standard for s in samples if s.arrays is not None) == EXPECTED
    assert all(s.failure for s in samples.failures)
    assert len({(s.id, s.index) for s in samples}) == len(samples)


@pytest.mark.parametrize("form", inputs.FILES)
def test_data_build(form: str, forms: dict[str, Any], tmp_path: Path) -> None:
    build(forms[form], tmp_path / "out", workers=1)
    assert kinds(Dataset.open(tmp_path / "out")) == EXPECTED


@pytest.mark.parametrize("form", FORMS)
def test_data_orders(form: str, forms: dict[str, Any]) -> None:
    orders = target_orders(read_samples(forms[form]), give="wyckoff")
    parsed = [parse_order(order) for order in orders]
    assert len({order.id for order in parsed}) == 2
    letters = [" ".join(f"{e}:{x}" for e, x in order["wyckoff"]) for order in orders]
    assert sorted(letters) == sorted(c.wyckoff for c in inputs.CRYSTALS.values())


def test_crystals_of_one_order_become_several_targets() -> None:
    from crystalsmith.rediscovery.targets import read_targets

    twice = [Record.of_crystal("a", c, index=i) for i, c in enumerate(inputs.CRYSTALS.values())]
    assert [order["id"] for order in target_orders(read_samples(twice))] == ["a_0", "a_1"]
    assert [target.id for target in read_targets(twice)] == ["a_0", "a_1"]


@pytest.mark.parametrize("form", FORMS)
def test_rediscover(form: str, forms: dict[str, Any]) -> None:
    from crystalsmith.rediscovery.targets import read_targets

    targets = read_targets(forms[form])
    assert kinds(target.crystal for target in targets) == EXPECTED
    for target in targets:
        parse_order(target.order("wyckoff", 1))


@pytest.mark.parametrize("form", inputs.FILES)
def test_dft_inputs(form: str, forms: dict[str, Any], tmp_path: Path) -> None:
    from crystalsmith.dft import DftSettings
    from crystalsmith.discovery.calculations import write_run_inputs

    written, failed = write_run_inputs([forms[form]], tmp_path, DftSettings(code=("qe",)))
    assert len(written.codes["qe"].jobs) == 2
    assert len(failed) == sum(isinstance(c, Failed) for c in named_crystals(forms[form]).values())


@pytest.mark.parametrize("form", inputs.FILES)
def test_show(form: str, forms: dict[str, Any]) -> None:
    from crystalsmith.cli.show import read_panels

    labels = [panel.label for panel in read_panels([forms[form]])]
    assert sorted(label.split()[0] for label in labels) == ["Cu", "Cu3Au"]


@pytest.mark.parametrize("form", inputs.FILES)
def test_known_of_discover(form: str, forms: dict[str, Any]) -> None:
    from crystalsmith.generation.known import KNOWN, KnownPhases

    known = KnownPhases(None, files=[forms[form]])
    assert {known.judge(crystal).verdict for crystal in inputs.CRYSTALS.values()} == {KNOWN}


# --- that the commands come through this door, and say first why nothing could be read ---

COMMANDS = {
    "relax": ["relax", "{}", "-o", "out", "--potential", "emt_potential:make"],
    "phonons": ["phonons", "{}", "-o", "out", "--potential", "emt_potential:make"],
    "evaluate, reference": ["evaluate", "a={good}", "--reference", "{}"],
    "data build": ["data", "build", "{}", "-o", "out"],
    "data prototypes": ["data", "prototypes", "{}", "-o", "out"],
    "data orders": ["data", "orders", "{}", "-o", "out"],
    "rediscover": ["rediscover", "{}", "-o", "out"],
    "dft inputs": ["dft", "inputs", "{}", "-o", "out"],
    "show": ["show", "{}", "-o", "out.png"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_names_the_first_reasons(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = {"id": "odd", "cell": [4, 4, 4, 90, 90, 180], "species": ["H"], "frac": [[0, 0, 0]]}
    Path("bad.jsonl").write_text(json.dumps(bad) + "\n")
    inputs.FILES["JSON lines"](Path("good.jsonl"))
    words = [word.format("bad.jsonl", good="good.jsonl") for word in COMMANDS[command]]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "flat cell" in error and "bad" in error and "Traceback" not in error


def test_a_set_that_breaks_off_is_not_measured_by_halves(tmp_path: Path) -> None:
    """One in which nothing can be read is: a model may fail at everything."""
    import gzip

    text = inputs.lines([inputs.plain_row("copper")] * 2000)
    (tmp_path / "torn.gz").write_bytes(gzip.compress(text.encode())[:-30])
    with pytest.raises(DataError, match="damaged"):
        read_samples(tmp_path / "torn.gz")
    (tmp_path / "bad.jsonl").write_text('{"cell": 1, "frac": 2}\n')
    assert len(read_samples(tmp_path / "bad.jsonl").failures) == 1


@pytest.mark.parametrize("command", ["data orders", "show", "known", "rediscover"])
def test_what_is_left_out_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from crystalsmith.cli.show import read_panels
    from crystalsmith.generation.known import KnownPhases
    from crystalsmith.rediscovery.targets import read_targets

    bad = {"cell": [4, 4, 4, 90, 90, 180], "species": ["H"], "frac": [[0, 0, 0]]}
    rows = [inputs.plain_row("copper"), *({"id": f"odd{k}", **bad} for k in range(5))]
    (tmp_path / "x.jsonl").write_text(inputs.lines(rows))
    {
        "data orders": lambda path: target_orders(read_samples(path)),
        "show": lambda path: read_panels([path]),
        "known": lambda path: KnownPhases(None, files=[path]),
        "rediscover": read_targets,
    }[command](str(tmp_path / "x.jsonl"))
    told = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in told] == [*(f"odd{k} is left out" for k in range(3)), "and 2 more"]
    assert "flat cell" in told[0]


def test_a_record_given_as_a_source_stays_itself() -> None:
    record = Record.of_crystal("x", inputs.CRYSTALS["copper"])
    assert list(read_records([record])) == [record]
    assert named_crystals([record]) == {"x": inputs.CRYSTALS["copper"]}
    assert isinstance(next(iter(named_crystals(inputs.CRYSTALS).values())), Crystal)
