"""Kernels and their company as exporters compute them, kernels used twice, and graphs that cannot be followed throughout."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import compress, kcompress, shared
from test_onnx import check

# What people have, and the layers of each that a structure may replace.
FILES = {
    "cast_shared_bias": 2, "collision_initializer": 3, "collision_values": 2, "conv_bias_computed": 2, "identity_kernel": 1,
    "reshaped_kernel": 2, "weight_norm_in_graph": 2, "torchscript_identity_bias": 2, "matmul_rank1_rank4": 2,
    "nc24_dims_minus1": 1, "pad_fpad_ts_dynhw": 1, "pad_reflect_ts_dynbatch": 1, "marabou239_gemm": 3,
}
SHAPES = {"marabou239_gemm": {"x": (3, 64)}, "matmul_rank1_rank4": {"v": (48,), "x": (48, 3, 5, 64)},
          "pad_reflect_ts_dynbatch": {"x": (2, 16, 12, 13)}}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path, name):
    checkpoint = shared(f"cases/onnx/{name}.onnx")
    random = np.random.default_rng(1)
    shapes = SHAPES.get(name, {"x": (2, 16, 12, 12)})
    inputs = {key: random.random(shape, dtype=np.float32) for key, shape in shapes.items()}
    layers = kcompress("inspect", checkpoint)["layers"]
    assert sum(layer["refusal"] is None for layer in layers) == FILES[name]
    check(checkpoint, inputs, tmp_path, checker=False)
    path, plan = compress(checkpoint, tmp_path, int(checkpoint.stat().st_size * 0.8), "--structures", "svd")
    assert any(layer["structure"] == "svd" for layer in plan["layers"])
    check(path, inputs, tmp_path)


def model(nodes, inputs, outputs, initializers):
    random = np.random.default_rng(2)
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}{axis}" for axis in range(rank)])
         for name, rank in outputs.items()],
        [numpy_helper.from_array(
            value if isinstance(value, np.ndarray) else random.standard_normal(value).astype(np.float32) / 8, name)
         for name, value in initializers.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("operator, gates", [("LSTM", 4), ("GRU", 3)])
def test_recurrent_weights_from_pytorch(tmp_path, operator, gates):
    """The exporter puts the gates into ONNX's order by slices, and stacks the two biases."""
    def part(name, index):
        return helper.make_node(
            "Slice", [name, f"at{index}", f"at{index + 1}", "axis"], [f"{name}.{index}"])

    nodes, order = [], [1, 0, 2] if operator == "GRU" else [0, 3, 1, 2]
    for name in ["w", "r", "bw", "br"]:
        nodes += [part(name, index) for index in range(gates)]
        nodes.append(helper.make_node("Concat", [f"{name}.{index}" for index in order], [f"{name}.o"], axis=0))
    nodes.append(helper.make_node("Concat", ["bw.o", "br.o"], ["b.o"], axis=0))
    nodes += [helper.make_node("Unsqueeze", [f"{name}.o", "axis"], [f"{name}.u"]) for name in ["w", "r", "b"]]
    nodes += [
        helper.make_node(operator, ["x", "w.u", "r.u", "b.u"], ["s"], hidden_size=16, **(
            {"linear_before_reset": 1} if operator == "GRU" else {})),
        helper.make_node("Squeeze", ["s", "one"], ["q"]), helper.make_node("MatMul", ["q", "fc"], ["y"])]
    values = {f"at{index}": np.array([16 * index]) for index in range(gates + 1)}
    values |= {"axis": np.array([0]), "one": np.array([1]), "w": (16 * gates, 12), "r": (16 * gates, 16),
               "bw": (16 * gates,), "br": (16 * gates,), "fc": (16, 64)}
    checkpoint = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": (5, 2, 12)}, {"y": 3}, values), checkpoint)
    inputs = {"x": np.random.default_rng(3).random((5, 2, 12), dtype=np.float32)}
    report = kcompress("inspect", checkpoint)
    assert report["cannot_run"] is None
    assert [layer["refusal"] is None for layer in report["layers"]].count(True) == 1
    check(checkpoint, inputs, tmp_path)


def test_shared_head(tmp_path):
    """One kernel at two places: another bias is no obstacle, another stride is."""
    nodes = [
        helper.make_node("Conv", ["x", "head", "b1"], ["a"], pads=[1] * 4), helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Conv", ["r", "head", "b2"], ["y"], pads=[1] * 4),
        helper.make_node("Conv", ["r", "other"], ["z"], strides=[2, 2]), helper.make_node("Conv", ["r", "other"], ["u"])]
    checkpoint = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": ("n", 32, 9, 9)}, {"y": 4, "z": 4, "u": 4}, {
        "head": (32, 32, 3, 3), "b1": (32,), "b2": (32,), "other": (8, 32, 3, 3)}), checkpoint)
    refusals = {layer["name"]: layer["refusal"] for layer in kcompress("inspect", checkpoint)["layers"]}
    assert refusals["head"] is None and "strides" in refusals["other"]
    inputs = {"x": np.random.default_rng(4).random((3, 32, 9, 9), dtype=np.float32)}
    check(checkpoint, inputs, tmp_path)
    path, plan = compress(checkpoint, tmp_path, int(checkpoint.stat().st_size * 0.7), "--structures", "svd")
    check(path, inputs, tmp_path)
    names = {tensor.name for tensor in onnx.load(path).graph.initializer}
    assert "head" not in names and {"b1", "b2", "other"} <= names


def test_constants_take_the_type(tmp_path):
    """Weights that are Constant nodes are stored as float16 like all others."""
    kernel = numpy_helper.from_array(np.random.default_rng(5).standard_normal((32, 16, 3, 3)).astype(np.float32), "")
    nodes = [helper.make_node("Constant", [], ["w"], value=kernel), helper.make_node("Conv", ["x", "w"], ["y"])]
    checkpoint = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": ("n", 16, 8, 8)}, {"y": 4}, {}), checkpoint)
    plan = tmp_path / "plan.json"
    kcompress("plan", checkpoint, "--budget", "1MB", "--dtype", "f16", "-o", plan)
    kcompress("apply", plan, "-o", tmp_path / "half.onnx")
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * checkpoint.stat().st_size
    check(tmp_path / "half.onnx", {"x": np.random.default_rng(6).random((2, 16, 8, 8), dtype=np.float32)}, tmp_path)
