"""What a compiled program computes and sends: counted from its HLO, where XLA counts nothing.

XLA's own count leaves out the calls of cuDNN and cuBLAS, which are nearly all of a step.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scripts.lib.benchmarks import hlo

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "f64": 8}
_ARRAY = re.compile(r"\b(?P<dtype>[a-z]+\d*)\[(?P<sides>[\d,]*)\]")
_LABELS = re.compile(r"dim_labels=(\w+)_(\w+)->(\w+)")


class Reductions(NamedTuple):
    """The all-reduces of a step: how many, and the bytes that each device puts in.

    `bytes` is by type; `overlapped` those under way while a convolution or a product is computed.
    """

    number: int
    bytes: dict[str, int]
    overlapped: int


def flops(text: str) -> int:
    """Additions and multiplications of all convolutions and products, padding counted.

    A loop's are counted as often as it turns; where XLA does not know how often, once.
    """
    program = hlo.parse(text)
    turns = _turns(program)
    return sum(
        turns.get(instruction.computation, 1) * _operations(instruction, program)
        for instruction in program.values()
    )


def reductions(text: str) -> Reductions:
    """The all-reduces of a scheduled program."""
    program = hlo.parse(text)
    order = {name: index for index, name in enumerate(program)}
    busy = [order[name] for name, one in program.items() if _operations(one, program)]
    ends = {
        one.operands[0]: order[name]
        for name, one in program.items()
        if one.opcode == "all-reduce-done"
    }
    count, sent, overlapped = 0, dict[str, int](), 0
    for name, one in program.items():
        if one.opcode not in ("all-reduce", "all-reduce-start"):
            continue
        count += 1
        arrays = [array for operand in one.operands for array in _arrays(program[operand].shape)]
        for dtype, sides in arrays:
            sent[dtype] = sent.get(dtype, 0) + _BYTES[dtype] * math.prod(sides)
        if any(order[name] < index < ends.get(name, 0) for index in busy):
            overlapped += sum(_BYTES[dtype] * math.prod(sides) for dtype, sides in arrays)
    return Reductions(count, sent, overlapped)


def donated(text: str) -> int:
    """How many results lie where an argument lay."""
    head = text.partition("\n")[0]
    return len(re.findall(r"(?:may|must)-alias", head))


def _arrays(shape: str) -> list[tuple[str, list[int]]]:
    """The type and the sides of an array, or of each one of a tuple."""
    return [
        (match["dtype"], [int(side) for side in match["sides"].split(",") if side])
        for match in _ARRAY.finditer(shape)
    ]


def _operations(one: hlo.Instruction, program: Mapping[str, hlo.Instruction]) -> int:
    """Additions and multiplications of one convolution or product; 0 of anything else."""
    kind = hlo.convolution_kind(one)
    if kind:
        labels = _LABELS.search(one.line)
        shapes = [_arrays(program[name].shape)[0][1] for name in one.operands[:2]]
        result = _arrays(one.shape)[0][1]
        # Whichever is computed, the labels are those of the forward convolution.
        kernel, output = {
            "BackwardFilter": (result, shapes[1]),
            "BackwardInput": (shapes[1], shapes[0]),
        }.get(kind, (shapes[1], result))
        assert labels is not None, one.line
        return 2 * math.prod(output) * math.prod(kernel) // kernel[labels[2].index("o")]
    if one.opcode != "dot" and '"__cublas$' not in one.line:
        return 0
    contracted = re.search(r'lhs_contracting_(?:dims=\{|dimensions":\[)([\d",]*)', one.line)
    assert contracted is not None, one.line
    left = _arrays(program[one.operands[0]].shape)[0][1]
    over = [left[int(n)] for n in contracted[1].replace('"', "").split(",") if n]
    return 2 * math.prod(_arrays(one.shape)[0][1]) * math.prod(over)


def _turns(program: Mapping[str, hlo.Instruction]) -> dict[str, int]:
    """How often each computation runs; those that are not named here run once."""
    calls = [call for one in program.values() for call in _calls(one)]
    found: dict[str, int] = {}
    # Callers follow what they call, so the last lines come first.
    for caller, called, times in reversed(calls):
        found[called] = found.get(called, 0) + found.get(caller, 1) * times
    return found


def _calls(one: hlo.Instruction) -> Iterator[tuple[str, str, int]]:
    """The computation of an instruction, one that it calls, and how often."""
    count = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', one.line)
    times = int(count[1]) if count else 1
    for match in re.finditer(
        r"(?:calls|body|to_apply|branch_computations)=(\{.*?\}|%?[\w.\-]+)", one.line
    ):
        for called in re.findall(r"[\w.\-]+", match[1]):
            yield one.computation, called, times
