"""The curves of a run as a TensorBoard event file. The only import of tensorboard."""

import contextlib
import pathlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from absl import logging
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

# Generated when imported, so that a type checker sees nothing in them.
Event: Any = event_pb2.Event  # type: ignore[attr-defined]
Summary: Any = summary_pb2.Summary  # type: ignore[attr-defined]

Write = Callable[[int, Mapping[str, float]], None]
"""`write(step, values)`."""


@contextlib.contextmanager
def open_events(run_dir: str | pathlib.Path, *, enabled: bool = True) -> Iterator[Write]:
    """A new event file in a run's folder, which is made if not there; every write is flushed.

    What is written is logged too. Where not `enabled`, nothing is written.
    """
    if not enabled:
        yield lambda step, values: None
        return
    folder = pathlib.Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{time.time_ns()}"
    # Not EventFileWriter, whose thread of its own would keep a full disk to itself.
    with contextlib.closing(RecordWriter((folder / name).open("wb"))) as records:

        def add(**fields: Any) -> None:
            records.write(Event(wall_time=time.time(), **fields).SerializeToString())
            records.flush()

        def write(step: int, values: Mapping[str, float]) -> None:
            summary = [
                Summary.Value(tag=name, simple_value=value) for name, value in values.items()
            ]
            add(step=step, summary=Summary(value=summary))
            listing = ", ".join(f"{name}={value:.5g}" for name, value in sorted(values.items()))
            logging.info("[%d] %s", step, listing)

        add(file_version="brain.Event:2")
        yield write
