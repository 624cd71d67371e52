"""What a GPU's tensor cores do to float32 products, done on any device."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend import core

_PRODUCTS = ("dot_general", "conv_general_dilated")


def tensor_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as compiled for a GPU with TF32.

    Products and convolutions of float32 numbers that ask for no precision round their operands to
    10 bits; those that ask for one are computed as they are.
    """

    @jax.jit
    def rounded(*args: Any) -> Any:
        program, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        results = _evaluate(program, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return rounded


def _evaluate(program: core.ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    jaxpr = program.jaxpr
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*program.consts, *args], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        found = _apply(equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, found, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: Any, operands: list[Any]) -> Sequence[Any]:
    """The results of one equation, rounded where it is such a product."""
    name, params = equation.primitive.name, equation.params
    if name in _PRODUCTS and params["precision"] is None:
        operands = [lax.reduce_precision(operand, 8, 10) for operand in operands]
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    if name == "scan":
        return _scan(inner, operands, params)
    if params.get("branches_platforms"):  # The last one is that of a GPU.
        inner, operands = params["branches"][-1], operands[1:]
    if inner is not None:
        inner = inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())
        return _evaluate(inner, operands)
    assert not any(product in str(params) for product in _PRODUCTS), f"a product in a {name}"
    results = equation.primitive.bind(*operands, **params)
    return results if equation.primitive.multiple_results else [results]


def _scan(inner: Any, operands: list[Any], params: dict[str, Any]) -> Sequence[Any]:
    if "num_consts" in params:
        consts, carry = params["num_consts"], params["num_carry"]
    else:  # From jax 0.11 on.
        consts, carry, _ = map(len, params["ft_in"].unpack())
    fixed, start, over = (
        operands[:consts],
        operands[consts : consts + carry],
        operands[consts + carry :],
    )

    def body(state: Any, row: Any) -> tuple[Any, Any]:
        found = _evaluate(inner, [*fixed, *state, *row])
        return found[:carry], found[carry:]

    end, rows = lax.scan(body, start, over, length=params["length"], reverse=params["reverse"])
    return [*end, *rows]
