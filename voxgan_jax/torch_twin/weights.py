# pyright: reportMissingImports=false
"""Weights both ways between PyTorch state dicts, with the original's names, and our variables."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import flax.traverse_util
import numpy as np
import torch
from ml_collections import ConfigDict

from voxgan_jax import fields
from voxgan_jax.files import whole
from voxgan_jax.models import weights
from voxgan_jax.models.weights import Variables, WeightsError
from voxgan_jax.torch_twin.model import Discriminator, Generator

StateDict = dict[str, torch.Tensor]

_NORM = {"running_mean": "mean", "running_var": "var"}
_SPECTRAL = {"weight_u": "u", "weight_v": "v"}


def module_names(num_res_blocks: int) -> dict[str, str]:
    """Our module paths, both networks', and what the state dict calls them.

    The original's fourth layer is `bottleneck`, or `bottleneck_conv` before residual blocks.
    """
    bottleneck = "bottleneck_conv" if num_res_blocks else "bottleneck"
    stages = {f"{part}{n}": f"{part}{n}" for part in ("enc", "dec") for n in (1, 2, 3)}
    names = {}
    for ours, theirs in (stages | {"bottleneck": bottleneck}).items():
        names |= {f"{ours}_conv": f"{theirs}.0", f"{ours}_norm": f"{theirs}.1"}
    for n in range(num_res_blocks):
        for layer, index in (("conv1", 0), ("norm1", 1), ("conv2", 3), ("norm2", 4)):
            names[f"res_block{n}/{layer}"] = f"res_blocks.{n}.block.{index}"
    names["final_conv"] = "final.0"
    # Convolution and LeakyReLU; three times convolution, norm, LeakyReLU; the last convolution.
    names["conv1"] = "blocks.0"
    for n, index in ((2, 2), (3, 5), (4, 8)):
        names |= {f"conv{n}": f"blocks.{index}", f"norm{n}": f"blocks.{index + 1}"}
    return names | {"final": "blocks.11"}


def to_names(tree: Variables, *, spectral: bool = False) -> dict[str, np.ndarray]:
    """Our collections as arrays under the names and in the layouts of the state dict.

    Any of the collections may be left out; gradients go under `params` like what they belong to.

    Args:
        spectral: call kernels `weight_orig`, as spectral norm does.

    Raises:
        WeightsError: a module that neither network has.
    """
    flat = flax.traverse_util.flatten_dict(tree)
    names = module_names(len({path[1] for path in flat if path[1].startswith("res_block")}))
    arrays = {}
    for (collection, *path, leaf), value in flat.items():
        module = "/".join(path)
        if module not in names:
            raise WeightsError(f"no layer of the original corresponds to {collection}/{module}")
        array = np.asarray(value)
        if leaf == "kernel":
            array = array.transpose(_kernel_axes(module))
            name = "weight_orig" if spectral else "weight"
        elif leaf == "v":
            array, name = array.transpose(3, 0, 1, 2).reshape(-1), "weight_v"
        else:
            known = {"scale": "weight", "bias": "bias", "u": "weight_u"}
            name = (known | {ours: theirs for theirs, ours in _NORM.items()})[leaf]
        arrays[f"{names[module]}.{name}"] = np.ascontiguousarray(array)
    return arrays


def from_names(arrays: Mapping[str, np.ndarray]) -> Variables:
    """The inverse of `to_names`; what no network has is left out."""
    modules = {theirs: ours for ours, theirs in module_names(_num_res_blocks(arrays)).items()}
    flat = {}
    for full_name, array in arrays.items():
        prefix, name = full_name.rsplit(".", 1)
        if prefix not in modules:
            continue
        path = tuple(modules[prefix].split("/"))
        if name in ("weight", "weight_orig") and array.ndim == 5:
            axes = np.argsort(_kernel_axes(modules[prefix]))
            flat["params", *path, "kernel"] = array.transpose(axes)
        elif name in _NORM:
            flat["batch_stats", *path, _NORM[name]] = array
        elif name in _SPECTRAL:
            if name == "weight_v":
                shape = arrays[f"{prefix}.weight_orig"].shape[1:]
                array = array.reshape(shape).transpose(1, 2, 3, 0)
            flat["spectral_stats", *path, _SPECTRAL[name]] = array
        elif name in ("weight", "bias"):
            flat["params", *path, "scale" if name == "weight" else "bias"] = array
    flat = {path: np.ascontiguousarray(array) for path, array in flat.items()}
    return flax.traverse_util.unflatten_dict(flat)


def _kernel_axes(module: str) -> tuple[int, ...]:
    """From our (d, h, w, in, out) to theirs: out first, but in first where it is transposed."""
    transposed = module.startswith("dec") or module == "final_conv"
    return (3, 4, 0, 1, 2) if transposed else (4, 3, 0, 1, 2)


def _num_res_blocks(names: Mapping[str, Any]) -> int:
    return len({name.split(".")[1] for name in names if name.startswith("res_blocks.")})


def describe(arrays: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Which network a state dict is of, and the fields that build it, from names and shapes.

    Returns:
        ("generator", fields of `Generator`) or ("discriminator", fields of `Discriminator`).

    Raises:
        WeightsError: it is neither.
    """
    if any(name.startswith("blocks.") for name in arrays):
        spectral = any(name.endswith("weight_orig") for name in arrays)
        shape = _shape(arrays, "blocks.11.weight_orig" if spectral else "blocks.11.weight")
        features = _shape(arrays, "blocks.0.bias")
        return "discriminator", {
            "features": features[0] if features else 32,
            "spectral_norm_iterations": int(spectral),
            "resolution": 16 * shape[-1] if shape else 64,
        }
    if any(name.startswith(("enc", "bottleneck", "dec")) for name in arrays):
        features = (_shape(arrays, "enc1.0.bias") or _shape(arrays, "dec3.0.bias") or (32,))[0]
        joined = _shape(arrays, "final.0.weight")
        return "generator", {
            "features": features,
            "num_res_blocks": _num_res_blocks(arrays),
            "skips": not joined or joined[0] == 2 * features,
        }
    first = ", ".join(sorted(map(str, arrays))[:4]) or "nothing"
    raise WeightsError(f"neither a generator nor a discriminator: it holds {first}")


def _shape(arrays: Mapping[str, Any], name: str) -> tuple[int, ...]:
    return tuple(arrays[name].shape) if name in arrays else ()


def build(kind: str, fields: Mapping[str, Any], device: str = "cpu") -> torch.nn.Module:
    """The twin that `describe` describes; on the device "meta" it has names and shapes only."""
    with torch.device(device):
        return Generator(**fields) if kind == "generator" else Discriminator(**fields)


def check(arrays: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """`describe`, where the state dict is exactly that network's.

    Raises:
        WeightsError: names the keys that are missing, unknown or of another shape, all at once.
    """
    kind, fields = describe(arrays)
    known = build(kind, fields, "meta").state_dict()
    required = {name for name in known if not name.endswith("num_batches_tracked")}
    shapes = [
        f"{name} {_shape(arrays, name)} for {_shape(known, name)}"
        for name in arrays
        if name in known and _shape(arrays, name) != _shape(known, name)
    ]
    wrong = {
        "missing": sorted(required - set(arrays)),
        "unknown": sorted(set(arrays) - set(known)),
        "wrong shape": shapes,
    }
    if any(wrong.values()):
        listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in wrong.items() if names)
        raise WeightsError(f"not the state dict of a {kind} with {fields}: {listed}")
    return kind, fields


def to_torch(variables: Variables) -> StateDict:
    """Our variables, of either network, as a state dict that the twin loads.

    `num_batches_tracked`, which nothing uses, is 0.

    Raises:
        WeightsError: they are not those of either network.
    """
    arrays = to_names(variables, spectral=bool(variables.get("spectral_stats")))
    for name in [name for name in arrays if name.endswith("running_mean")]:
        arrays[name.replace("running_mean", "num_batches_tracked")] = np.zeros((), np.int64)
    check(arrays)
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def from_torch(state: Mapping[str, torch.Tensor]) -> Variables:
    """A state dict, of either network of the original, as our variables.

    Raises:
        WeightsError: missing and unknown keys and wrong shapes, all at once.
    """
    # Wrapped for several devices, all names begin with "module.".
    arrays = {name.removeprefix("module."): value for name, value in state.items()}
    # Whether the original calls it so without residual blocks is not known; both are taken.
    theirs = "bottleneck_conv." if _num_res_blocks(arrays) else "bottleneck."
    for name in [name for name in arrays if name.startswith(("bottleneck.", "bottleneck_conv."))]:
        arrays[theirs + name.split(".", 1)[1]] = arrays.pop(name)
    check(arrays)
    return from_names(
        {name: value.detach().float().cpu().numpy() for name, value in arrays.items()}
    )


def load(path: str | pathlib.Path) -> StateDict:
    """Read a state dict from a `.pth` file, tensors only.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: not such a file, or one that holds anything but tensors.
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such weights file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # It raises whatever its parsers meet.
        reason = str(error).strip().split("\n")[0]
        raise WeightsError(f"{path}: no PyTorch file of tensors only ({reason})") from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        held = ", ".join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
        raise WeightsError(f"{path}: no state dict; it holds {' '.join(held.split())[:200]}")
    for name, value in state.items():
        if wrong := _wrong(name, value):
            raise WeightsError(f"{path}: {name!r} {wrong}")
    return dict(state)


def _wrong(name: str, value: torch.Tensor) -> str:
    """Why a tensor is none of these networks'; empty where it may be one."""
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        return "is no tensor of plain numbers"
    # Few numbers can stand for any size, for which there is then no room.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"has shape {tuple(value.shape)} and fewer numbers"
    if name.endswith("num_batches_tracked"):
        return ""
    if not value.is_floating_point():
        return f"holds {value.dtype}, where the original has torch.float32"
    return "" if value.float().isfinite().all() else "holds NaN or infinity"


def convert(source: pathlib.Path, target: pathlib.Path, *, resolution: int, placement: str) -> str:
    """Write a `.pth` file as our `.safetensors`, or the reverse; returns a line on what it is.

    Args:
        resolution, placement: of the pots that a generator was trained on, which its weights do
            not tell; a discriminator's do.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: not weights of either network.
        ValueError: the names do not end as described.
    """
    data = {"resolution": resolution, "pool": 1, "placement": placement}
    fields.check({"data": data})
    if (source.suffix, target.suffix) == (".safetensors", ".pth"):
        state = _converted(source, to_torch, weights.load(source)[0])
        kind, found = describe(state)
        with whole(target) as unfinished:
            torch.save(state, unfinished)
    elif (source.suffix, target.suffix) == (".pth", ".safetensors"):
        variables = _converted(source, from_torch, load(source))
        kind, found = describe(to_names(variables, spectral="spectral_stats" in variables))
        data["resolution"] = found.get("resolution", resolution)
        model = {name: value for name, value in found.items() if name != "resolution"}
        model |= {"conv_form": "auto", "dtype": "float32"}
        config = ConfigDict({"data": data, kind: model, "eval": {"threshold": 0.5}})
        weights.save(target, variables, config)
    else:
        raise ValueError(f"{source} to {target}: convert between .pth and .safetensors")
    return f"{kind}, " + ", ".join(f"{name} {value}" for name, value in found.items())


def _converted(source: pathlib.Path, change: Callable[[Any], Any], held: Any) -> Any:
    """What becomes of what a file holds; whatever cannot be changed names the file."""
    try:
        return change(held)
    except Exception as error:  # Arrays of any names and shapes lead anywhere.
        said = " ".join(f"{error or type(error).__name__}".split())
        raise WeightsError(f"{source}: {said}") from error
