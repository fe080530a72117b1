"""tune takes the steps that PyTorch takes, and rosa's adapters are what PEFT makes of them."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from conftest import kcompress

torch.manual_seed(5)


class Small(nn.Module):
    """Every layer that a convolutional network usually has: strides, groups, a depthwise stage, a shortcut, both poolings."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, (3, 2), (2, 1), (1, 0), groups=2)
        self.linear = nn.Linear(16, 5)
        for norm in (self.bn1, self.bn2):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x + F.relu(self.bn2(self.depthwise(x))), 2)
        x = torch.tanh(self.conv2(x))
        return self.linear(x.mean((2, 3)))


def onnx_of(model, path):
    tensors = {n: t.detach().numpy() for n, t in model.state_dict().items() if "num_batches" not in n}
    node = helper.make_node

    def conv(name, source, target, bias=True, **attributes):
        return node("Conv", [source, f"{name}.weight"] + ([f"{name}.bias"] if bias else []), [target], name=name, **attributes)

    def norm(name, source, target):
        parts = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        return node("BatchNormalization", [source, *parts], [target], name=name, epsilon=1e-5)

    nodes = [
        conv("conv1", "x", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), norm("bn1", "a", "b"), node("Relu", ["b"], ["c"]),
        conv("depthwise", "c", "d", bias=False, kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8), norm("bn2", "d", "e"),
        node("Relu", ["e"], ["f"]), node("Add", ["c", "f"], ["g"]),
        node("MaxPool", ["g"], ["h"], kernel_shape=[2, 2], strides=[2, 2]),
        conv("conv2", "h", "i", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 0], group=2), node("Tanh", ["i"], ["j"]),
        node("GlobalAveragePool", ["j"], ["k"]), node("Flatten", ["k"], ["l"]),
        node("Gemm", ["l", "linear.weight", "linear.bias"], ["y"], name="linear", transB=1),
    ]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 12, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(t, n) for n, t in tensors.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.mark.parametrize("statistics", ["stored", "batch"])
@pytest.mark.parametrize("optimizer", ["nesterov", "adamw"])
def test_steps_are_pytorchs(tmp_path, statistics, optimizer):
    # Whatever ran before: not every start has a first epoch that helps the samples held out.
    torch.manual_seed(1)
    learned, held, epochs, temperature, rate = 32, 16, 4, 2.0, {"nesterov": 0.02, "adamw": 2e-3}[optimizer]
    teacher, student = Small().eval(), Small()
    with torch.no_grad():
        for own, other in zip(student.parameters(), teacher.parameters()):
            own.copy_(other + 0.1 * torch.randn_like(other))
        for own, other in zip(student.buffers(), teacher.buffers()):
            own.copy_(other)
    onnx_of(teacher, tmp_path / "teacher.onnx")
    onnx_of(student, tmp_path / "student.onnx")
    x = torch.randn(learned + held, 3, 12, 10)
    np.savez(tmp_path / "data.npz", inputs=x.numpy())
    result = kcompress(
        "tune", tmp_path / "student.onnx", "--original", tmp_path / "teacher.onnx", "--data", tmp_path / "data.npz",
        "--epochs", epochs, "--batch", learned, "--held-out", held / (learned + held), "--optimizer", optimizer, "--rate", rate,
        "--schedule", "constant", "--temperature", temperature, "--clip", 0, "--statistics", statistics, "--decay", 0.01,
        "-o", tmp_path / "tuned.onnx")
    best = result["best_epoch"]
    assert best > 0

    student.train(statistics == "batch")
    vectors = [p for p in student.parameters() if p.dim() < 2]
    groups = [
        dict(params=[p for p in student.parameters() if p.dim() >= 2], weight_decay=0.01), dict(params=vectors, weight_decay=0)]
    steps = (
        torch.optim.AdamW(groups, lr=rate) if optimizer == "adamw"
        else torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True))
    with torch.no_grad():
        expected = F.softmax(teacher(x[:learned]) / temperature, 1)
    for epoch in range(epochs):
        steps.zero_grad()
        found = F.log_softmax(student(x[:learned]) / temperature, 1)
        loss = F.kl_div(found, expected, reduction="batchmean") * temperature**2
        assert result["epochs"][epoch + 1]["loss"] == pytest.approx(loss.item(), rel=1e-3)
        loss.backward()
        steps.step()
        if epoch + 1 == best:
            kept = {name: tensor.clone() for name, tensor in student.state_dict().items() if "num_batches" not in name}

    tuned = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "tuned.onnx").graph.initializer}
    for name, tensor in kept.items():
        # The batch's mean takes this bias away: its gradient is rounding, of which Adam makes whole steps.
        if name == "conv1.bias" and statistics == "batch" and optimizer == "adamw":
            continue
        np.testing.assert_allclose(tuned[name], tensor.numpy(), rtol=2e-3, atol=2e-4, err_msg=name)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(6, 8, (3, 1)), nn.ReLU(), nn.Conv2d(8, 4, 1))
        self.linear = nn.Linear(4, 7)

    def forward(self, x):
        return self.linear(self.block(torch.relu(self.conv1(x))).mean((2, 3)))


@pytest.mark.parametrize("draw", ["subset", "window", "top", "bottom"])
def test_peft_loads_the_adapter(tmp_path, draw):
    from peft import PeftModel

    model = Plain().eval()
    x = torch.randn(4, 3, 8, 8)
    expected = model(x)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    result = kcompress(
        "rosa", "split", tmp_path / "model.safetensors", "--rank", 2, "--rank", "block.0=3", "--draw", draw, "-o",
        tmp_path / "frozen.safetensors", "--adapter", tmp_path / "adapter")
    assert {layer["name"]: layer["rank"] for layer in result["layers"]} == {
        "conv1": 2, "block.0": 3, "block.2": 2, "linear": 2}
    model.load_state_dict(load_file(tmp_path / "frozen.safetensors"))
    assert (model(x) - expected).abs().max() > 1e-3
    adapted = PeftModel.from_pretrained(model, tmp_path / "adapter").eval()
    torch.testing.assert_close(adapted(x), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(adapted.merge_and_unload()(x), expected, rtol=1e-5, atol=1e-5)

    kcompress("rosa", "merge", tmp_path / "frozen.safetensors", "--factors", result["factors"], "-o", tmp_path / "merged.safetensors")
    merged, original = load_file(tmp_path / "merged.safetensors"), load_file(tmp_path / "model.safetensors")
    for name, tensor in original.items():
        torch.testing.assert_close(merged[name], tensor, rtol=1e-6, atol=1e-6)
