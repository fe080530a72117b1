"""PyTorch's own files are read as torch.load reads them; exports that fold batch normalisation are understood."""

import argparse
import collections
import json
import os
import subprocess

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from conftest import PROGRAM, kcompress

torch.manual_seed(5)


def written(folder, checkpoint, *options):
    """The tensors of a checkpoint as kcompress writes them when nothing is compressed."""
    plan = folder / f"{checkpoint.name}.plan.json"
    kcompress("plan", checkpoint, "--budget", "1GB", "--structures", "svd", "--keep", "*", "-o", plan, *options)
    kcompress("apply", plan, "-o", folder / "o.safetensors", "--report", folder / "r.html", "--overwrite")
    return load_file(folder / "o.safetensors")


def network():
    return nn.Sequential(collections.OrderedDict(
        conv=nn.Conv2d(3, 16, 3), bn=nn.BatchNorm2d(16), wide=nn.Conv2d(16, 32, 3), fc=nn.Linear(32, 10)))


@pytest.mark.parametrize("form", [{}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}])
def test_views_and_types(tmp_path, form):
    x = torch.arange(240.0).reshape(8, 30)
    state = {"fc.weight": x, "turned.weight": x.t(), "part": x[2:5, 3:9], "step": x[::2, ::3], "one": torch.tensor(3.5),
             "wide": torch.arange(4.0).reshape(4, 1).expand(4, 6), "none": torch.zeros(0, 4), "half": x.half(),
             "bf": x.bfloat16(), "double": x.double(), "bool": x > 3, "bytes": x.to(torch.uint8), "long": x.long(),
             "complex": torch.complex(x, x), "parameter": nn.Parameter(torch.ones(3, 2))}
    torch.save(state, tmp_path / "m.pt", **form)
    tensors = written(tmp_path, tmp_path / "m.pt")
    assert set(tensors) == set(state)
    for name, tensor in state.items():
        assert tensors[name].dtype == tensor.dtype and torch.equal(tensors[name], tensor.detach()), name


def test_training_checkpoint(tmp_path):
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = {"epoch": 2, "state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()],
             "hyper_parameters": argparse.Namespace(lr=1e-3)}
    torch.save(state, tmp_path / "m.ckpt")
    tensors = written(tmp_path, tmp_path / "m.ckpt")
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    torch.save({"model": model.state_dict(), "ema": network().state_dict()}, tmp_path / "m.pt")
    done = subprocess.run([PROGRAM, "inspect", tmp_path / "m.pt"], capture_output=True, text=True)
    assert done.returncode == 2 and "--prefix model" in done.stderr
    assert torch.equal(written(tmp_path, tmp_path / "m.pt", "--prefix", "model")["fc.weight"], model.fc.weight)


class Call:
    def __reduce__(self):
        return os.system, ("true",)


def test_nothing_is_run(tmp_path):
    for name, value in [("call", {"state_dict": network().state_dict(), "x": Call()}), ("whole", network())]:
        torch.save(value, tmp_path / f"{name}.pt")
        done = subprocess.run([PROGRAM, "inspect", tmp_path / f"{name}.pt"], capture_output=True, text=True)
        assert done.returncode == 2 and ("posix.system" if name == "call" else "state_dict()") in done.stderr


class Kinds(nn.Module):
    """Modules that a state dict does not tell apart."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 32, 3, padding=1, padding_mode="circular")
        self.b = nn.BatchNorm2d(32)
        self.g = nn.Conv2d(32, 64, 3, padding=1, groups=2)
        self.t = nn.ConvTranspose2d(64, 32, 4, 2, 1)
        self.n = nn.utils.weight_norm(nn.Conv2d(32, 32, 3, stride=2))
        self.e = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.r = nn.GRU(32, 32, batch_first=True)
        self.emb = nn.Embedding(10, 32)
        self.head = nn.Linear(32, 10, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, x):
        y = F.relu(self.t(F.relu(self.g(F.relu(self.b(self.a(x)))))))
        y = self.e(F.relu(self.n(y)).mean(3).transpose(1, 2))
        return self.head(self.r(y)[0])


def test_every_kind_of_module(tmp_path, loader):
    model = Kinds().eval()
    torch.save(model.state_dict(), tmp_path / "m.pt")
    loader.write_modules(model, tmp_path / "m.modules.json")
    wanted = ["a", "g", "t", "n", "e.linear1", "e.self_attn.in_proj_weight", "e.self_attn.out_proj", "r.weight_ih_l0"]
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"layers": [{"match": name, "min_ratio": 1.3} for name in wanted]}))
    plan = kcompress("plan", tmp_path / "m.pt", "--budget", "1MB", "--structures", "svd", "--recipe", recipe, "-o", tmp_path / "p.json")
    forms = {layer["name"]: layer["structure"] for layer in plan["layers"]}
    assert forms["emb"] == "dense" and {name for name, form in forms.items() if form != "dense"} == set(wanted)
    for options, name in ([], "c"), (["--dense"], "d"):
        kcompress("apply", tmp_path / "p.json", *options, "-o", tmp_path / f"{name}.safetensors", "--report", tmp_path / f"{name}.html")
    factored = loader.load_compressed(Kinds().eval(), tmp_path / "c.safetensors")
    dense = Kinds().eval()
    loader.make_plain(dense)
    dense.load_state_dict(load_file(tmp_path / "d.safetensors"), strict=False)
    x = torch.randn(2, 3, 12, 12)
    with torch.no_grad():
        expected = dense(x)
        assert (factored(x) - expected).norm() <= 1e-5 * expected.norm()


class Folded(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.c2, self.b2 = nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        self.l = nn.Linear(64, 64)
        self.o = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.b2(self.c2(F.relu(self.b1(self.c1(x)))))).flatten(2).transpose(1, 2)
        return self.o(F.relu(self.l(x)).mean(1))


@pytest.mark.parametrize("dynamo", [True, False])
def test_folded_normalisation(tmp_path, loader, dynamo):
    model = Folded().eval()
    for module in (model.b1, model.b2):
        module.running_mean.normal_(0, 0.1)
        module.running_var.uniform_(0.5, 2)
        module.weight.data.uniform_(0.5, 1.5)
        module.bias.data.normal_()
    torch.save(model.state_dict(), tmp_path / "m.pt")
    x = torch.randn(4, 3, 8, 8)
    if dynamo:
        pytest.importorskip("onnxscript")
    graph = tmp_path / "m.onnx"
    torch.onnx.export(model, (x,), str(graph), dynamo=dynamo)
    plan = tmp_path / "p.json"
    kcompress("plan", tmp_path / "m.pt", "--budget", "75kB", "--structures", "svd", "--graph", graph, "-o", plan)
    kcompress("apply", plan, "-o", tmp_path / "c.safetensors", "--report", tmp_path / "r.html")
    compressed = loader.load_compressed(Folded().eval(), tmp_path / "c.safetensors")
    for checkpoint, network in (tmp_path / "m.pt", model), (tmp_path / "c.safetensors", compressed):
        with torch.no_grad():
            np.savez(tmp_path / "torch.npz", inputs=x.numpy(), outputs=network(x).numpy())
        assert kcompress("verify", checkpoint, "--graph", graph, "--reference", tmp_path / "torch.npz",
                         "--max-discrepancy", "1e-4")["passed"]
    with torch.no_grad():
        model.c1.weight[0] += 0.01
    torch.save(model.state_dict(), tmp_path / "other.pt")
    done = subprocess.run([PROGRAM, "inspect", tmp_path / "other.pt", "--graph", graph], capture_output=True, text=True)
    assert done.returncode == 2 and "does not belong" in done.stderr
