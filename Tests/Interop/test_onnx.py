"""Compressed ONNX files pass the checker, run in onnxruntime, and give there what our engine gives."""

import numpy as np
import onnx
import pytest

from conftest import LATER_BLOCKS, compress, inference_session, kcompress, shared

STRUCTURES = ["svd", "sekron", "gkpd", "tt", "tr", "cp", "tucker"]
# VDSR has 18 layers of one shape: the others than these stay dense.
VDSR_OPEN = {0, 9, 17}
VDSR_KEPT = [option for i in range(18) if i not in VDSR_OPEN for option in ("--keep", f"residual_layer.{i}.conv")]
# The part of the file's size that is left, what stays dense, and how many layers at least are compressed.
MODELS = {
    "cifar_resnet/resnet20": (0.78, LATER_BLOCKS, 4),
    "ultraface/version-slim-320_without_postprocessing": (0.85, [], 1),
    "vdsr/vdsr": (0.93, VDSR_KEPT, len(VDSR_OPEN)),
}


def run(path, inputs):
    session = inference_session(path)
    names = [value.name for value in session.get_inputs()]
    values = inputs if isinstance(inputs, dict) else {names[0]: inputs}
    return {out.name: value for out, value in zip(session.get_outputs(), session.run(None, values))}


def check(path, inputs, folder, checker=True):
    """onnxruntime's outputs are our engine's, to 1e-4."""
    if checker:
        onnx.checker.check_model(str(path), full_check=True)
    outputs = run(path, inputs)
    reference = folder / "reference.npz"
    named = inputs if isinstance(inputs, dict) else {"inputs": inputs}
    np.savez(reference, **named, **outputs)
    verdict = kcompress("verify", path, "--reference", reference, "--max-discrepancy", "1e-4")
    assert verdict["passed"] and len(verdict["outputs"]) == len(outputs)
    return outputs


# VDSR's layers are all alike and large: three structures that need every kind of operator are enough there.
CASES = [(model, structure) for model in MODELS for structure in STRUCTURES
         if not model.startswith("vdsr") or structure in ("sekron", "tr", "gkpd")]


@pytest.mark.parametrize("model, structure", CASES)
def test_real_models(tmp_path, model, structure):
    checkpoint = shared(model + ".onnx")
    inputs = np.load(shared(model + ".reference.npz"))["inputs"]
    part, kept, least = MODELS[model]
    path, plan = compress(checkpoint, tmp_path, int(checkpoint.stat().st_size * part), "--structures", structure, *kept)
    assert sum(layer["structure"] == structure for layer in plan["layers"]) >= least
    check(path, inputs, tmp_path)
    before, after = onnx.load(checkpoint), onnx.load(path)
    assert [i.name for i in before.graph.output] == [i.name for i in after.graph.output]
    assert [(o.domain, o.version) for o in before.opset_import] == [(o.domain, o.version) for o in after.opset_import]
    kept = {node.name for node in before.graph.node} & {node.name for node in after.graph.node}
    assert kept


def test_calibrated(tmp_path):
    """Refitted kernels, dense ones among them, and batch normalisations' means go into the file as the engine has them."""
    samples = shared("cifar10/calibration.npz")
    checkpoint = shared("cifar_resnet/resnet20.onnx")
    prepared = [
        "--input-scale", "0.00392156862745098", "--input-mean", "0.485,0.456,0.406", "--input-std", "0.229,0.224,0.225"]
    path, plan = compress(
        checkpoint, tmp_path, 500_000, "--structures", "cp", "--calibration", samples, "--max-samples", 40, *prepared)
    assert plan["options"]["calibration"]["max_samples"] == 40
    before = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(checkpoint).graph.initializer}
    after = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    moved = [name for name in after if name.endswith("running_mean") and not np.array_equal(before[name], after[name])]
    assert len(moved) >= sum(layer["structure"] != "dense" for layer in plan["layers"])
    images = np.load(samples)["inputs"][-8:]
    images = images if images.shape[1] == 3 else images.transpose(0, 3, 1, 2)
    scaled = (images / 255 - np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)) / np.array(
        [0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    check(path, scaled.astype(np.float32), tmp_path)
