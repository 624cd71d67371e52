"""The curves of a run as a TensorBoard event file, written without TensorFlow.

The only import of TensorBoard.
"""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from absl import logging
from tensorboard.compat.proto import event_pb2 as _event_pb2
from tensorboard.compat.proto import summary_pb2 as _summary_pb2
from tensorboard.summary.writer import record_writer
from tensorboard.util import tensor_util

# Generated when imported, so that a type checker sees nothing in them.
event_pb2: Any = _event_pb2
summary_pb2: Any = _summary_pb2

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
    # tensorboard.summary.Writer would open its file with TensorFlow wherever that is installed.
    folder = pathlib.Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{time.time_ns() // 10**9:010d}.{os.getpid()}"
    with path.open("ab") as file:
        records = record_writer.RecordWriter(file)
        first = event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2")
        records.write(first.SerializeToString())

        def write(step: int, values: Mapping[str, float]) -> None:
            summary = [_value(name, value) for name, value in values.items()]
            event = event_pb2.Event(
                wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=summary)
            )
            records.write(event.SerializeToString())
            records.flush()
            listing = ", ".join(f"{name}={value:.5g}" for name, value in sorted(values.items()))
            logging.info("[%d] %s", step, listing)

        yield write


def _value(name: str, value: float) -> Any:
    return summary_pb2.Summary.Value(
        tag=name,
        metadata=summary_pb2.SummaryMetadata(
            plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars"),
            data_class=summary_pb2.DATA_CLASS_SCALAR,
        ),
        tensor=tensor_util.make_tensor_proto(np.float32(value)),
    )
