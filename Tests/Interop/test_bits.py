"""Weights in fewer bits: what kcompress writes loads in PyTorch and onnxruntime and computes there what the engine computes."""

import json
import subprocess

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from safetensors.torch import load_file, save_file
from torch import nn

from conftest import FIXTURES, PROGRAM, compress, inference_session, kcompress

STRUCTURES = ["svd", "sekron", "gkpd", "tt", "tr", "cp", "tucker"]


class Net(nn.Module):
    """Kernels of every kind: of one, two and no spatial axes, with and without a bias, in groups, shared by channels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.grouped = nn.Conv2d(16, 24, 3, stride=2, padding=1, groups=2, bias=False)
        self.conv2 = nn.Conv2d(24, 32, (3, 5), padding=(1, 2))
        self.linear = nn.Linear(32, 40)
        self.out = nn.Linear(40, 7)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.conv2(torch.relu(self.grouped(x))))
        return self.out(torch.relu(self.linear(x.mean((2, 3)))))


def chosen(folder, structures):
    """Options for these structures, which some layers then have: weights drawn at random lose least in their own form."""
    if structures == "none":
        return ["--structures", structures]
    recipe = folder / "recipe.json"
    rules = [{"match": name, "min_ratio": 1.2} for name in ("conv2", "linear")]
    recipe.write_text(json.dumps({"layers": rules}))
    return ["--structures", structures, "--recipe", recipe]


def refusal(*arguments):
    """What a command says that ends with status 2."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def model():
    torch.manual_seed(5)
    net = Net()
    with torch.no_grad():
        net.bn1.running_mean.normal_()
        net.bn1.running_var.uniform_(0.5, 2)
    return net.eval()


def exported(net, path, opset=17):
    torch.onnx.export(net, (torch.zeros(1, 3, 8, 8),), str(path), opset_version=opset, dynamo=False,
                      input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
                      do_constant_folding=False)
    return path


@pytest.mark.parametrize("bits, structures", [(str(bits), "none") for bits in range(2, 9)]
                         + [("6", structure) for structure in STRUCTURES] + [("4,8", "svd,cp,tt")])
def test_pytorch(tmp_path, load_compressed, bits, structures):
    net = model()
    checkpoint = tmp_path / "model.safetensors"
    save_file({k: v for k, v in net.state_dict().items() if v.dim() > 0}, checkpoint)
    graph = exported(net, tmp_path / "model.onnx")
    path, plan = compress(
        checkpoint, tmp_path, int(checkpoint.stat().st_size * 0.36), "--graph", graph, "--bits", bits,
        *chosen(tmp_path, structures))
    assert any(layer["bits"] for layer in plan["layers"])
    if structures != "none":
        assert any(layer["structure"] != "dense" for layer in plan["layers"])
    again = tmp_path / "again.safetensors"
    kcompress("apply", tmp_path / "model.plan.json", "-o", again, "--report", tmp_path / "again.html")
    assert again.read_bytes() == path.read_bytes()
    loaded = Net().eval()
    load_compressed(loaded, path)
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())
    x = torch.randn(6, 3, 8, 8)
    with torch.no_grad():
        np.savez(tmp_path / "torch.npz", inputs=x.numpy(), outputs=loaded(x).numpy())
    verdict = kcompress("verify", path, "--graph", graph, "--reference", tmp_path / "torch.npz", "--max-discrepancy", "1e-4")
    assert verdict["passed"]
    # Integers of a layer that keeps its form are those of its own kernel, as numbers.
    stored = load_file(path)
    for layer in plan["layers"]:
        if layer["structure"] == "dense" and layer["bits"]:
            scale = stored[f"{layer['name']}.weight.scale"].float()
            weight = loaded.state_dict()[f"{layer['name']}.weight"]
            steps = weight / scale.reshape(-1, *[1] * (weight.dim() - 1))
            assert torch.equal(steps, steps.round()) and steps.abs().max() <= 2 ** (layer["bits"] - 1) - 1


@pytest.mark.parametrize("opset, bits, structures", [
    (9, "8", "svd"), (11, "8", "none"), (13, "8", "none"), (17, "8", "svd"), (17, "8", "cp,tt,tucker"), (21, "4", "none"), (21, "4,8", "svd,tucker")])
def test_onnx(tmp_path, opset, bits, structures):
    path = exported(model(), tmp_path / "model.onnx", min(opset, 17))
    if opset > 17:
        converted = onnx.version_converter.convert_version(onnx.load(path), opset)
        converted.ir_version = 10
        onnx.save(converted, path)
    written, plan = compress(path, tmp_path, int(path.stat().st_size * 0.5), "--bits", bits, *chosen(tmp_path, structures))
    assert any(layer["bits"] for layer in plan["layers"])
    result = onnx.load(written)
    onnx.checker.check_model(result, full_check=True)
    widths = {TensorProto.INT8: 8, TensorProto.INT4: 4}
    allowed = {int(b) for b in bits.split(",")}
    assert {widths[t.data_type] for t in result.graph.initializer if t.data_type in widths} <= allowed
    x = np.random.default_rng(1).standard_normal((5, 3, 8, 8)).astype(np.float32)
    session = inference_session(written)
    np.savez(tmp_path / "ort.npz", inputs=x, outputs=session.run(None, {"x": x})[0])
    assert kcompress("verify", written, "--reference", tmp_path / "ort.npz", "--max-discrepancy", "1e-4")["passed"]
    assert kcompress("verify", written, "--original", path)["passed"]


def test_what_a_format_cannot_hold(tmp_path):
    path = exported(model(), tmp_path / "model.onnx", 17)
    # No width is left, so nothing is smaller.
    kcompress("plan", path, "--at", "50%", "--bits", "5", "--structures", "none", "-o", tmp_path / "p.json", status=1)
    plan_path = tmp_path / "model.plan.json"
    _, plan = compress(path, tmp_path, int(path.stat().st_size * 0.6), "--bits", "8", "--structures", "none")
    text = plan_path.read_text().replace('"bits": 8', '"bits": 5')
    plan_path.write_text(text)
    assert "none of 5" in refusal("apply", plan_path, "-o", tmp_path / "five.onnx", "--report", tmp_path / "five.html")


def test_damaged(tmp_path):
    """Integers that do not fit their record are refused, whatever a file says."""
    source = FIXTURES / "digits.safetensors"
    path, plan = compress(source, tmp_path, int(source.stat().st_size * 0.4), "--bits", "4", "--structures", "none")
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    name = next(name for name in tensors if name.endswith(".scale"))
    for change in [lambda t: t * 0, lambda t: t * float("nan"), lambda t: t[:-1].clone(), lambda t: t.float()]:
        bad = tmp_path / "bad.safetensors"
        save_file({**tensors, name: change(tensors[name])}, bad, metadata)
        assert "is damaged" in refusal("verify", bad)
    integers = name.removesuffix(".scale")
    bad = tmp_path / "bad.safetensors"
    save_file({**tensors, integers: tensors[integers][:-1].clone()}, bad, metadata)
    assert "is damaged" in refusal("verify", bad)
