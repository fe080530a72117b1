"""Networks whose samples do not stand on the first axis of every input, and what verify allows them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import QUICK, compress, inference_session, kcompress, shared

random = np.random.default_rng(5)


def draw(*shape):
    return random.standard_normal(shape).astype(np.float32)


def low_rank(rows, columns, rank=4):
    return (draw(rows, rank) @ draw(rank, columns) / np.sqrt(rank * columns)).astype(np.float32)


def model(path, nodes, inputs, outputs, constants, dtype=TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    onnx.checker.check_model(made)
    onnx.save(made, path)
    return path


def reference(path, folder, **inputs):
    """The network's outputs by onnxruntime, as a file for verify."""
    outputs = inference_session(path).run(None, inputs)
    file = folder / "reference.npz"
    np.savez(file, **inputs, **{f"outputs_{k}": value for k, value in enumerate(outputs)})
    return file, outputs


def with_state(folder):
    """x [samples, 48], state [2, samples, 64] and a rate."""
    node = helper.make_node
    return model(
        folder / "state.onnx",
        [node("MatMul", ["x", "A"], ["a"]), node("Gather", ["s", "zero"], ["s0"], axis=0),
         node("Gather", ["s", "one"], ["s1"], axis=0), node("MatMul", ["s0", "U"], ["u"]), node("Add", ["a", "u"], ["p"]),
         node("Mul", ["p", "rate"], ["q"]), node("Tanh", ["q"], ["t"]), node("Unsqueeze", ["t", "first"], ["t0"]),
         node("Unsqueeze", ["s1", "first"], ["s2"]), node("Concat", ["t0", "s2"], ["next"], axis=0),
         node("MatMul", ["t", "O"], ["y"])],
        [("x", ["N", 48]), ("s", [2, "N", 64]), ("rate", [])], [("y", ["N", 32]), ("next", [2, "N", 64])],
        {"A": low_rank(48, 64), "U": low_rank(64, 64), "O": low_rank(64, 32), "zero": np.array(0), "one": np.array(1),
         "first": np.array([0])})


def sequence(folder):
    """x [steps, samples, 16], h0 and c0 [1, samples, 32]; steps and samples are open."""
    node = helper.make_node
    return model(
        folder / "sequence.onnx",
        [node("LSTM", ["x", "W", "R", "", "", "h0", "c0"], ["y", "h", "c"], hidden_size=32),
         node("Squeeze", ["y", "one"], ["z"]), node("MatMul", ["z", "V"], ["o"])],
        [("x", ["T", "N", 16]), ("h0", [1, "N", 32]), ("c0", [1, "N", 32])],
        [("o", ["T", "N", 48]), ("h", [1, "N", 32]), ("c", [1, "N", 32])],
        {"W": draw(1, 128, 16) / 4, "R": draw(1, 128, 32) / 6, "V": low_rank(32, 48), "one": np.array([1])})


def anchored(folder):
    """anchors [32, 1, 1], the first input, and images of which there may be any number."""
    node = helper.make_node
    return model(
        folder / "anchors.onnx",
        [node("Conv", ["x", "w"], ["a"], pads=[1] * 4), node("Relu", ["a"], ["b"]),
         node("Conv", ["b", "v"], ["c"], pads=[1] * 4), node("Mul", ["c", "anchors"], ["y"])],
        [("anchors", [32, 1, 1]), ("x", ["N", 3, 8, 8])], [("y", ["N", 32, 8, 8])],
        {"w": draw(32, 3, 3, 3) / 5, "v": low_rank(32, 288).reshape(32, 32, 3, 3)})


@pytest.mark.parametrize("make, inputs", [
    (with_state, lambda: dict(x=draw(40, 48), s=draw(2, 40, 64), rate=np.array(0.7, np.float32))),
    (sequence, lambda: dict(x=draw(7, 40, 16), h0=draw(1, 40, 32), c0=draw(1, 40, 32))),
    (anchored, lambda: dict(x=draw(40, 3, 8, 8), anchors=draw(32, 1, 1))),
], ids=["state", "sequence", "anchors"])
def test_samples_on_other_axes(tmp_path, make, inputs):
    """The original, then a calibrated plan, whose file verify judges on the calibration's samples."""
    path = make(tmp_path)
    data, outputs = reference(path, tmp_path, **inputs())
    found = kcompress("verify", path, "--reference", data)
    assert found["verdict"] == "passed" and found["samples"] == 40
    compressed, _ = compress(path, tmp_path, int(path.stat().st_size * 0.93), "--calibration", data, *QUICK)
    found = kcompress("verify", compressed, "--reference", data)
    assert found["verdict"] == "passed" and found["samples"] == 40
    session = inference_session(compressed)
    ours = session.run(None, {name: value for name, value in np.load(data).items() if not name.startswith("outputs")})
    for comparison, value, expected in zip(found["outputs"], ours, outputs):
        measured = np.linalg.norm(value - expected) / np.linalg.norm(expected)
        assert abs(measured - comparison["relative_discrepancy"]) < 1e-4 + 1e-3 * measured


def test_a_mean_over_everything(tmp_path):
    node = helper.make_node
    path = model(
        tmp_path / "mean.onnx",
        [node("Gemm", ["x", "w"], ["a"], transB=1), node("Relu", ["a"], ["b"]), node("Gemm", ["b", "v"], ["c"], transB=1),
         node("ReduceMean", ["c"], ["y"], keepdims=0)],
        [("x", ["N", 64])], [("y", [])], {"w": low_rank(128, 64), "v": low_rank(64, 128)})
    data, _ = reference(path, tmp_path, x=draw(9, 64))
    assert kcompress("verify", path, "--reference", data)["verdict"] == "passed"
    compressed, _ = compress(path, tmp_path, 40_000)
    assert kcompress("verify", compressed)["verdict"] == "passed"


def test_what_mixes_samples_is_not_cut(tmp_path):
    """By the shapes alone the tokens of an attention could be samples."""
    node = helper.make_node
    path = model(
        tmp_path / "attention.onnx",
        [node("MatMul", ["x", "w"], ["a"]), node("Transpose", ["a"], ["t"], perm=[1, 0]), node("MatMul", ["a", "t"], ["s"]),
         node("Softmax", ["s"], ["p"], axis=-1), node("MatMul", ["p", "a"], ["y"])],
        [("x", ["T", 64])], [("y", ["T", 96])], {"w": low_rank(64, 96)})
    data, _ = reference(path, tmp_path, x=draw(200, 64))
    assert kcompress("verify", path, "--reference", data)["verdict"] == "passed"


def test_half_precision_has_its_own_limit(tmp_path):
    node = helper.make_node
    nodes, value = [], "x"
    for k in range(8):
        nodes += [node("Gemm", [value, f"w{k}"], [f"g{k}"], transB=1), node("Tanh", [f"g{k}"], [f"t{k}"])]
        value = f"t{k}"
    nodes.append(node("Identity", [value], ["y"]))
    weights = {f"w{k}": (draw(64, 64) / 8).astype(np.float16) for k in range(8)}
    path = model(tmp_path / "half.onnx", nodes, [("x", ["N", 64])], [("y", ["N", 64])], weights, TensorProto.FLOAT16)
    data, outputs = reference(path, tmp_path, x=draw(16, 64).astype(np.float16))
    found = kcompress("verify", path, "--reference", data)
    assert found["verdict"] == "passed" and found["outputs"][0]["relative_discrepancy"] > 1e-4
    # Another network's outputs are not within it.
    arrays = dict(np.load(data))
    arrays["outputs_0"] = (outputs[0] * 1.02).astype(np.float16)
    np.savez(data, **arrays)
    assert kcompress("verify", path, "--reference", data, status=1)["verdict"] == "failed"


@pytest.mark.parametrize("bias, verdict", [(-16, "passed"), (-2, "failed")])
def test_tiny_outputs_have_an_absolute_floor(tmp_path, bias, verdict):
    """A difference of 3e-7 is the rounding of 1 to a sigmoid that gives 1e-7, and an error to one that gives 0.1 and nothing else."""
    node = helper.make_node
    path = model(
        tmp_path / "tiny.onnx", [node("Gemm", ["x", "w", "b"], ["a"], transB=1), node("Sigmoid", ["a"], ["y"])],
        [("x", ["N", 64])], [("y", ["N", 8])], {"w": draw(8, 64) / 80, "b": np.full(8, bias, np.float32)})
    data, outputs = reference(path, tmp_path, x=draw(16, 64))
    arrays = dict(np.load(data))
    arrays["outputs_0"] = outputs[0] + np.float32(3e-7 if verdict == "passed" else 1e-4)
    np.savez(data, **arrays)
    found = kcompress("verify", path, "--reference", data, status=0 if verdict == "passed" else 1)
    assert found["verdict"] == verdict
    assert any("tiny" in notice for notice in found["notices"]) == (verdict == "passed")


def test_calibration_of_an_open_shape_promises(tmp_path):
    node = helper.make_node
    path = model(
        tmp_path / "open.onnx",
        [node("Conv", ["x", "w"], ["a"], pads=[1] * 4), node("Relu", ["a"], ["b"]), node("Conv", ["b", "v"], ["y"], pads=[1] * 4)],
        [("x", ["N", 3, "H", "W"])], [("y", ["N", 32, "H", "W"])],
        {"w": draw(32, 3, 3, 3) / 5, "v": draw(32, 32, 3, 3) / 17})
    data, _ = reference(path, tmp_path, x=draw(40, 3, 8, 8))
    plan = kcompress("plan", path, "--budget", "25kB", "--calibration", data, *QUICK, "-o", tmp_path / "plan.json")
    result = kcompress("apply", tmp_path / "plan.json", "-o", tmp_path / "small.onnx")
    assert result["bytes"] == plan["predicted"]["bytes"]
    assert result["network"]["relative_discrepancy"] > 0.1 and "reference.npz" in result["network"]["measured_on"]
    assert kcompress("verify", tmp_path / "small.onnx", "--reference", data)["verdict"] == "passed"


def test_inspect_shows_all_parameters():
    found = kcompress("inspect", shared("cases/onnx/ort8488_if_weights.onnx"))
    assert found["parameters"] > 0 and any("branch of If" in group["content"] for group in found["groups"])
    quantized = kcompress("inspect", shared("cases/onnx/ort24711_qdq_conv.onnx"))
    assert quantized["quantized"] > 0.5
