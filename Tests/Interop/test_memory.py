"""Peak memory of apply and verify: no more than a few times the bytes of the layers, whatever taps, activations or samples are many."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import PROGRAM

# A process of a framework's size hands its own peak to what it starts, so a small one stands between.
PEAK = """import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
sys.stderr.write(done.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)"""


def peak(*arguments):
    """The most memory that a command had, in bytes."""
    done = subprocess.run(
        # Every thread has activations of its own.
        [sys.executable, "-I", "-S", "-c", PEAK, PROGRAM, *map(str, arguments), "--threads", "2"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


def model(folder, operator, shape, inputs, **attributes):
    """A network of one layer with random weights."""
    weight = np.random.default_rng(0).normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w.weight"], ["y"], **attributes)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(weight, "w.weight")])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path, weight.nbytes


LAYERS = {
    # Its identity in double precision would be 3.2 GB.
    "wide": ("Gemm", (64, 20000), ["n", 20000], dict(transB=1)),
    # Taps far apart, and activations that are much larger than the layer.
    "dilated": ("Conv", (128, 128, 3), ["n", 128, 9000], dict(dilations=[4096], pads=[4096, 4096])),
    # Windows of a plane, dilated as in atrous pyramids.
    "atrous": ("Conv", (64, 512, 3, 3), ["n", 512, 33, 33], dict(dilations=[18, 18], pads=[18, 18, 18, 18])),
    # As the first linear layer of VGG: what grows with the layer is held once.
    "large": ("Gemm", (512, 16384), ["n", 16384], dict(transB=1)),
    "large, input channels first": ("MatMul", (16384, 512), ["n", 16384], {}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_little_more_than_the_layer(name, tmp_path):
    operator, shape, inputs, attributes = LAYERS[name]
    path, dense = model(tmp_path, operator, shape, inputs, **attributes)
    plan, output = tmp_path / "plan.json", tmp_path / "compressed.onnx"
    # The aim is 100 MB beside the layer; what the allocator keeps differs by some MB from run to run.
    limit = 3 * dense + 115e6
    peak("plan", path, "--at", "50%", "--structures", "svd", "-o", plan)
    assert peak("apply", plan, "-o", output, "--report", tmp_path / "report.html") <= limit
    assert peak("verify", output) <= limit
