"""What `chaos.py` saw: every start of the killed run, as numbers and as a figure."""

import dataclasses
import pathlib
import statistics

PHASES = ("start-up", "training", "saving")


@dataclasses.dataclass
class Attempt:
    """One start of the run: what its log told, and how it ended.

    `resumed` is the step that it began at, None where it did not get so far. `steps` are pairs of
    (seconds since the first start, step). `phase` and `signal` say what ended it, and are empty for
    the one that was left alone.
    """

    started: float
    phase: str = ""
    signal: str = ""
    resumed: int | None = None
    steps: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    ended: float = 0.0
    returncode: int = 0
    damaged: str = ""

    @property
    def last_step(self) -> int:
        return self.steps[-1][1] if self.steps else self.resumed or 0


def steps_lost(attempts: list[Attempt]) -> list[tuple[Attempt, int]]:
    """Every kill with the steps done before it that had to be done again."""
    lost, before = [], None
    for attempt in attempts:
        if attempt.resumed is None:  # Killed before it could lose anything.
            lost.append((attempt, 0))
            continue
        if before is not None:
            lost.append((before, before.last_step - attempt.resumed))
        before = attempt
    return lost


def summarise(attempts: list[Attempt]) -> dict:
    """Kills by phase and signal, and how many steps each of them cost."""
    lost = steps_lost(attempts)
    steps = [n for _, n in lost]
    return {
        "kills": len(lost),
        "by_phase": {phase: sum(a.phase == phase for a, _ in lost) for phase in PHASES},
        "by_signal": {
            name: sum(a.signal == name for a, _ in lost) for name in ("SIGKILL", "SIGTERM")
        },
        "damaged": sum(bool(a.damaged) for a, _ in lost),
        "steps_lost_median": statistics.median(steps),
        "steps_lost_max": max(steps),
        "steps_lost_max_after_sigterm": max(
            (n for a, n in lost if a.signal == "SIGTERM" and not a.damaged), default=0
        ),
        "seconds": round(attempts[-1].ended, 1),
        "seconds_per_start": round(
            statistics.median([a.steps[0][0] - a.started for a in attempts if a.steps] or [0]), 2
        ),
    }


def draw(attempts: list[Attempt], path: pathlib.Path) -> None:
    """The step over time, with a mark at each kill."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    height, marks = 0, {}
    for attempt in attempts:
        axes.plot(*zip(*attempt.steps, strict=True) if attempt.steps else ([], []), color="C0")
        height = attempt.last_step if attempt.resumed is not None else height
        marks.setdefault((attempt.signal, attempt.phase), []).append((attempt.ended, height))
    marks.pop(("", ""))
    shapes, colours = dict(zip(PHASES, "vxs", strict=True)), {"SIGKILL": "C3", "SIGTERM": "C1"}
    for (name, phase), points in sorted(marks.items()):
        label = f"{name}, {phase} ({len(points)})"
        style = {"marker": shapes[phase], "color": colours[name], "s": 22, "zorder": 3}
        axes.scatter(*zip(*points, strict=True), label=label, **style)
    axes.set(xlabel="seconds", ylabel="step")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)
