"""Cases on several processes of this machine."""

import threading
from collections.abc import Generator, Sequence
from queue import Empty, SimpleQueue

from etrace.checking.regress.manifest import Case
from etrace.checking.regress.run import Finished
from etrace.checking.regress.worker import Worker
from specs.kernels.njit import is_new

#: The number of a case, and its outcome.
Numbered = tuple[int, Finished]
Outcomes = Generator[Numbered, None, None]


def run_here(cases: Sequence[Case], jobs: int, update: bool, timeout: float) -> Outcomes:
    """Outcomes of `cases` as they come, with their numbers, from up to `jobs` processes at once.

    `timeout`: seconds for a case that has none of its own; 0: any time. Closing the iterator ends
    the processes.
    """
    # the first run of a version compiles the kernels: once is enough
    alone = is_new("the emulator", "emu") or is_new("the encoder", "encoder")
    todo: SimpleQueue[int] = SimpleQueue()
    for number in range(len(cases)):
        todo.put(number)
    done: SimpleQueue[Numbered | BaseException] = SimpleQueue()
    workers = [Worker() for _ in range(min(jobs, len(cases)))]
    over = threading.Event()

    def work(worker: Worker) -> None:
        try:
            while not over.is_set():
                number = todo.get_nowait()
                case = cases[number]
                done.put((number, worker.run(case, update, {}, case.timeout or timeout)))
        except Empty:
            return
        except BaseException as error:  # the other thread raises it
            done.put(error)

    threads = [threading.Thread(target=work, args=(each,), daemon=True) for each in workers]
    try:
        waiting = list(threads)
        for thread in waiting[: 1 if alone else None]:
            thread.start()
            waiting.remove(thread)
        for _ in cases:
            found = done.get()
            if isinstance(found, BaseException):
                raise found
            for thread in waiting:
                thread.start()
            waiting.clear()
            yield found
    finally:
        over.set()
        for worker in workers:
            worker.close()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        for worker in workers:
            worker.stop()
