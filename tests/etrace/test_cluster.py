"""`etrace regress --scheduler`: the same cases on a Dask cluster of this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etrace.checking import reference
from etrace.checking.regress.cluster import run_there
from etrace.checking.regress.manifest import Case
from etrace.checking.regress.outcome import Status
from etrace.checking.regress.run import run_case
from etrace.errors import InputError
from tests.etrace.conftest import Run
from tests.etrace.test_regress import LISTS, SCHEDULER

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers, as processes, with a scheduler that others can reach."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=50,
    ) as found:
        yield found


def cases(tmp_path: Path) -> list[Case]:
    """With programs, parameters, references and files under names that no worker has."""
    program = tmp_path / "here only.elf"
    program.write_bytes(LISTS.read_bytes())
    params = tmp_path / "p.toml"
    params.write_text('[resync]\nunit = "packets"\nperiod = 20\n')
    one = Case(name="one", elf=(str(program),), params=str(params))
    first = run_case(replace(one, reference=str(tmp_path / "one.etrace")), update=True)
    assert first.reference is not None
    reference.store(first.reference, tmp_path / "one.etrace")
    return [
        replace(one, reference=str(tmp_path / "one.etrace")),
        replace(one, name="short", reference=str(tmp_path / "one.etrace"), max_instructions=900),
        replace(one, name="new", reference=str(tmp_path / "refs" / "new.etrace")),
        Case(name="again", elf=(str(SCHEDULER),), max_instructions=5000),
    ]


def test_results_are_those_of_here(cluster: Any, tmp_path: Path) -> None:
    """Names in messages and in new references are the user's, not those of a worker's copies."""
    todo = cases(tmp_path)
    found = dict(run_there(todo, cluster.scheduler_address, 2, True, 60))
    for number, case in enumerate(todo):
        here, there = run_case(case, update=True), found[number]
        assert replace(there.result, seconds=0.0) == here.result, case.name
        assert there.reference == here.reference, case.name
    statuses = [found[number].result.status for number in range(4)]
    assert statuses == [Status.PASSED, Status.CHANGED, Status.NEW, Status.PASSED]


def test_a_case_that_hangs(cluster: Any, counting_elf: Path) -> None:
    hanging = Case(name="hanging", elf=(str(counting_elf),))
    fine = Case(name="fine", elf=(str(LISTS),))
    found = dict(run_there([hanging, fine], cluster.scheduler_address, 2, False, 2))
    assert "timed out after 2 s" in found[0].result.reason
    assert found[1].result.ok


def test_a_lost_workers_cases_run_again(tmp_path: Path, counting_elf: Path) -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as own:
        slow = Case(name="slow", elf=(str(counting_elf),), max_instructions=60_000_000)
        found: list[Any] = []
        address = own.scheduler_address
        thread = threading.Thread(
            target=lambda: found.extend(run_there([slow], address, 1, False, 60))
        )
        (first,) = [worker.pid for worker in own.workers.values()]
        thread.start()
        time.sleep(1.5)
        os.kill(first, signal.SIGKILL)
        thread.join()
        assert [worker.pid for worker in own.workers.values()] != [first]
    ((number, finished),) = found
    assert number == 0 and finished.result.ok, finished.result


def test_cases_that_waited_at_a_lost_worker(counting_elf: Path) -> None:
    """Dask blames them all: each is tried alone before it is an error."""
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=50,
        ) as own,
    ):
        hanging = Case(name="hanging", elf=(str(counting_elf),), timeout=4.0)
        (worker,) = [each.pid for each in own.workers.values()]
        killing = threading.Timer(2, os.kill, (worker, signal.SIGKILL))
        killing.start()
        fine = Case(name="fine", elf=(str(LISTS),))
        found = dict(run_there([hanging, fine], own.scheduler_address, 1, False, 60))
        killing.join()
    assert "timed out after 4 s" in found[0].result.reason, found[0].result
    assert found[1].result.ok, found[1].result


def test_a_scheduler_that_is_lost(run: Run, tmp_path: Path) -> None:
    """Its cases are errors with a reason, in a line each."""
    place = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(place)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as scheduler:
        for _ in range(300):
            if place.exists() and place.read_text().rstrip().endswith("}"):
                break
            time.sleep(0.1)
        address = json.loads(place.read_text())["address"]
        suite = tmp_path / "s.toml"
        suite.write_text(f'[[case]]\nname = "lists"\nelf = "{LISTS}"\n')
        killing = threading.Timer(2, scheduler.kill)
        killing.start()
        found = run("regress", suite, "--scheduler", address, code=1)
        killing.join()
    assert "error   lists" in found.stdout and "1 case: 1 error" in found.stdout
    assert "scheduler" in found.stdout and not found.stderr


def test_no_such_cluster(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etrace.checking.regress.cluster._PATIENCE", 2)
    suite = tmp_path / "s.toml"
    suite.write_text(f'[[case]]\nname = "lists"\nelf = "{LISTS}"\n')
    told = run("regress", suite, "--scheduler", "nonsense://x", code=2).stderr
    assert "--scheduler nonsense://x" in told
    with pytest.raises(InputError, match="scheduler"):
        list(run_there([Case(name="x")], "tcp://127.0.0.1:1", 1, False, 1))


def test_the_command(run: Run, tmp_path: Path) -> None:
    suite = tmp_path / "s.toml"
    suite.write_text(f'[[case]]\nname = "lists"\nelf = "{LISTS}"\nreference = "r/lists.etrace"\n')
    assert "1 new" in run("regress", suite, "--scheduler", "local", "--update", "-j", 1).stdout
    assert "1 passed" in run("regress", suite).stdout
