"""The worker process and what waits for it: one job at a time, which can be stopped."""

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from voxgan_jax.app.work import Job, serve

Told = Callable[[Job, str, Any], None]
"""Is told of a job what becomes of it: what `work.Tell` is, and at last "done" with what it gives,
"failed" with why, "stopped" or "dropped"."""


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Within, Ctrl-C waits: it is for this process, not for one that has just begun."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Jobs:
    """Jobs, done one after another by a process that is started at once and kept.

    A job takes the place of one of the same kind that waits for the same scan; where such a one is
    being done already, that is dropped at its next step.

    Args:
        tell: called in a thread.
        work: what the process does: it is given its end of a pipe (`work.serve`).
    """

    def __init__(self, tell: Told, work: Callable[[Connection], None] = serve):
        self._tell, self._work = tell, work
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._doing: Job | None = None
        self._step = ""
        self._killed = self._ended = False
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._start()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=self._work, args=(other,), daemon=True)
        with _without_interrupts():
            self._process.start()
        other.close()

    def submit(self, job: Job) -> None:
        """Do a job when those before it are done."""
        with self._changed:
            same = (job.kind, job.scan)
            self._waiting = [other for other in self._waiting if (other.kind, other.scan) != same]
            self._waiting.append(job)
            doing = self._doing
            if doing and (doing.kind, doing.scan) == same and self._pipe:
                with contextlib.suppress(OSError):
                    self._pipe.send(None)
            self._changed.notify_all()

    def stop(self, scan: int) -> None:
        """Break off what is done for a scan, and forget what waits for it."""
        with self._changed:
            gone = [job for job in self._waiting if job.scan == scan]
            self._waiting = [job for job in self._waiting if job.scan != scan]
            if self._doing and self._doing.scan == scan and self._process:
                self._killed = True
                self._process.kill()
                self._process.join(5)
        for job in gone:
            self._say(job, "stopped", None)

    def state(self) -> dict[int, str]:
        """What is done or waits, by scan: the key in the texts of the step that was begun."""
        with self._changed:
            found = {job.scan: "step_waiting" for job in self._waiting}
            return found | ({self._doing.scan: self._step} if self._doing else {})

    def has(self, kind: str, scan: int) -> bool:
        """Whether such a job is done or waits."""
        with self._changed:
            jobs = [*self._waiting, *([self._doing] if self._doing else [])]
            return any((job.kind, job.scan) == (kind, scan) for job in jobs)

    def close(self) -> None:
        """End the process, at whatever it is."""
        with self._changed:
            self._ended = True
            self._waiting.clear()
            if self._process:
                self._process.kill()
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ended:
                    self._changed.wait()
                if self._ended:
                    return
                job = self._doing = self._waiting.pop(0)
                self._step, self._killed = "step_loading", False
                if self._process is None or not self._process.is_alive():
                    self._start()
            how, what = self._done(job)
            with self._changed:
                self._doing = None
            if not self._ended:
                self._say(job, how, what)

    def _say(self, job: Job, how: str, what: Any) -> None:
        """Tell what becomes of a job. Where that cannot be kept, on a full disk, work goes on."""
        with contextlib.suppress(OSError, KeyError):
            self._tell(job, how, what)

    def _done(self, job: Job) -> tuple[str, Any]:
        """Have a job done; how it ended."""
        assert self._pipe and self._process
        try:
            with self._changed:
                self._pipe.send(job)
            while True:
                how, what = self._pipe.recv()
                if how not in ("step", "first"):
                    return how, what
                self._step = what if how == "step" else self._step
                self._say(job, how, what)
        except (EOFError, OSError):
            self._process.join()
            with self._changed:
                if self._ended:
                    return "stopped", None
                self._start()
                if self._killed:
                    return "stopped", None
            return "failed", "the process that restores was ended, for want of memory perhaps"
