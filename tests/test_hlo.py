"""What is found in a compiled program: made-up ones, sound and faulty, and one of XLA's."""

import jax
import jax.numpy as jnp
import pytest

from scripts.lib.benchmarks import hlo, hlo_cost, jax_speed, step_speed


def small_config(name="baseline", features=8, resolution=32):
    config = jax_speed.with_options(step_speed.load_config(name), resolution, 2, "float32")
    config.generator.features = config.discriminator.features = features
    return config


GOOD = """HloModule jit_step, is_scheduled=true

%fused_s2d (p: bf16[64,64,64,64,8]) -> bf16[64,33,33,33,8] {
  %p = bf16[64,66,66,66,1]{4,3,2,1,0} parameter(0)
  %t = bf16[2112,33,33,2,2,2]{5,4,3,2,1,0} transpose(%p), dimensions={0,2,4,1,3,5}
  ROOT %b = bf16[64,33,33,33,8]{4,3,2,1,0} bitcast(%t)
}

%fused_pad (p.1: bf16[64,32,32,32,32]) -> bf16[64,34,34,34,32] {
  %p.1 = bf16[64,32,32,32,32]{4,3,2,1,0} parameter(0)
  ROOT %pad = bf16[64,34,34,34,32]{4,3,2,1,0} pad(%p.1), padding=0_0x1_1x1_1x1_1x0_0
}

ENTRY %main (x: bf16[64,66,66,66,1], k: bf16[32,2,2,2,8]) -> bf16[64,34,34,34,32] {
  %x = bf16[64,66,66,66,1]{4,3,2,1,0} parameter(0)
  %k = bf16[32,2,2,2,8]{4,3,2,1,0} parameter(1)
  %kt = bf16[32,2,2,2,8]{4,3,2,1,0} copy(%k)
  %f = bf16[64,33,33,33,8]{4,3,2,1,0} fusion(%x), kind=kInput, calls=%fused_s2d
  %cv = (bf16[64,32,32,32,32]{4,3,2,1,0}, u8[0]) custom-call(%f, %kt), window={size=2x2x2}, FORWARD
  %y = bf16[64,32,32,32,32]{4,3,2,1,0} get-tuple-element(%cv), index=0
  %dw = (bf16[32,2,2,2,8]{4,3,2,1,0}, u8[0]) custom-call(%f, %y), window={size=32x32x32}, FILTER
  %dk = bf16[32,2,2,2,8]{4,3,2,1,0} get-tuple-element(%dw), index=0
  %dkt = bf16[32,2,2,2,8]{4,3,2,1,0} copy(%dk)
  ROOT %out = bf16[64,34,34,34,32]{4,3,2,1,0} fusion(%y), kind=kLoop, calls=%fused_pad
}
"""
GOOD = GOOD.replace("FORWARD", 'custom_call_target="__cudnn$convForward"')
GOOD = GOOD.replace("FILTER", 'custom_call_target="__cudnn$convBackwardFilter"')


def test_a_good_program_has_no_faults():
    found = hlo.check(GOOD, weight_gradients=1)
    assert found == hlo.Findings({"Forward": 1, "BackwardFilter": 1}, [])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        # Zeros between the voxels: in the operand's fusion, or left to the convolution.
        (
            "bitcast(%t)",
            "pad(%t, %c), padding=0_0x1_1_1x1_1_1x1_1_1x0_0",
            "cv: b pads its operand between the voxels",
        ),
        ("window={size=2x2x2}", "window={size=2x2x2 lhs_dilate=2x2x2}", "spread out by zeros"),
        # A change of layout before the convolution, within a fusion, and after it.
        (
            "%f = bf16[64,33,33,33,8]{4,3,2,1,0} fusion(%x), kind=kInput, calls=%fused_s2d",
            "%f = bf16[64,33,33,33,8]{4,3,2,1,0} copy(%x)",
            "cv: f transposes its operand",
        ),
        (
            "%t = bf16[2112,33,33,2,2,2]{5,4,3,2,1,0} transpose(%p), dimensions={0,2,4,1,3,5}",
            "%t = bf16[64,8,33,33,33]{4,3,2,1,0} transpose(%p), dimensions={0,4,1,2,3}",
            "cv: t transposes its operand",
        ),
        (
            "fusion(%y), kind=kLoop, calls=%fused_pad",
            "transpose(%y), dimensions={0,4,1,2,3}",
            "cv: out transposes its result",
        ),
        # A weight gradient that became a convolution with a kernel like the grid.
        ("__cudnn$convBackwardFilter", "__cudnn$convForward", "dw: a kernel of 32x32x32"),
        ("__cudnn$convBackwardFilter", "__cudnn$convForward", "0 backward-filter calls for 1"),
    ],
)
def test_each_fault_is_found(old, new, fault):
    assert old in GOOD
    found = hlo.check(GOOD.replace(old, new), weight_gradients=1)
    assert any(fault in line for line in found.faults), found.faults


def test_a_compiled_program_can_be_read():
    """The reference form of the transposed convolution spreads its input; the fast one does not."""
    from voxgan_jax.models import conv

    x, kernel = jnp.ones((1, 4, 4, 4, 2)), jnp.ones((4, 4, 4, 2, 3))
    faults = {}
    for form in ("lax", "s2d"):
        layer = jax.jit(lambda x, kernel, form=form: conv.conv_transpose_k4s2(x, kernel, form=form))
        text = layer.lower(x, kernel).compile().as_text()
        assert text is not None
        found = hlo.check(text)
        assert found.counts == {"plain": 1}
        faults[form] = " ".join(found.faults)
    assert "spread out" in faults["lax"] or "between the voxels" in faults["lax"]
    assert "spread out" not in faults["s2d"] and "between the voxels" not in faults["s2d"]


COUNTED = """HloModule s, input_output_alias={ {0}: (0, {}, may-alias), {1}: (2, {}, must-alias) }

%body (b: f32[4,8]) -> f32[4,8] {
  %b = f32[4,8]{1,0} parameter(0)
  %m = f32[8,8]{1,0} constant({...})
  ROOT %d = f32[4,8]{1,0} dot(%b, %m), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

ENTRY %main (x: bf16[2,33,33,33,8], k: bf16[16,2,2,2,8]) -> f32[4,8] {
  %x = bf16[2,33,33,33,8]{4,3,2,1,0} parameter(0)
  %k = bf16[16,2,2,2,8]{4,3,2,1,0} parameter(1)
  %a = f32[4,8]{1,0} parameter(2)
  %cv = (bf16[2,32,32,32,16]{4,3,2,1,0}, u8[0]{0}) custom-call(%x, %k), FORWARD
  %y = bf16[2,32,32,32,16]{4,3,2,1,0} get-tuple-element(%cv), index=0
  %r1 = (f32[4,8]{1,0}, bf16[3]{0}) all-reduce-start(%a, %h), to_apply=%sum
  %h = bf16[3]{0} constant({...})
  %dx = (bf16[2,33,33,33,8]{4,3,2,1,0}, u8[0]{0}) custom-call(%y, %k), INPUT
  %r1d = (f32[4,8]{1,0}, bf16[3]{0}) all-reduce-done(%r1)
  %dw = (bf16[16,2,2,2,8]{4,3,2,1,0}, u8[0]{0}) custom-call(%x, %y), FILTER
  %r2 = f32[4,8]{1,0} all-reduce-start(%a), to_apply=%sum
  %r2d = f32[4,8]{1,0} all-reduce-done(%r2)
  %g = (f32[4,8]{1,0}, s8[32]{0}) custom-call(%a, %w), GEMM
  ROOT %loop = f32[4,8]{1,0} while(%a), body=%body, backend_config={"known_trip_count":{"n":"5"}}
}
"""
for word, target in (
    ("FORWARD", "cudnn$convForward"),
    ("INPUT", "cudnn$convBackwardInput"),
    ("FILTER", "cudnn$convBackwardFilter"),
    ("GEMM", 'cublas$gemm", {"lhs_contracting_dimensions":["1"]} "'),
):
    target = f'dim_labels=b012f_o012i->b012f, custom_call_target="__{target}"'
    COUNTED = COUNTED.replace(f"), {word}", f"), {target}")


def test_operations_bytes_and_donations_by_hand():
    convolution = 2 * (2 * 32**3 * 16) * (2**3 * 8)  # each way the same
    product = 2 * 4 * 8 * 8
    assert hlo_cost.flops(COUNTED) == 3 * convolution + (1 + 5) * product
    # Between the start and the end of the first a convolution is computed, of the second none.
    first, second = 4 * 32 + 2 * 3, 4 * 32
    found = hlo_cost.reductions(COUNTED)
    assert found == hlo_cost.Reductions(2, {"f32": 4 * 64, "bf16": 6}, first)
    assert sum(found.bytes.values()) == first + second
    assert hlo_cost.donated(COUNTED) == 2
