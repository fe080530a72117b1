"""Loads a safetensors checkpoint that kcompress has compressed into your own PyTorch model.

    from kcompress_torch import load_compressed

    model = MyNetwork()
    load_compressed(model, "model.compressed.safetensors")

Every compressed convolution or linear layer of the model becomes an nn.Sequential of stock modules, and all weights are
loaded, strictly. What the layers are made of stands in the file's metadata, as data; no code of the file is run.

    from kcompress_torch import write_modules

    write_modules(model, "model.modules.json")

tells kcompress what a checkpoint does not: which class every module has, with its groups, strides and padding.

    from kcompress_torch import export_graph

    export_graph(model, torch.randn(1, 3, 224, 224), "model.onnx")

writes the graph that `--graph` takes: an ONNX export in which every weight is as the checkpoint has it.
"""

import copy
import json
import math
import os
from collections import OrderedDict

import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

__all__ = ["load_compressed", "write_modules", "export_graph"]

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
PADS = {
    "zeros": {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d},
    "reflect": {1: nn.ReflectionPad1d, 2: nn.ReflectionPad2d, 3: nn.ReflectionPad3d},
    "replicate": {1: nn.ReplicationPad1d, 2: nn.ReplicationPad2d, 3: nn.ReplicationPad3d},
    "circular": {1: nn.CircularPad1d, 2: nn.CircularPad2d, 3: nn.CircularPad3d},
}
# What frameworks put before the names of a network's own modules.
WRAPPERS = ("module", "_orig_mod", "model", "state_dict", "network", "net")


def load_compressed(model, path):
    """Replaces the compressed layers of `model` and loads all weights from `path`.

    `path` is a .safetensors file, or the .safetensors.index.json of a sharded set. The model keeps its dtype and its
    devices. Raises ValueError where the file was not written by kcompress or does not fit the model, and RuntimeError
    where a tensor is missing or left over. Returns the model.
    """
    network = unwrapped(model)
    tensors, metadata = read(path)
    if "kcompress" not in metadata:
        raise ValueError(f"{path}: it holds no compressed layers; load it with model.load_state_dict")
    record = json.loads(metadata.pop("kcompress"))
    if record.get("schema") not in ("kcompress.record/1", "kcompress.record/2"):
        raise ValueError(f"{path}: its record has the unknown schema {record.get('schema')!r}")
    layers = [complete(layer) for layer in record["layers"]]
    aliases = {alias: name for alias, name in metadata.items() if name in tensors}
    strip, add = renaming(set(plain_names(network)), dense_names(tensors, layers))
    tensors = {add + name[len(strip):]: tensor for name, tensor in tensors.items()}
    for layer in layers:
        layer["parts"] = [add + part[len(strip):] for part in layer["parts"]]
        layer["name"] = add + layer["name"][len(strip):]
    make_plain(network)
    ties = tied(network)
    for layer in layers:
        unpack(tensors, layer, path)
        if layer["structure"] != "dense":
            replace(network, layer, tensors, ties, path)
    known = network.state_dict()
    for alias, name in aliases.items():
        alias, name = add + alias[len(strip):], add + name[len(strip):]
        if alias in known and alias not in tensors:
            tensors[alias] = tensors[name]
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not any(other in tensors for other in ties.get(name, ()))]
    if missing or unexpected:
        raise RuntimeError(f"{path}: it does not fit the model: missing are {missing[:8]}, left over are {unexpected[:8]}")
    return model


def write_modules(model, path):
    """Writes what `kcompress plan --modules` reads: class, groups, stride, dilation and padding of every module of `model` with a
    kernel, and which tensors are one and the same. The model is not changed."""
    network = unwrapped(model)
    modules = {}
    for name, module in network.named_modules(remove_duplicate=False):
        weight = getattr(module, "weight", None)
        if not isinstance(weight, torch.Tensor) or not 2 <= weight.dim() <= 5:
            continue
        entry = {"class": type(module).__name__, "kind": "other", "weight": list(weight.shape)}
        if isinstance(module, nn.Linear):
            entry["kind"] = "linear"
        elif isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            entry["kind"] = "embedding"
        elif is_transposed_linear(module):
            entry["kind"] = "transposed_linear"
        elif isinstance(module, (*CONVOLUTIONS.values(), *TRANSPOSED.values())):
            entry.update(
                kind="convolution", groups=module.groups, stride=list(module.stride), dilation=list(module.dilation),
                padding=module.padding if isinstance(module.padding, str) else list(module.padding),
                padding_mode=module.padding_mode, transposed=isinstance(module, tuple(TRANSPOSED.values())),
                output_padding=list(module.output_padding))
        modules[name] = entry
    groups = {frozenset([name, *others]) for name, others in tied(network).items()}
    document = {"schema": "kcompress.modules/1", "modules": modules, "ties": sorted(sorted(group) for group in groups)}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def export_graph(model, inputs, path):
    """Writes what `kcompress --graph` reads: an ONNX export of the network as it is evaluated, with nothing folded into its weights.

    `inputs` is an example of the input, or a tuple where there are several. The model is not changed."""
    network = unwrapped(model)
    for module in network.modules():
        # weight_norm keeps the weight of the last step, which cannot be copied with its history.
        for key, value in list(vars(module).items()):
            if isinstance(value, torch.Tensor) and value.grad_fn is not None:
                vars(module)[key] = value.detach()
    network = copy.deepcopy(network).eval()
    make_plain(network)
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    with torch.no_grad():
        torch.onnx.export(network, inputs, str(path), dynamo=True, optimize=False, external_data=False, verbose=False)


def is_transposed_linear(module):
    """Whether it is the Conv1D of Hugging Face's GPT-2, a linear layer whose weight is (in, out)."""
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf") and module.weight.dim() == 2


# Names


def unwrapped(model):
    """The user's own model inside what trains or compiles it."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod
        else:
            return model


def tied(model):
    """For the names of tensors that have several, the others."""
    groups = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor) and tensor.numel() and tensor.device.type != "meta":
            place = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
            groups.setdefault(place, []).append(name)
    return {name: [other for other in names if other != name]
            for names in groups.values() if len(names) > 1 for name in names}


def plain_names(model):
    """The names of a model's tensors, with the plain weight in the place of what a normalised one is computed from."""
    for name in model.state_dict():
        for part in ("parametrizations.", "_g", "_v", "_orig"):
            if part.endswith(".") and part in name:
                name = name.replace(part, "").rsplit(".original", 1)[0]
            elif name.endswith("weight" + part):
                name = name[: -len(part)]
        yield name


def dense_names(tensors, layers):
    """The names of a file's tensors as they were before it was compressed."""
    factored = [layer["name"] for layer in layers if layer["structure"] != "dense"]
    names = [name for name in tensors if not any(name.startswith(layer + ".") for layer in factored)]
    return names + [name + ".weight" for name in factored] + factored


def renaming(known, names):
    """What is taken from the beginning of a file's names, and what is put there, so that most of them are the model's."""
    strips, strip = [""], ""
    while True:
        heads = {name[len(strip):].split(".")[0] for name in names}
        if len(heads) != 1 or not heads <= set(WRAPPERS):
            break
        strip += heads.pop() + "."
        strips.append(strip)
    adds = [""] + [wrapper + "." for wrapper in WRAPPERS if any(name.startswith(wrapper + ".") for name in known)]
    pairs = [(strip, add) for strip in strips for add in adds]
    return max(pairs, key=lambda pair: sum(pair[1] + name[len(pair[0]):] in known for name in names))


def make_plain(model):
    """Takes weight_norm and spectral_norm off: a compressed file holds the weights that they stand for."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
        for hook in list(module._forward_pre_hooks.values()):
            if type(hook).__name__ == "WeightNorm":
                nn.utils.remove_weight_norm(module, hook.name)
            elif type(hook).__name__ == "SpectralNorm":
                nn.utils.remove_spectral_norm(module, hook.name)
                # PyTorch leaves the hook behind that asks for the parts of the weight when a state is loaded.
                for key, own in list(module._load_state_dict_pre_hooks.items()):
                    if type(getattr(own, "hook", own)).__name__ == "SpectralNormLoadStateDictPreHook":
                        del module._load_state_dict_pre_hooks[key]


# The record


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
    order = len(kernel) - 2
    own = {"stage": "convolution", "kernel": kernel, "groups": 1, "batch": 1, "dilation": [1] * order,
           "stride": [1] * order, "padding": [0] * order, "output_padding": [0] * order}
    for option in options:
        # Strides and padding of what is not transposed are those of the model's own module.
        if option == "t":
            own["transposed"] = True
        elif option in ("same", "same_lower", "causal"):
            own["padding"] = option
        elif option[0] in "gb":
            own["groups" if option[0] == "g" else "batch"] = int(option[1:])
        elif option[0] in "sdo":
            own[{"s": "stride", "d": "dilation", "o": "output_padding"}[option[0]]] = numbers(option[1:])
        elif option[0] == "p":
            own["padding"] = numbers(option[1:].split(":")[0])
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


# Replacing


class Factored(nn.Sequential):
    """The stages of a layer, one after the other, in the place of the layer. It has the `weight` and the `bias` that they stand for, for
    modules that read those of their parts."""

    __jit_unused_properties__ = ["weight", "bias"]

    def __init__(self, modules, layer, flattens):
        super().__init__(modules)
        self.order = len(layer["dense"][0]["kernel"]) - 2
        self.flattens = flattens
        self.layer = layer

    def forward(self, input):
        # The stages count on a batch, and linear ones on nothing but a batch.
        shape = input.shape
        is_alone = self.order > 0 and input.dim() == self.order + 1
        if is_alone:
            input = input.unsqueeze(0)
        if self.flattens:
            input = input.reshape(-1, shape[-1])
        for module in self:
            input = module(input)
        if self.flattens:
            input = input.reshape(list(shape[:-1]) + [input.shape[-1]])
        return input.squeeze(0) if is_alone else input

    @property
    def weight(self):
        return composed(self.layer, self._modules)

    @property
    def bias(self):
        return bias_of(self._modules)


def composed(layer, modules):
    """The kernel that the stages of a layer stand for, in PyTorch's order: what they make of an impulse in every input channel."""
    dense = layer["dense"][0]
    order = len(dense["kernel"]) - 2
    like = next(module.weight for module in modules.values() if isinstance(getattr(module, "weight", None), torch.Tensor))
    channels = dense["kernel"][1] * dense["groups"]
    result = torch.eye(channels, dtype=like.dtype, device=like.device).reshape(channels, channels, *[1] * order)
    position, is_transposed = 0, False
    for place, stage in enumerate(layer["stages"]):
        kind = stage["stage"]
        if kind == "convolution":
            weight = modules[str(position)].weight
            own_transposed = stage.get("transposed", False)
            is_transposed |= own_transposed
            batch, inputs = stage["batch"], stage["kernel"][1] * stage["groups"]
            extents = result.shape[2:]
            result = result.reshape(-1, inputs, *extents)
            if order == 0:
                result = F.linear(result, weight)
            elif own_transposed:
                function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[order - 1]
                result = function(result, weight, groups=stage["groups"])
            else:
                dilation = [max(1, own // whole) for own, whole in zip(stage["dilation"], dense["dilation"])]
                padding = [step * (taps - 1) for step, taps in zip(dilation, stage["kernel"][2:])]
                function = (F.conv1d, F.conv2d, F.conv3d)[order - 1]
                result = function(result, weight, None, 1, padding, dilation, stage["groups"])
            result = result.reshape(-1, batch * stage["kernel"][0], *result.shape[2:])
        elif kind == "permutation":
            axes = stage["axes"]
            seen = result.reshape(result.shape[0], *axes, *result.shape[2:])
            places = [0] + [1 + axis for axis in stage["order"]] + list(range(1 + len(axes), seen.dim()))
            result = seen.permute(places).reshape(result.shape)
        elif place and layer["stages"][place - 1]["stage"] == "convolution" and layer["stages"][place - 1]["batch"] == 1:
            continue
        position += 1
    if not is_transposed and order:
        result = result.flip(list(range(2, 2 + order)))
    if is_transposed or layer.get("is_input_first", False):
        return result
    result = result.transpose(0, 1)
    groups = dense["groups"]
    if groups > 1:
        out, inputs = result.shape[0] // groups, result.shape[1] // groups
        blocks = [result[i * out:(i + 1) * out, i * inputs:(i + 1) * inputs] for i in range(groups)]
        result = torch.cat(blocks)
    return result


def bias_of(modules):
    """The bias that the stages of a layer add, if any."""
    for module in modules.values():
        if isinstance(getattr(module, "bias", None), torch.Tensor):
            return module.bias
    return None


def replace(model, layer, tensors, ties, path):
    """Puts the factored form in the place of the layer's module."""
    name = layer["name"]
    parent, _, leaf = name.rpartition(".")
    try:
        module = model.get_submodule(name)
    except AttributeError:
        owner = owner_of(model, parent, leaf)
        if owner is None:
            raise ValueError(f"{path}: the model has no module {name!r}, which the file holds compressed") from None
        if owner is model and leaf == "weight":
            return compose(model, model, "weight", stages_of(layer, model, tensors, "", path), layer)
        check_shape(name, owner._parameters[leaf], layer, False, path)
        parts = sequence(layer, None, True)
        return compose(owner, None, leaf, parts, layer)
    if isinstance(module, nn.Sequential):
        raise ValueError(f"{path}: {name!r} is a Sequential; the model seems to be converted already, begin with a new one")
    shared = [other for kind in ("weight", "bias") for other in ties.get(f"{name}.{kind}", ())]
    if shared:
        raise ValueError(f"{path}: {name!r} is compressed, and the model uses its weight as {shared[0]!r} too; plan with --modules")
    parts = stages_of(layer, module, tensors, name + ".", path)
    if is_stock(module):
        flattens = layer["is_linear"] and any(stage["stage"] == "permutation" or stage.get("batch", 1) > 1
                                              for stage in layer["stages"])
        parts = Factored(OrderedDict(parts.named_children()), layer, flattens)
        setattr(model.get_submodule(parent), leaf, parts.to(module.weight.device, module.weight.dtype).train(module.training))
    else:
        # Its class does something of its own with its weight, which is put together for it.
        compose(module, module, "weight", parts, layer)


def owner_of(model, parent, leaf):
    """The module that has a kernel under a name of its own; nil where there is none."""
    try:
        owner = model.get_submodule(parent)
    except AttributeError:
        return None
    return owner if isinstance(owner._parameters.get(leaf), torch.Tensor) else None


def is_stock(module):
    """Whether a module does what its class in PyTorch does."""
    for stock in (nn.Linear, *CONVOLUTIONS.values(), *TRANSPOSED.values()):
        if isinstance(module, stock):
            own = type(module)
            return own.forward is stock.forward and getattr(own, "_conv_forward", 0) is getattr(stock, "_conv_forward", 0)
    return True


def stages_of(layer, module, tensors, prefix, path):
    """The stages of a layer as stock modules, with the settings of the module that they replace."""
    name, is_transposed = layer["name"], isinstance(module, tuple(TRANSPOSED.values()))
    layer["is_input_first"] = is_transposed_linear(module)
    layer["is_linear"] = isinstance(module, nn.Linear) or layer["is_input_first"]
    if not layer["is_linear"] and not is_transposed and not isinstance(module, tuple(CONVOLUTIONS.values())):
        raise ValueError(f"{path}: {name!r} is a {type(module).__name__}, not a convolution or a linear layer")
    check_shape(name, module.weight, layer, is_transposed or layer["is_input_first"], path)
    if not layer["is_linear"] and module.groups != layer["dense"][0]["groups"]:
        raise ValueError(f"{path}: {name!r} has {module.groups} groups, and the file's has {layer['dense'][0]['groups']}; "
                         "plan with --modules")
    if is_transposed != layer["dense"][0].get("transposed", False):
        raise ValueError(f"{path}: {name!r} is a {type(module).__name__}, and the file's is none; plan with --modules")
    for place, stage in enumerate(layer["stages"]):
        weight = f"{prefix}{place}.weight"
        if stage.get("transposed", False) and stage["groups"] == 1 and weight in tensors:
            tensors[weight] = tensors[weight].transpose(0, 1).contiguous()
    return sequence(layer, module, layer["is_linear"])


def check_shape(name, weight, layer, is_input_first, path):
    expected = list(layer["dense"][0]["kernel"])
    if is_input_first:
        expected[:2] = reversed(expected[:2])
    if list(weight.shape) != expected:
        raise ValueError(f"{path}: {name!r} has a weight of {list(weight.shape)}, the file's is {expected}")


def compose(owner, module, leaf, parts, layer):
    """Lets a module keep its class and read its weight as before, which now is put together of its factors."""
    original = type(owner)
    like = owner._parameters[leaf]
    parts.to(like.device, like.dtype).train(owner.training)
    members = {leaf: property(lambda self: composed(layer, self._modules if module is not None else self._modules[leaf]._modules))}
    del owner._parameters[leaf]
    if module is None:
        owner._modules[leaf] = parts
    else:
        for key, part in parts.named_children():
            if len(part.state_dict()):
                owner._modules[key] = part
        if owner._parameters.get("bias") is not None:
            members["bias"] = property(lambda self: bias_of(self._modules))
            del owner._parameters["bias"]
    if isinstance(owner, nn.RNNBase):
        # It keeps a list of its weights, which would be those of the last step.
        def forward(self, *arguments, **options):
            self._flat_weights = [getattr(self, name) for name in self._flat_weights_names]
            try:
                return original.forward(self, *arguments, **options)
            finally:
                self._flat_weights = []

        def forget(self):
            self._flat_weights, self._flat_weight_refs = [], []

        members.update(forward=forward, _init_flat_weights=forget, flatten_parameters=lambda self: None,
                       _update_flat_weights=lambda self: None)
        owner._flat_weights = []
    owner.__class__ = type(original.__name__, (original,), members)


def sequence(layer, module, linear):
    """The stages as stock modules. Those with weights are named by the positions of their stages."""
    stages = layer["stages"]
    windows = iter(divide(stages, layer["dense"][0], module)) if not linear else None
    mode = "zeros" if linear else module.padding_mode
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
                own = convolution(stage, next(windows), bias, mode)
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
    if isinstance(module, tuple(TRANSPOSED.values())):
        # Which of them runs transposed along which axis stands in the record.
        return [{"stride": stage["stride"], "before": stage["padding"], "after": stage["padding"], "dilation": stage["dilation"]}
                for stage in convolutions]
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


def convolution(stage, window, bias, mode):
    """A convolution, behind a border where its padding differs between the two ends of an axis or is no zeros."""
    kernel, groups = stage["kernel"], stage["groups"]
    order = len(kernel) - 2
    own = []
    padding = window["before"]
    if stage.get("transposed", False):
        return [("", TRANSPOSED[order](
            kernel[1] * groups, kernel[0], tuple(kernel[2:]), tuple(window["stride"]), tuple(padding),
            tuple(stage["output_padding"]), groups, bias, tuple(window["dilation"])))]
    if window["before"] != window["after"] or mode != "zeros" and any(padding):
        # Borders are given from the last axis on.
        border = tuple(x for pair in zip(reversed(window["before"]), reversed(window["after"])) for x in pair)
        own.append(("_pad", PADS[mode][order](border, 0.0) if mode == "zeros" else PADS[mode][order](border)))
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
