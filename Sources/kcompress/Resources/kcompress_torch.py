"""Loads a safetensors checkpoint that kcompress has compressed into your own PyTorch model.

    from kcompress_torch import load_compressed

    model = MyNetwork()
    load_compressed(model, "model.compressed.safetensors")

Every compressed convolution or linear layer of the model becomes an nn.Sequential of stock modules, and all weights are
loaded, strictly. What the layers are made of stands in the file's metadata, as data; no code of the file is run.
"""

import json
import math
import os
from collections import OrderedDict

import torch
from safetensors import safe_open
from torch import nn

__all__ = ["load_compressed"]

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
PADS = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}


def load_compressed(model, path):
    """Replaces the compressed layers of `model` and loads all weights from `path`.

    `path` is a .safetensors file, or the .safetensors.index.json of a sharded set. The model keeps its dtype and its
    devices. Raises ValueError where the file was not written by kcompress or does not fit the model, and RuntimeError
    where a tensor is missing or left over. Returns the model.
    """
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)) or hasattr(model, "_orig_mod"):
        raise ValueError(f"a {type(model).__name__} wraps your model; load into the model itself, before it is wrapped")
    tensors, metadata = read(path)
    if "kcompress" not in metadata:
        raise ValueError(f"{path}: it holds no compressed layers; load it with model.load_state_dict")
    record = json.loads(metadata["kcompress"])
    if record.get("schema") not in ("kcompress.record/1", "kcompress.record/2"):
        raise ValueError(f"{path}: its record has the unknown schema {record.get('schema')!r}")
    for layer in map(complete, record["layers"]):
        unpack(tensors, layer, path)
        if layer["structure"] != "dense":
            replace(model, layer, path)
    model.load_state_dict(tensors, strict=True)
    return model


def complete(layer):
    """A layer of the record with everything that the file leaves out because it follows from the rest."""
    for key in ("dense", "stages"):
        if isinstance(layer.get(key), str):
            layer[key] = [stage(text) for text in layer[key].split(";")]
    layer.setdefault("structure", "dense")
    if "stages" not in layer:
        layer["stages"], suffixes = layer["dense"], [""]
    else:
        suffixes = [f".{place}" for place, own in enumerate(layer["stages"]) if own["stage"] == "convolution"]
    layer.setdefault("parts", [layer["name"] + suffix for suffix in layer.get("suffixes", suffixes)])
    return layer


def stage(text):
    """A stage of the record: `8,4,3,3 g2 b4 s2,2 d1,3 p1,1` is a convolution, `2,4>1,0` a permutation, `+8` a bias."""
    def numbers(part):
        return [int(number) for number in part.split(",")]

    if text.startswith("+"):
        return {"stage": "bias", "channels": int(text[1:])}
    if ">" in text:
        axes, order = map(numbers, text.split(">"))
        return {"stage": "permutation", "axes": axes, "order": order}
    kernel, *options = text.split(" ")
    kernel = numbers(kernel)
    own = {"stage": "convolution", "kernel": kernel, "groups": 1, "batch": 1, "dilation": [1] * (len(kernel) - 2)}
    for option in options:
        # Strides and padding are those of the model's own module.
        if option[0] == "g":
            own["groups"] = int(option[1:])
        elif option[0] == "b":
            own["batch"] = int(option[1:])
        elif option[0] == "d":
            own["dilation"] = numbers(option[1:])
        elif option == "t":
            own["transposed"] = True
    return own


def unpack(tensors, layer, path):
    """Puts numbers in the place of the integers and scales that a layer's weights are stored as."""
    bits = layer.get("bits")
    if bits is None:
        return
    stages = layer["stages"]
    places = [place for place, stage in enumerate(stages) if stage["stage"] == "convolution"]
    for part, place in zip(layer["parts"], places, strict=True):
        kernel = stages[place]["kernel"]
        name = f"{part}.weight" if f"{part}.weight" in tensors else "weight"
        scale = tensors.pop(f"{name}.scale", None)
        if scale is None and passes_scales_on(stages, place):
            square = 2 * (2 ** (bits - 1) - 1) ** 2 * math.prod(kernel[1:])
            scale = torch.full([kernel[0]], 2.0 ** -((square.bit_length() - 1) // 2))
        if scale is None or name not in tensors:
            raise ValueError(f"{path}: it holds no weight of {part!r} with its scale, which its record names")
        stored = tensors[name]
        if bits == 8:
            integers = stored.to(torch.float32)
        else:
            # Codes lie one behind the other, each integer + 2^(bits - 1) - 1, the lowest bits of a byte first.
            ones = (stored.to(torch.int32).unsqueeze(1) >> torch.arange(8, dtype=torch.int32)) & 1
            count = math.prod(kernel)
            codes = ones.reshape(-1)[: count * bits].reshape(count, bits) << torch.arange(bits, dtype=torch.int32)
            integers = (codes.sum(1) - (2 ** (bits - 1) - 1)).to(torch.float32)
        integers = integers.reshape(kernel)
        tensors[name] = integers * scale.to(torch.float32).reshape(-1, *[1] * (len(kernel) - 1))


def passes_scales_on(stages, place):
    """Whether the next convolution works on each output channel of this one by itself, so that its scales stand for both."""
    if place + 1 == len(stages) or stages[place + 1]["stage"] != "convolution":
        return False
    own, after = stages[place], stages[place + 1]
    channels = own["kernel"][0]
    return (after["groups"] == channels and after["kernel"][:2] == [channels, 1] and after["batch"] == own["batch"]
            and not after.get("transposed", False))


def read(path):
    """All tensors and the metadata of a file, or of a sharded set."""
    files = [path]
    if str(path).endswith(".index.json"):
        with open(path, encoding="utf-8") as index:
            names = dict.fromkeys(json.load(index)["weight_map"].values())
        files = [os.path.join(os.path.dirname(path), os.path.basename(name)) for name in names]
    tensors, metadata = {}, {}
    for file in files:
        with safe_open(file, framework="pt") as opened:
            metadata.update(opened.metadata() or {})
            tensors.update({name: opened.get_tensor(name) for name in opened.keys()})
    return tensors, metadata


def replace(model, layer, path):
    """Puts the factored form in the place of the layer's module."""
    name = layer["name"]
    parent, _, leaf = name.rpartition(".")
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise ValueError(f"{path}: the model has no module {name!r}, which the file holds compressed") from None
    linear = isinstance(module, nn.Linear)
    if isinstance(module, nn.Sequential):
        raise ValueError(f"{path}: {name!r} is a Sequential; the model seems to be converted already, begin with a new one")
    if not linear and type(module) not in CONVOLUTIONS.values():
        raise ValueError(f"{path}: {name!r} is a {type(module).__name__}, not a convolution or a linear layer")
    if list(module.weight.shape) != layer["dense"][0]["kernel"]:
        raise ValueError(f"{path}: {name!r} has a weight of {list(module.weight.shape)}, the file's is "
                         f"{layer['dense'][0]['kernel']}")
    if not linear and module.padding_mode != "zeros":
        raise ValueError(f"{path}: {name!r} pads with {module.padding_mode}, not with zeros")
    parts = sequence(layer, module, linear)
    setattr(model.get_submodule(parent), leaf, parts.to(module.weight.device, module.weight.dtype))


def sequence(layer, module, linear):
    """The stages as stock modules. Those with weights are named by the positions of their stages."""
    stages = layer["stages"]
    windows = iter(divide(stages, layer["dense"][0], module)) if not linear else None
    modules = OrderedDict()
    position = 0
    for index, stage in enumerate(stages):
        kind = stage["stage"]
        follower = stages[index + 1]["stage"] if index + 1 < len(stages) else ""
        if kind == "convolution":
            batch, kernel = stage["batch"], stage["kernel"]
            bias = follower == "bias" and batch == 1
            if linear:
                own = [("", nn.Linear(kernel[1], kernel[0], bias=bias))]
            else:
                own = convolution(stage, next(windows), bias)
            inputs = kernel[1] * stage["groups"]
            axis = -1 if linear else 1
            if batch > 1 and linear:
                own = [("_split", nn.Unflatten(-1, (batch, inputs)))] + own + [("_join", nn.Flatten(-2, -1))]
            elif batch > 1:
                own = [("_split", nn.Unflatten(axis, (batch, inputs))), ("_fold", nn.Flatten(0, 1))] + own + [
                    ("_unfold", nn.Unflatten(0, (-1, batch))), ("_join", nn.Flatten(1, 2))]
        elif kind == "permutation":
            own = permutation(stage["axes"], stage["order"])
        else:
            before = stages[index - 1] if index else None
            if before and before["stage"] == "convolution" and before["batch"] == 1:
                continue
            own = [("", bias_alone(stage["channels"], linear, len(layer["dense"][0]["kernel"]) - 2))]
        for suffix, part in own:
            modules[f"{position}{suffix}"] = part
        position += 1
    return nn.Sequential(modules)


def divide(stages, dense, module):
    """For every convolution its stride, padding before and after, and dilation, so that together they see the module's window.

    On an axis where one convolution has an extent it takes stride and padding; where none has, the first does; where several
    have, the first pads for all and the last strides.
    """
    convolutions = [stage for stage in stages if stage["stage"] == "convolution"]
    axes = range(len(module.kernel_size))
    windows = [{"stride": [1 for _ in axes], "before": [0 for _ in axes], "after": [0 for _ in axes],
                "dilation": [1 for _ in axes]} for _ in convolutions]
    for axis in axes:
        owners = [i for i, stage in enumerate(convolutions) if stage["kernel"][2 + axis] > 1] or [0]
        for i in owners:
            significance = convolutions[i]["dilation"][axis] // max(1, dense["dilation"][axis])
            if convolutions[i]["kernel"][2 + axis] > 1:
                windows[i]["dilation"][axis] = module.dilation[axis] * significance
        windows[owners[-1]]["stride"][axis] = module.stride[axis]
        if module.padding == "same":
            total = module.dilation[axis] * (module.kernel_size[axis] - 1)
            before, after = total // 2, total - total // 2
        else:
            before = after = 0 if module.padding == "valid" else module.padding[axis]
        windows[owners[0]]["before"][axis], windows[owners[0]]["after"][axis] = before, after
    return windows


def convolution(stage, window, bias):
    """A convolution, behind a border where its padding differs between the two ends of an axis."""
    kernel, groups = stage["kernel"], stage["groups"]
    order = len(kernel) - 2
    own = []
    padding = window["before"]
    if window["before"] != window["after"]:
        # Borders are given from the last axis on.
        border = [x for pair in zip(reversed(window["before"]), reversed(window["after"])) for x in pair]
        own.append(("_pad", PADS[order](tuple(border), 0.0)))
        padding = [0] * order
    own.append(("", CONVOLUTIONS[order](
        kernel[1] * groups, kernel[0], tuple(kernel[2:]), tuple(window["stride"]), tuple(padding),
        tuple(window["dilation"]), groups, bias=bias)))
    return own


def permutation(axes, order):
    """The channels, seen as `axes`, in another order, by swaps of neighbouring axes, each a shuffle of channel groups."""
    axes, places = list(axes), list(order)
    own = []
    for end in range(len(places)):
        for i in range(len(places) - 1 - end):
            # places[i] is where the axis that shall stand at i is now; sort it as bubbles rise.
            if places[i] > places[i + 1]:
                places[i], places[i + 1] = places[i + 1], places[i]
                own.append(i)
    # The swaps that sort the order, undone from last to first, make it.
    parts = []
    current = axes
    for number, i in enumerate(reversed(own)):
        outer, a, b = prod(current[:i]), current[i], current[i + 1]
        inner = prod(current[i + 2:])
        parts += [
            (f"_split{number}", nn.Unflatten(1, (outer, a * b, inner))), (f"_fold{number}", nn.Flatten(0, 1)),
            (f"_swap{number}", nn.ChannelShuffle(a)), (f"_unfold{number}", nn.Unflatten(0, (-1, outer))),
            (f"_join{number}", nn.Flatten(1, 3))]
        current = current[:i] + [b, a] + current[i + 2:]
    return parts or [("", nn.Identity())]


def bias_alone(channels, linear, order):
    """Adds a bias and nothing else: a layer whose weight is the identity and no part of the state."""
    if linear:
        module = nn.Linear(channels, channels)
        weight = torch.eye(channels)
    else:
        module = CONVOLUTIONS[order](channels, channels, 1, groups=channels)
        weight = torch.ones_like(module.weight)
    del module.weight
    module.register_buffer("weight", weight, persistent=False)
    return module


def prod(values):
    result = 1
    for value in values:
        result *= value
    return result
