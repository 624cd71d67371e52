"""`voxgan doctor`: is this installation sound, and what to do where it is not."""

import argparse
import functools
import json
from collections.abc import Callable, Sequence

Run = Callable[[Sequence[str]], int]


def add_doctor(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", voxgan: Run
) -> None:
    """Add the command and its options; for the trial `voxgan` runs the words of a command line."""
    parser = subparsers.add_parser("doctor", help="examine this installation, by a trial too")
    quick = "leave out the trial, which completes a synthetic pot"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=functools.partial(_doctor, voxgan))


def _doctor(voxgan: Run, args: argparse.Namespace) -> int:
    from voxgan_jax.cli import checks

    findings = []
    trial = None if args.quick else lambda words: voxgan(["complete", *words])
    for finding in checks.examine(trial):
        findings.append(finding)
        if not args.json:
            print(line(finding), flush=True)
    faults = sum(finding.state == checks.FAULT for finding in findings)
    warnings = sum(finding.state == checks.WARNING for finding in findings)
    if args.json:
        said = {"sound": not faults, "faults": faults, "warnings": warnings}
        said |= {"findings": [finding._asdict() for finding in findings]}
        print(json.dumps(said, ensure_ascii=False))
    else:
        found = ((faults, "fault"), (warnings, "warning"))
        counts = [f"{count} {word}{'s' * (count > 1)}" for count, word in found if count]
        print(f"{' and '.join(counts)}." if counts else "All is well.")
    return int(faults > 0)


def line(finding: "tuple[str, str, str, str]") -> str:
    """A finding in one line, its remedy in a second."""
    name, state, text, remedy = finding
    said = f"{state:<8} {name:<15} {text}"
    return f"{said}\n{'':24} → {remedy}" if remedy else said
