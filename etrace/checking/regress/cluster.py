"""Cases on a Dask cluster: inputs go there by content, results come back as they are made.

A case is run in a process of its own there too, so that one that hangs or crashes costs no worker.
A worker that is lost has its cases run again by others.
"""

import hashlib
import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from etrace.checking.regress.manifest import Case
from etrace.checking.regress.pool import Outcomes
from etrace.checking.regress.run import Finished, lost
from etrace.checking.regress.worker import Worker
from etrace.errors import EtraceError, InputError, one_line, os_error

#: The word for a cluster on this machine.
LOCAL = "local"
_LARGEST = 1 << 30
#: Seconds to wait for a scheduler.
_PATIENCE = 20

#: In a worker: the process that runs cases, one a thread.
_here = threading.local()


def run_there(
    cases: Sequence[Case], scheduler: str, jobs: int, update: bool, timeout: float
) -> Outcomes:
    """Outcomes of `cases` as they come, with their numbers, from the cluster at `scheduler`
    (`tcp://HOST:PORT`), or from one with `jobs` processes on this machine (`local`).

    Raises `InputError` if there is no such cluster.
    """
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise InputError(
            "--scheduler: needs dask.distributed; pip install 'etrace[cluster]'"
        ) from None
    with ExitStack() as stack:
        if scheduler == LOCAL:
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=50,
            )
            stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster))
        else:
            try:
                client = stack.enter_context(Client(scheduler, timeout=_PATIENCE))
            except (OSError, ValueError, TimeoutError) as error:
                raise InputError(f"--scheduler {scheduler}: {one_line(error)}") from None
        warnings.filterwarnings("ignore", "Sending large graph", module="distributed")
        # what goes wrong is told with the case that it concerns
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        shipped = _Shipped(client)

        def submit(number: int, shipped: _Shipped) -> Any:
            case = cases[number]
            seconds = case.timeout or timeout
            files = shipped.files(case)
            return client.submit(_run_shipped, case, files, update, seconds, pure=False, retries=0)

        futures = {}
        for number, case in enumerate(cases):
            try:
                futures[submit(number, shipped)] = number
            except EtraceError as error:  # a file of it that cannot be sent
                yield number, _lost(case, error)
        suspects: list[int] = []
        for future in as_completed(list(futures)):
            number = futures.pop(future)
            found = _outcome(future, cases[number])
            if found is None:
                suspects.append(number)
            else:
                yield number, found
        # Dask blames all that was at a worker that is lost, files too: alone a case can be judged.
        for number in sorted(suspects):
            future = submit(number, _Shipped(client, f"-{number}"))
            found = _outcome(future, cases[number])
            yield number, found or _lost(cases[number], future.exception())


def _outcome(future: Any, case: Case) -> Finished | None:
    """What came of a case; None if it was lost with its worker too often."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    try:
        failure = future.exception()
        if isinstance(failure, KilledWorker):
            return None
        if failure is None:
            found: Finished = future.result()
            future.release()
            return found
    except CancelledError as error:  # nobody asked for that: the scheduler is gone
        failure = error
    future.release()
    return _lost(case, failure)


def _lost(case: Case, error: BaseException) -> Finished:
    return lost(case, f"on the cluster: {type(error).__name__}: {one_line(error)}")


class _Shipped:
    """Files on the cluster, each once, however many cases need it."""

    def __init__(self, client: Any, mark: str = "") -> None:
        self._client = client
        #: Of these keys: a task that has failed is not tried again.
        self._mark = mark
        self._futures: dict[str, Any] = {}
        self._digests: dict[str, str] = {}

    def files(self, case: Case) -> dict[str, Any]:
        """The files that `case` needs: where they are here, and their contents there."""
        paths = list(case.inputs)
        paths += [] if case.reference_file is None else [case.reference_file]
        if case.semihosting is not None:
            paths += [str(each) for each in Path(case.semihosting).rglob("*") if each.is_file()]
        # of what is none, or is not there, the case itself will say so
        return {path: self._future(path) for path in paths if os.path.isfile(path)}

    def _future(self, path: str) -> Any:
        if path not in self._digests:
            try:
                with open(path, "rb") as file:
                    data = file.read(_LARGEST + 1)
            except OSError as error:
                raise os_error(path, error) from None
            if len(data) > _LARGEST:
                raise InputError(f"{path}: larger than 1 GiB; not sent to a cluster")
            digest = hashlib.sha256(data).hexdigest()
            self._digests[path] = digest
            if digest not in self._futures:
                # a task, not scattered data: the scheduler can have it made again
                key = f"etrace-{digest}{self._mark}"
                self._futures[digest] = self._client.submit(_contents, data, key=key)
        return self._futures[self._digests[path]]


def _contents(data: bytes) -> bytes:
    """In a worker: a file."""
    return data


def _run_shipped(case: Case, files: Mapping[str, bytes], update: bool, timeout: float) -> Finished:
    """In a worker: put the files somewhere, and run the case in a process of its own."""
    if not hasattr(_here, "worker"):
        _here.worker = Worker()
    with tempfile.TemporaryDirectory(prefix="etrace-") as directory:
        places = {}
        for number, (path, data) in enumerate(files.items()):
            place = _place(case, path, directory, number)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            places[path] = str(place)
        moved = _moved(case, places, directory)
        names = {there: here for here, there in places.items()}
        worker: Worker = _here.worker
        return worker.run(moved, update, names, timeout)


def _place(case: Case, path: str, directory: str, number: int) -> Path:
    if case.semihosting is not None and Path(case.semihosting) in Path(path).parents:
        return Path(directory) / "files" / Path(path).relative_to(case.semihosting)
    # the name tells what a file is, and what a program is called
    return Path(directory) / str(number) / Path(path).name


def _moved(case: Case, places: Mapping[str, str], directory: str) -> Case:
    """`case` with its files where they are here."""

    def at(path: str) -> str:
        return places.get(path, path)

    images = [each.partition(":") for each in case.image]
    semihosting = case.semihosting
    if semihosting is not None:
        semihosting = str(Path(directory) / "files")
        Path(semihosting).mkdir(exist_ok=True)
    return replace(
        case,
        elf=tuple(map(at, case.elf)),
        image=tuple(f"{base}:{at(path)}" for base, _, path in images),
        stream=None if case.stream is None else at(case.stream),
        params=at(case.params) if isinstance(case.params, str) else case.params,
        reference=None if case.reference is None else at(case.reference),
        semihosting=semihosting,
    )
