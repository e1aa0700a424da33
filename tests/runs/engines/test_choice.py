"""Engines by name: what is refused at once, and in which words."""

import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any

import pytest
from hostile import collect, root

from crystalsmith.errors import ConfigError, EngineError
from crystalsmith.runs.engines import Local, check_engine, engine_of
from crystalsmith.runs.extras import missing

needs_parsl = pytest.mark.skipif(bool(missing(["parsl"])), reason="parsl is not installed")


def no_executor():
    return 7


def fails():
    raise ZeroDivisionError("in the factory")


def threads():
    return ThreadPoolExecutor(2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slrum", "unknown engine 'slrum'.*did you mean slurm"),
        ("", "unknown engine ''"),
        ("a b:c", "unknown engine"),
        ("no_such_module:make", "there is no module no_such_module"),
        ("math:no_such_function", "there is no function no_such_function in math"),
    ],
)
def test_an_engine_that_cannot_be_is_refused_in_one_line(text, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as error:
        with engine_of(text, 1, tmp_path / "run"):
            pass
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_parsl_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr("crystalsmith.runs.extras._is_installed", lambda module: module != "parsl")
    with pytest.raises(ConfigError, match=r"engine slurm needs parsl, not installed here.*cluster"):
        check_engine("slurm")


@needs_parsl
def test_an_address_that_workers_cannot_reach_is_named_before_anything_is_asked_of_a_cluster(tmp_path):
    (tmp_path / "site.py").write_text(
        "from parsl.config import Config\n"
        "from parsl.executors import HighThroughputExecutor\n"
        "config = Config(executors=[HighThroughputExecutor(label='far', address='203.0.113.7')])\n"
    )
    with (
        pytest.raises(EngineError, match=r"203\.0\.113\.7, the address of far, is none.*127\.0\.0\.1"),
        engine_of(f"parsl:{tmp_path / 'site.py'}", 1, tmp_path / "run") as engine,
    ):
        collect(engine, root, [4.0])


@needs_parsl
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1/0", "fails: ZeroDivisionError: division by zero"),
        ("def site(workers, folder):\n    raise SystemExit('no account')", "fails: SystemExit: no account"),
        ("config = 3", "must define site"),
        ("", "must define site"),
        (None, "there is no file .*site.py; give parsl:SITE.py"),
    ],
)
def test_a_file_that_makes_no_site_is_refused_in_one_line(content, message, tmp_path):
    file = tmp_path / "site.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=message) as error:
        check_engine(f"parsl:{file}")
    assert "\n" not in str(error.value)


def test_local_is_the_default_and_writes_nothing(tmp_path):
    for text in (None, "local"):
        with engine_of(text, 3, tmp_path / "run") as engine:
            assert engine == Local(3) and engine.slots == 3
    assert not (tmp_path / "run").exists()
    own = Local(1)
    with engine_of(own, 5, None) as engine:
        assert engine is own


def processes():
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_any_executor_of_a_function_is_an_engine(tmp_path, name):
    with engine_of(f"{__name__}:{name}", None, tmp_path / "run") as engine:
        found = collect(engine, root, [float(k) for k in range(30)], seconds=60)
        assert engine.slots == 2
    assert found == {k: k**0.5 for k in range(30)} and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "message"), [("no_executor", "gives a int"), ("fails", "ZeroDivisionError: in the factory")]
)
def test_a_factory_that_makes_none_ends_the_run(name, message, tmp_path):
    with pytest.raises(EngineError, match=message):
        with engine_of(f"{__name__}:{name}", None, tmp_path / "run") as engine:
            collect(engine, root, [1.0])


@needs_parsl
def test_sites_that_ship_take_what_they_are_told_and_ask_nobody(monkeypatch, tmp_path):
    """Without a question to the internet which address this machine has; heartbeats tell what is lost."""
    import socket

    from crystalsmith.runs.engines.parsl_sites import config_of, most_slots

    def refuse(*words, **more):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name, value in {
        "PARTITION": "long",
        "ACCOUNT": "me",
        "NODES": "5",
        "CORES": "32",
        "WALLTIME": "1-02:00:00",
        "OPTIONS": r"#SBATCH --mem=8G\n#SBATCH --nice",
        "PORTS": "54000-54010",
    }.items():
        monkeypatch.setenv(f"SITE_{name}", value)
    config = config_of("slurm", 16, tmp_path)
    (executor,) = config.executors
    assert (executor.provider.partition, executor.provider.account) == ("long", "me")
    assert {"#SBATCH --mem=8G", "#SBATCH --nice"} <= set(executor.provider.scheduler_options.splitlines())
    assert executor.drain_period == 26 * 3600 - 300 and executor.worker_port_range == (54000, 54010)
    assert executor.heartbeat_threshold <= 120 and config.usage_tracking == 0 and config.retries == 0
    assert config.run_dir == str(tmp_path / "parsl") and not any(tmp_path.iterdir())
    assert executor.launch_cmd.startswith(sys.executable)  # a node needs nothing on its PATH
    monkeypatch.setenv("SITE_INIT", "module load python")
    assert config_of("slurm", 16, tmp_path).executors[0].launch_cmd.startswith("python3 -m ")
    monkeypatch.delenv("SITE_INIT")
    assert most_slots("slurm", 16) == 80 and most_slots("pbs", 16) == 80
    assert most_slots("htex-local", 3) == 3
    monkeypatch.setenv("SITE_GPUS", "4")
    assert most_slots("slurm", 16) == 20
    assert config_of("slurm", None, tmp_path).executors[0].available_accelerators == ["0", "1", "2", "3"]
    monkeypatch.setenv("SITE_NODES", "many")
    with pytest.raises(ConfigError, match="SITE_NODES: 'many' is not a whole number"):
        check_engine("slurm")


def test_jobs_that_fail_are_explained_by_what_they_wrote():
    pytest.importorskip("parsl")
    from parsl.jobs.errors import TooManyJobFailuresError

    from crystalsmith.runs.engines.parsl_sites import _trouble

    words = "Error 1:\n\tJob is marked as MISSING\n\tSTDOUT: 2\n\tSTDERR: j: pool: command not found\n\n"

    def broken(text: str) -> Any:
        error = TooManyJobFailuresError(text)
        return SimpleNamespace(label="a", bad_state_is_set=True, executor_exception=error)

    assert _trouble([broken(words)]) == "its jobs end: j: pool: command not found"
    assert "Job is marked as MISSING" in _trouble([broken("Error 1:\n\tJob is marked as MISSING\n")])
