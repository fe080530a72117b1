"""Transposed convolutions and convolutions with groups: structures take their places, and frameworks compute what the engine computes."""

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import inference_session, kcompress
from test_layers import RANDOM, randomise


def reduced(path, structures, folder):
    """The file with every layer that can be reduced at three quarters of the size that writing it unchanged takes."""
    plan = folder / "model.plan.json"
    whole = kcompress("plan", path, "--budget", "10MB", "--structures", structures, "-o", plan)
    share = int(0.75 * whole["predicted"]["bytes"])
    planned = kcompress("plan", path, "--budget", share, "--structures", structures, "-o", plan)
    output = folder / f"compressed{path.suffix}"
    applied = kcompress("apply", plan, "-o", output, "--overwrite", "--report", folder / "report.html")
    assert applied["bytes"] == output.stat().st_size == planned["predicted"]["bytes"] <= share
    return output, {layer["name"]: layer["structure"] for layer in planned["layers"]}


def check(path, inputs, outputs, folder):
    reference = folder / "reference.npz"
    np.savez(reference, inputs=inputs, outputs=outputs)
    verdict = kcompress("verify", path, "--reference", reference, "--max-discrepancy", 1e-4)
    assert verdict["passed"], verdict["failures"]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_keras(suffix, tmp_path):
    keras.backend.clear_session()
    model = keras.Sequential([
        keras.Input((4, 5, 32)), keras.layers.Conv2DTranspose(32, 4, strides=2, padding="same", activation="relu"),
        keras.layers.Conv2DTranspose(32, 3, strides=(2, 1), output_padding=(1, 0)),
        keras.layers.Conv2D(64, 3, groups=4, padding="same")])
    randomise(model)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    inputs = RANDOM.normal(0, 1, (3, 4, 5, 32)).astype(np.float32)
    check(path, inputs, np.asarray(model(inputs)), tmp_path)
    output, structures = reduced(path, "svd,tucker", tmp_path)
    assert set(structures.values()) != {"dense"}
    check(output, inputs, np.asarray(keras.models.load_model(output, compile=False)(inputs)), tmp_path)


@pytest.mark.parametrize("structure", ["tucker", "cp"])
def test_onnx(structure, tmp_path):
    def weight(name, *shape):
        return numpy_helper.from_array((RANDOM.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32), name)

    nodes = [
        helper.make_node("ConvTranspose", ["x", "up.weight", "up.bias"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node(
            "ConvTranspose", ["b", "more.weight"], ["c"], strides=[2, 1], output_padding=[1, 0], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "groups.weight"], ["y"], group=4, pads=[1, 1, 1, 1])]
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32, 5, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight("up.weight", 32, 48, 4, 4), weight("up.bias", 48), weight("more.weight", 48, 32, 3, 3),
         weight("groups.weight", 32, 8, 3, 3)])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    inputs = RANDOM.normal(0, 1, (3, 32, 5, 6)).astype(np.float32)

    def run(file):
        return inference_session(file).run(None, {"x": inputs})[0]

    check(path, inputs, run(path), tmp_path)
    output, structures = reduced(path, structure, tmp_path)
    assert structures["up"] == structure
    check(output, inputs, run(output), tmp_path)
