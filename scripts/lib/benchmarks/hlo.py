"""What XLA made of a training step's convolutions: nothing slow may be left in its final program.

On a GPU every convolution should be a call of cuDNN on channels-last data, and every weight
gradient one of its backward-filter calls. Three things go wrong silently: data spread out by zeros
before a convolution, data transposed around it, and a weight gradient taken for a convolution with
a kernel as large as the grid (jax issue 31662).
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

LARGEST_KERNEL = 4  # side; what is larger is a gradient in disguise
GRID_RANK = 5  # batch, three sides, channels: what a change of layout transposes

_INSTRUCTION = re.compile(
    r"^\s*(?P<root>ROOT )?%?(?P<name>[\w.\-]+) = (?P<shape>\(.*?\)|\S+) (?P<opcode>[\w\-]+)"
    r"\((?P<rest>.*)$"
)
_COMPUTATION = re.compile(r"^(ENTRY )?%?(?P<name>[\w.\-]+) \(.*\{\s*$")
_CALL = re.compile(r'custom_call_target="__cudnn\$conv(?P<kind>\w+)"')


class Instruction(NamedTuple):
    """One line of an HLO text."""

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    line: str
    computation: str
    is_root: bool


class Findings(NamedTuple):
    """How many convolutions there are of each kind, and what is wrong with them, a line each."""

    counts: dict[str, int]
    faults: list[str]


def parse(text: str) -> dict[str, Instruction]:
    """The instructions of an HLO module by name; names are unique in optimised modules."""
    found, computation = {}, ""
    for line in text.splitlines():
        if start := _COMPUTATION.match(line):
            computation = start["name"]
        elif match := _INSTRUCTION.match(line):
            operands = tuple(re.findall(r"%([\w.\-]+)", match["rest"].split(")")[0]))
            found[match["name"]] = Instruction(
                match["name"],
                match["shape"],
                match["opcode"],
                operands,
                line.strip(),
                computation,
                bool(match["root"]),
            )
    return found


def check(text: str, *, weight_gradients: int | None = None) -> Findings:
    """Look through an optimised HLO module.

    Args:
        text: as `compiled.as_text()` gives it.
        weight_gradients: how many convolutions must be backward-filter calls at least; None where
            the platform has no such calls.
    """
    program = parse(text)
    counts: dict[str, int] = {}
    faults: list[str] = []
    for instruction in program.values():
        if not (kind := convolution_kind(instruction)):
            continue
        counts[kind] = counts.get(kind, 0) + 1
        faults += (f"{instruction.name}: {fault}" for fault in _faults(instruction, kind, program))
    filters = counts.get("BackwardFilter", 0)
    if weight_gradients is not None and filters < weight_gradients:
        faults.append(f"{filters} backward-filter calls for {weight_gradients} weight gradients")
    return Findings(counts, faults)


def convolution_kind(instruction: Instruction) -> str:
    """Forward, BackwardInput, BackwardFilter … of cuDNN; "plain" for XLA's own; "" for others."""
    if instruction.opcode == "convolution":
        return "plain"
    call = _CALL.search(instruction.line)
    return call["kind"] if call else ""


def _faults(
    instruction: Instruction, kind: str, program: Mapping[str, Instruction]
) -> Iterator[str]:
    window = re.search(r"window=\{([^}]*)\}", instruction.line)
    window = window[1] if window else ""
    size = re.search(r"size=([\dx]+)", window)
    if kind != "BackwardFilter" and size and max(map(int, size[1].split("x"))) > LARGEST_KERNEL:
        yield f"a kernel of {size[1]}: a weight gradient that is no backward-filter call"
    if kind in ("plain", "Forward", "BiasActivationForward") and "lhs_dilate" in window:
        yield "its input is spread out by zeros (lhs_dilate)"
    # A kernel is small and may be rearranged; a weight gradient's operands are both grids.
    grids = instruction.operands[: 2 if kind == "BackwardFilter" else 1]
    for operand in instruction.operands[:2]:
        source = _source(operand, program)
        for step in _last_steps(source, program):
            if step.opcode == "pad" and _has_interior(step.line):
                yield f"{step.name} pads its operand between the voxels"
            if operand in grids and _is_relayout(step):
                yield f"{step.name} transposes its operand"
    if kind != "BackwardFilter":
        for user in _users(instruction.name, program):
            if any(_is_relayout(step) for step in _last_steps(user, program)):
                yield f"{user.name} transposes its result"


def _source(name: str, program: Mapping[str, Instruction]) -> Instruction | None:
    """What made a value, past instructions that do nothing."""
    found = program.get(name)
    while found and found.opcode in ("bitcast", "get-tuple-element") and found.operands:
        found = program.get(found.operands[0])
    return found


def _users(name: str, program: Mapping[str, Instruction]) -> Iterator[Instruction]:
    """What reads a value, past instructions that do nothing."""
    for user in program.values():
        if name in user.operands:
            if user.opcode in ("bitcast", "get-tuple-element"):
                yield from _users(user.name, program)
            else:
                yield user


def _last_steps(
    instruction: Instruction | None, program: Mapping[str, Instruction]
) -> Iterator[Instruction]:
    """The instruction, or the roots of the fusion that it is, and all pads in that."""
    if instruction is None:
        return
    called = re.search(r"calls=%?([\w.\-]+)", instruction.line)
    if instruction.opcode != "fusion" or not called:
        yield instruction
        return
    for inner in program.values():
        if inner.computation != called[1]:
            continue
        if inner.opcode == "pad":
            yield inner
        if inner.is_root and (root := _source(inner.name, program)) and root.opcode != "pad":
            yield root


def _has_interior(line: str) -> bool:
    """Whether a pad's `padding=low_high_interior x …` puts anything between the elements."""
    padding = re.search(r"padding=([\d_x\-]+)", line)
    parts = [side.split("_") for side in padding[1].split("x")] if padding else []
    return any(len(part) == 3 and part[2] != "0" for part in parts)


def _is_relayout(instruction: Instruction) -> bool:
    """Whether it moves a grid's voxels only to lay them out otherwise.

    Space to depth transposes, too, but at a rank of 6: it is part of the computation.
    """
    shape = re.match(r"\w+\[([\d,]*)\]", instruction.shape)
    rank = len(shape[1].split(",")) if shape else 0
    return instruction.opcode in ("transpose", "copy") and rank == GRID_RANK
