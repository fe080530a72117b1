"""The printed loader puts compressed safetensors files into the user's own PyTorch classes, which then compute what the engine computes."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from conftest import LATER_BLOCKS, compress, kcompress, shared

torch.manual_seed(3)
STRUCTURES = ["svd", "sekron", "gkpd", "tt", "tr", "cp", "tucker"]


class Block(nn.Module):
    """A residual block for CIFAR with a shortcut without weights."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.grows = inputs != outputs
        self.border = outputs // 4

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.grows:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.border, self.border))
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for number, (outputs, stride) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
            layers = [Block(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(blocks)]
            setattr(self, f"layer{number}", nn.Sequential(*layers))
            inputs = outputs
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        y = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(y.mean((2, 3)))


@pytest.mark.parametrize(
    "structure, with_graph", [(structure, True) for structure in STRUCTURES] + [("sekron", False), ("tr", False)])
def test_resnet20(tmp_path, load_compressed, structure, with_graph):
    checkpoint, graph = shared("cifar_resnet/resnet20.safetensors"), shared("cifar_resnet/resnet20.onnx")
    options = LATER_BLOCKS + (["--graph", graph] if with_graph else [])
    path, plan = compress(checkpoint, tmp_path, 850_000, "--structures", structure, *options)
    assert sum(layer["structure"] == structure for layer in plan["layers"]) >= 4
    model = ResNet(3).eval()
    load_compressed(model, path)
    again = ResNet(3).eval()
    load_compressed(again, path)
    again.load_state_dict(model.state_dict(), strict=True)
    # These counters came with PyTorch 1.0; the file is older.
    names = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    assert names == set(load_file(path))
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        y = model(x)
        assert torch.equal(y, again(x))
    if with_graph:
        reference = tmp_path / "torch.npz"
        np.savez(reference, inputs=x.numpy(), outputs=y.numpy())
        verdict = kcompress("verify", path, "--graph", graph, "--reference", reference, "--max-discrepancy", "1e-4")
        assert verdict["passed"]
    check_dense(tmp_path, ResNet(3).eval(), model, x)


def test_resnet32(tmp_path, load_compressed):
    """The way of the README, with all structures, for an export whose names are PyTorch's; later blocks of a stage are like its first."""
    checkpoint, graph = shared("cifar_resnet/resnet32.safetensors"), shared("cifar_resnet/resnet32.onnx")
    kept = [option for block in (1, 2, 3, 4) for option in ("--keep", f"layer?.{block}.*")]
    path, plan = compress(checkpoint, tmp_path, 1_750_000, "--graph", graph, *kept)
    assert sum(layer["structure"] != "dense" for layer in plan["layers"]) >= 3
    assert kcompress("verify", path, "--graph", graph)["passed"]
    model = load_compressed(ResNet(5).eval(), path)
    x = torch.randn(4, 3, 32, 32)
    reference = tmp_path / "torch.npz"
    with torch.no_grad():
        np.savez(reference, inputs=x.numpy(), outputs=model(x).numpy())
    assert kcompress("verify", path, "--graph", graph, "--reference", reference, "--max-discrepancy", "1e-4")["passed"]


def check_dense(folder, original, factored, x):
    """What --dense writes, in the original class, computes what the factors compute."""
    dense = folder / "dense.safetensors"
    kcompress("apply", folder / "model.plan.json", "--dense", "-o", dense, "--report", folder / "dense.html")
    original.load_state_dict(load_file(dense), strict=True)
    with torch.no_grad():
        expected, y = original(x), factored(x)
    assert (y - expected).norm() <= 1e-4 * expected.norm()


class Shapes(nn.Module):
    """Convolutions with every kind of window, over one to three axes, and linear layers."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.b = nn.Conv2d(16, 24, (3, 5), padding="same", dilation=(2, 1))
        self.c = nn.Conv2d(24, 16, 4, padding="same", bias=False)
        self.d = nn.Conv2d(16, 32, 1, stride=2)
        self.e = nn.Conv1d(32, 16, 9, padding=4, stride=3)
        self.f = nn.Conv3d(16, 16, 3, padding=1)
        self.g = nn.Linear(16, 32)
        self.h = nn.Linear(32, 16, bias=False)

    def forward(self, x):
        x = self.d(self.c(F.relu(self.b(self.a(x)))))
        x = self.e(x.flatten(2))
        x = self.f(x.reshape(x.shape[0], 16, 1, 3, -1))
        return self.h(torch.tanh(self.g(x.mean((2, 3, 4)))))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_windows(tmp_path, load_compressed, structure):
    model = Shapes().eval()
    checkpoint = tmp_path / "model.safetensors"
    save_file(model.state_dict(), checkpoint)
    path, plan = compress(checkpoint, tmp_path, int(checkpoint.stat().st_size * 0.62), "--structures", structure)
    compressed = [layer["name"] for layer in plan["layers"] if layer["structure"] != "dense"]
    assert len(compressed) >= 2
    factored = load_compressed(Shapes().eval(), path)
    check_dense(tmp_path, Shapes().eval(), factored, torch.randn(3, 8, 24, 24))


def test_what_does_not_fit(tmp_path, load_compressed):
    checkpoint = tmp_path / "model.safetensors"
    save_file(Shapes().state_dict(), checkpoint)
    with pytest.raises(ValueError, match="no compressed layers"):
        load_compressed(Shapes(), checkpoint)
    path, _ = compress(checkpoint, tmp_path, int(checkpoint.stat().st_size * 0.62), "--structures", "tucker")
    with pytest.raises(ValueError, match="no module"):
        load_compressed(nn.Linear(2, 2), path)
