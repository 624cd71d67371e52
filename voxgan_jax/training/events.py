"""The curves of a run as a TensorBoard event file. The only import of tensorboardX."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from absl import logging
from tensorboardX import proto as _proto
from tensorboardX.event_file_writer import EventsWriter

# Generated when imported, so that a type checker sees nothing in it.
proto: Any = _proto

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
    # Not SummaryWriter, whose thread of its own would keep a full disk to itself.
    writer = EventsWriter(str(folder / "events"), f".{time.time_ns()}")

    def write(step: int, values: Mapping[str, float]) -> None:
        made = proto.summary_pb2.Summary.Value
        summary = [made(tag=name, simple_value=value) for name, value in values.items()]
        event = {"wall_time": time.time(), "step": step, "summary": {"value": summary}}
        writer.write_event(proto.event_pb2.Event(**event))
        writer.flush()
        listing = ", ".join(f"{name}={value:.5g}" for name, value in sorted(values.items()))
        logging.info("[%d] %s", step, listing)

    with contextlib.closing(writer):
        yield write
