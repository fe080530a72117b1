"""Compressed safetensors files open in the reference library; what was not compressed is bit-identical."""

import json
import re

import numpy as np
import pytest
from safetensors import safe_open

from conftest import FIXTURES, compress, kcompress, shared


def tensors(path):
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


# The largest network with the structures that are searched soonest; the others have all.
@pytest.mark.parametrize(
    "name, options",
    [("digits", []), ("cifar_resnet/resnet20.safetensors", []),
     ("cifar_resnet/resnet56.safetensors", ["--structures", "cp,tucker,tt,svd"])])
def test_half_size(tmp_path, name, options):
    checkpoint = FIXTURES / "digits.safetensors" if name == "digits" else shared(name)
    path, plan = compress(checkpoint, tmp_path, checkpoint.stat().st_size // 2, *options)
    before, metadata_before = tensors(checkpoint)
    after, metadata = tensors(path)
    compressed = {layer["name"] for layer in plan["layers"] if layer["structure"] != "dense"}
    assert compressed

    for key, value in (metadata_before or {}).items():
        assert metadata[key] == value
    record = json.loads(metadata["kcompress"])
    assert {layer["name"] for layer in record["layers"]} == compressed
    kept = 0
    for tensor, value in before.items():
        layer, _, leaf = tensor.rpartition(".")
        if layer in compressed and leaf in ("weight", "bias"):
            assert tensor not in after
            continue
        assert after[tensor].dtype == value.dtype and after[tensor].tobytes() == value.tobytes()
        kept += 1
    assert kept > 5
    # The number in a weight's name is the position of its stage; a permutation takes a position without tensors.
    for layer in record["layers"]:
        expected = {
            f"{layer['name']}.{i}.weight" for i, stage in enumerate(layer["stages"].split(";")) if stage[0] != "+" and ">" not in stage
        }
        found = {t for t in after if re.fullmatch(re.escape(layer["name"]) + r"\.\d+\.weight", t)}
        assert found == expected and len(found) >= 2
    # No other program's record of the bytes: parameters are counted from the file itself.
    assert sum(value.nbytes for value in after.values()) < 0.55 * sum(v.nbytes for v in before.values())

    verdict = kcompress("verify", path, "--original", checkpoint)
    assert verdict["passed"]
    assert all(layer["discrepancy"] <= layer["promised"] + 1e-5 for layer in verdict["layers"])


def test_bias_moves_unchanged(tmp_path):
    path, plan = compress(
        FIXTURES / "digits.safetensors", tmp_path, 110_000, "--structures", "gkpd")
    before, _ = tensors(FIXTURES / "digits.safetensors")
    after, _ = tensors(path)
    moved = 0
    for layer in plan["layers"]:
        name = layer["name"] + ".bias"
        if layer["structure"] != "dense" and name in before:
            biases = [t for t in after if t.startswith(layer["name"] + ".") and t.endswith(".bias")]
            assert len(biases) == 1 and np.array_equal(after[biases[0]], before[name])
            moved += 1
    assert moved
