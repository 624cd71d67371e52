"""What reaches the console: our own log lines, above the progress bar, without the libraries'."""

import logging as std_logging
import sys

from absl import logging
from tqdm import tqdm

# It reports every backend that it looked for in vain.
std_logging.getLogger("jax").setLevel(std_logging.WARNING)


def quiet(package: str, up_to: int = std_logging.WARNING) -> None:
    """Drop what a library that logs through absl says of itself, up to a level of `logging`."""
    logging.get_absl_logger().addFilter(
        lambda record: record.levelno > up_to or f"/{package}/" not in record.pathname
    )


class _AboveTheBar(std_logging.Handler):
    def emit(self, record: std_logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def show_progress() -> None:
    """Print messages of level INFO and up, in a way that leaves progress bars whole."""
    handler = _AboveTheBar()
    handler.setFormatter(std_logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    std_logging.getLogger().handlers = [handler]
    logging.set_verbosity(logging.INFO)
