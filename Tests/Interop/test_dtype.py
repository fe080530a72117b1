"""--dtype: what is stored in another type takes the bytes that the plan says, and frameworks compute the same from it."""

import h5py
import keras
import numpy as np
import onnx
import pytest
from safetensors import safe_open

from conftest import FIXTURES, LATER_BLOCKS, QUICK, compress, inference_session, kcompress, shared
from test_keras import check_same_outputs, digits


@pytest.mark.parametrize("structure", ["sekron", "cp", "tt"])
def test_keras(tmp_path, structure):
    path, plan = compress(FIXTURES / "digits.h5", tmp_path, 70_000, "--structures", structure, "--dtype", "f16")
    assert plan["predicted"]["bytes"] <= 70_000
    assert {layer["structure"] for layer in plan["layers"]} == {structure, "dense"}
    with h5py.File(path) as file:
        kinds = set()
        file.visititems(lambda _, item: kinds.add(str(item.dtype)) if isinstance(item, h5py.Dataset) else None)
    assert kinds == {"float16"}
    check_same_outputs(path, digits(), tmp_path)
    assert kcompress("verify", path)["passed"]


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_keras_archive(tmp_path, dtype):
    checkpoint = shared("keras3_mnist/model.keras")
    x = np.load(shared("keras3_mnist/model.reference.npz"))["inputs"]
    path, _ = compress(checkpoint, tmp_path, 300_000, "--dtype", dtype, *QUICK)
    check_same_outputs(path, x, tmp_path, ["keras3"])


def run(path, x):
    session = inference_session(path)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("structure", ["sekron", "cp"])
def test_onnx(tmp_path, structure, dtype):
    checkpoint = shared("cifar_resnet/resnet20.onnx")
    if dtype == "bf16" and onnx.load(checkpoint).opset_import[0].version < 13:
        pytest.skip("the model's opset has no bfloat16")
    x = np.load(shared("cifar_resnet/resnet20.reference.npz"))["inputs"][:8]
    path, plan = compress(checkpoint, tmp_path, 480_000, "--structures", structure, "--dtype", dtype, *LATER_BLOCKS)
    assert sum(layer["structure"] == structure for layer in plan["layers"]) >= 4
    onnx.checker.check_model(str(path), full_check=True)
    reference = tmp_path / "reference.npz"
    np.savez(reference, inputs=x, outputs=run(path, x))
    assert kcompress("verify", path, "--reference", reference, "--max-discrepancy", "1e-4")["passed"]
    assert kcompress("verify", path)["passed"]


def test_onnx_is_halved(tmp_path):
    """Without any structure a file of half the size computes nearly the same."""
    checkpoint = shared("cifar_resnet/resnet20.onnx")
    size = checkpoint.stat().st_size
    path, _ = compress(checkpoint, tmp_path, size * 6 // 10, "--keep", "*", "--dtype", "f16")
    assert path.stat().st_size < size * 55 // 100
    x = np.load(shared("cifar_resnet/resnet20.reference.npz"))["inputs"][:8]
    expected, half = run(checkpoint, x), run(path, x)
    assert np.linalg.norm(half - expected) <= 5e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("dtype, name", [("f16", "F16"), ("bf16", "BF16")])
def test_safetensors(tmp_path, dtype, name):
    checkpoint = shared("cifar_resnet/resnet20.safetensors")
    graph = shared("cifar_resnet/resnet20.onnx")
    options = ["--dtype", dtype, "--graph", graph, "--structures", "cp,tt"]
    path, plan = compress(checkpoint, tmp_path, 480_000, *options, *LATER_BLOCKS)
    assert sum(layer["structure"] != "dense" for layer in plan["layers"]) >= 4
    with safe_open(path, "np") as file:
        kinds = {file.get_slice(key).get_dtype() for key in file.keys()}
    assert kinds <= {name, "I64"}
    assert kcompress("verify", path, "--graph", graph)["passed"]
