"""Every ONNX operator that the engine runs gives what onnxruntime gives, on graphs of one operator each."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from test_onnx import check as check_with



def check(path, inputs, folder):
    """The checker wants outputs with shapes, which these models leave open."""
    check_with(path, inputs, folder, checker=False)


RANDOM = np.random.default_rng(7)


def uniform(*shape, low=-2.0, high=2.0):
    return RANDOM.uniform(low, high, shape).astype(np.float32)


def model(nodes, inputs, outputs, constants=(), opset=13, kinds=None, ir=8):
    """A model; an open extent in `inputs` is written as a name."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()]
    if ir < 4:
        values += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    graph = helper.make_graph(nodes, "test", values, results, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def single(tmp_path, operator, data, constants=(), opset=13, outputs=("y",), first="n", **attributes):
    """One operator on one or more inputs, the first extent open where the operator acts on every sample by itself."""
    arrays = data if isinstance(data, list) else [data]
    names = [f"x{i}" for i in range(len(arrays))]
    node = helper.make_node(operator, names + [name for name in dict(constants)], list(outputs), **attributes)
    shapes = {name: [first, *array.shape[1:]] for name, array in zip(names, arrays)}
    path = tmp_path / "model.onnx"
    onnx.save(model([node], shapes, [name for name in outputs if name], constants, opset), path)
    check(path, dict(zip(names, arrays)), tmp_path)


@pytest.mark.parametrize(
    "operator, attributes",
    [(name, {}) for name in
     "Relu Sigmoid Tanh Softplus Softsign Abs Neg Sign Exp Floor Ceil Round Erf Sin Cos Atan Sinh Cosh Identity "
     "Elu Selu LeakyRelu HardSigmoid ThresholdedRelu HardSwish".split()]
    + [("LeakyRelu", {"alpha": 0.3}), ("Elu", {"alpha": 0.5}), ("Celu", {"alpha": 0.7}), ("Softmax", {"axis": 1}),
       ("LogSoftmax", {"axis": -1}), ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("Flatten", {"axis": 2})])
def test_activations(tmp_path, operator, attributes):
    single(tmp_path, operator, uniform(3, 4, 5), opset=14, **attributes)


@pytest.mark.parametrize("operator", ["Sqrt", "Log", "Reciprocal"])
def test_functions_of_positive_numbers(tmp_path, operator):
    single(tmp_path, operator, uniform(3, 7, low=0.1))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(tmp_path, approximate):
    single(tmp_path, "Gelu", uniform(3, 7), opset=20, approximate=approximate)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_of_old_versions_joins_axes(tmp_path, axis):
    single(tmp_path, "Softmax", uniform(3, 4, 5), opset=11, first=3, axis=axis)


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 1), (4, 5), (5,), ()])
def test_arithmetic_broadcasts(tmp_path, operator, shape):
    # A constant with a batch of its own fits one batch only.
    single(tmp_path, operator, uniform(3, 4, 5), {"c": uniform(*shape, low=0.5) if shape else np.float32(0.7)},
           first=3 if shape == (3, 4, 5) else "n")


def test_arithmetic_of_two_inputs(tmp_path):
    single(tmp_path, "Mul", [uniform(3, 4, 5), uniform(3, 1, 5)])
    single(tmp_path, "Pow", uniform(3, 4, low=0.1), {"c": np.float32(1.7)})
    single(tmp_path, "PRelu", uniform(3, 4, 5), {"slope": uniform(4, 1)})


@pytest.mark.parametrize("operator", ["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"])
def test_where_and_comparisons(tmp_path, operator):
    nodes = [helper.make_node(operator, ["x", "c"], ["b"]), helper.make_node("Not", ["b"], ["n"]),
             helper.make_node("Where", ["n", "x", "d"], ["y"])]
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": ["n", 5]}, ["y"], {"c": np.float32(0.25), "d": uniform(5)}), path)
    check(path, {"x": np.round(uniform(4, 5) * 4) / 4}, tmp_path)


@pytest.mark.parametrize(
    "window",
    [{}, {"strides": [2, 1]}, {"pads": [1, 0, 2, 1]}, {"dilations": [2, 1]}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
     {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, {"auto_pad": "VALID"}, {"group": 2}, {"group": 4}])
def test_convolutions(tmp_path, window):
    groups = window.get("group", 1)
    single(tmp_path, "Conv", uniform(2, 4, 9, 8), {"w": uniform(8, 4 // groups, 3, 3), "b": uniform(8)}, **window)


@pytest.mark.parametrize("order", [1, 3])
def test_convolutions_of_other_orders(tmp_path, order):
    single(tmp_path, "Conv", uniform(2, 3, *[7] * order), {"w": uniform(5, 3, *[3] * order)}, pads=[1] * 2 * order)


@pytest.mark.parametrize(
    "window",
    [{}, {"strides": [2, 2]}, {"strides": [2, 2], "pads": [1, 1, 1, 1]}, {"group": 2},
     {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}, {"dilations": [2, 2]}])
def test_transposed_convolutions(tmp_path, window):
    single(tmp_path, "ConvTranspose", uniform(2, 4, 5, 6), {"w": uniform(4, 3, 3, 3)}, **window)


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "window",
    [{}, {"strides": [2, 2]}, {"strides": [2, 2], "pads": [1, 1, 1, 1]}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
     {"strides": [3, 3], "ceil_mode": 1}])
def test_pooling(tmp_path, operator, window):
    single(tmp_path, operator, uniform(2, 3, 8, 10), kernel_shape=[3, 3], **window)
    single(tmp_path, operator, uniform(2, 3, 8), kernel_shape=[3])


def test_average_that_counts_its_padding(tmp_path):
    single(tmp_path, "AveragePool", uniform(2, 3, 8, 8), kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pooling(tmp_path, operator):
    single(tmp_path, operator, uniform(2, 3, 5, 6))


@pytest.mark.parametrize(
    "attributes, shape, bias",
    [({}, (6, 5), (5,)), ({"transB": 1}, (5, 6), (5,)), ({"alpha": 0.5, "beta": 2.0}, (6, 5), (5,)), ({}, (6, 5), (1,)),
     ({"transB": 1}, (5, 6), None)])
def test_gemm(tmp_path, attributes, shape, bias):
    constants = {"w": uniform(*shape)} | ({"b": uniform(*bias)} if bias else {})
    single(tmp_path, "Gemm", uniform(4, 6), constants, **attributes)


@pytest.mark.parametrize("shape", [(6, 5), (6,), (3, 6, 5)])
def test_matrix_products(tmp_path, shape):
    single(tmp_path, "MatMul", uniform(2, 3, 4, 6) if len(shape) == 3 else uniform(3, 4, 6), {"w": uniform(*shape)})


def test_product_of_two_inputs_and_a_bias(tmp_path):
    single(tmp_path, "MatMul", [uniform(3, 4, 6), uniform(3, 6, 2)])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y"])]
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": ["n", 7, 6]}, ["y"], {"w": uniform(6, 5), "b": uniform(5)}), path)
    check(path, {"x": uniform(3, 7, 6)}, tmp_path)


def test_normalisations(tmp_path):
    single(tmp_path, "BatchNormalization", uniform(2, 4, 5, 5),
           {"s": uniform(4), "b": uniform(4), "m": uniform(4), "v": uniform(4, low=0.1)}, epsilon=1e-3)
    single(tmp_path, "InstanceNormalization", uniform(2, 4, 5, 6), {"s": uniform(4), "b": uniform(4)})
    single(tmp_path, "LayerNormalization", uniform(2, 4, 5), {"s": uniform(5), "b": uniform(5)}, opset=17)
    single(tmp_path, "LayerNormalization", uniform(2, 4, 5), {"s": uniform(4, 5)}, opset=17, axis=1)


@pytest.mark.parametrize(
    "operator", "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp".split())
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions(tmp_path, operator, keepdims):
    single(tmp_path, operator, uniform(2, 3, 4), opset=11, axes=[1, -1], keepdims=keepdims)
    single(tmp_path, operator, uniform(2, 3, 4), {"axes": np.array([1])}, opset=18, keepdims=keepdims)


def test_arrangement(tmp_path):
    x = uniform(2, 4, 6, 6)
    single(tmp_path, "Transpose", x, perm=[0, 3, 1, 2])
    single(tmp_path, "Transpose", x)
    single(tmp_path, "Squeeze", uniform(2, 1, 3), {"axes": np.array([1])})
    single(tmp_path, "Squeeze", uniform(2, 1, 3), opset=11, axes=[1])
    single(tmp_path, "Unsqueeze", x, {"axes": np.array([-1, 1])})
    single(tmp_path, "Unsqueeze", x, opset=11, axes=[0, 2])
    single(tmp_path, "Reshape", x, {"shape": np.array([0, -1, 9])})
    single(tmp_path, "Expand", uniform(2, 1, 3), {"shape": np.array([1, 4, 1])})
    single(tmp_path, "Tile", uniform(2, 2, 3), {"repeats": np.array([1, 2, 3])})
    single(tmp_path, "DepthToSpace", x, blocksize=2)
    single(tmp_path, "DepthToSpace", x, blocksize=2, mode="CRD")
    single(tmp_path, "SpaceToDepth", x, blocksize=3)
    single(tmp_path, "Gather", x, {"i": np.array([[2, 0], [-1, 1]])}, axis=1)
    single(tmp_path, "Concat", [x, uniform(2, 3, 6, 6)], axis=1)


@pytest.mark.parametrize(
    "starts, ends, axes, steps",
    [([1], [3], [1], None), ([0, 1], [2**62, -1], [1, 2], [2, 1]), ([-1], [-(2**62)], [2], [-1]), ([5, -2], [1, 9], [2, 3], [-2, 1])])
def test_slices(tmp_path, starts, ends, axes, steps):
    constants = {"starts": np.array(starts), "ends": np.array(ends), "axes": np.array(axes)}
    if steps:
        constants["steps"] = np.array(steps)
    single(tmp_path, "Slice", uniform(2, 4, 6, 6), constants)
    if not steps:
        single(tmp_path, "Slice", uniform(2, 4, 6, 6), opset=9, starts=starts, ends=ends, axes=axes)


def test_splits(tmp_path):
    single(tmp_path, "Split", uniform(2, 6, 3), outputs=("a", "b", "c"), axis=1)
    single(tmp_path, "Split", uniform(2, 6, 3), {"sizes": np.array([1, 5])}, outputs=("a", "b"), axis=1)
    single(tmp_path, "Split", uniform(2, 6, 3), opset=11, outputs=("a", "b"), axis=1, split=[2, 4])


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pads(tmp_path, mode):
    pads = [0, 0, 1, 2, 0, 0, 3, 1]
    single(tmp_path, "Pad", uniform(2, 3, 6, 5), {"pads": np.array(pads)}, mode=mode)
    single(tmp_path, "Pad", uniform(2, 3, 6, 5), opset=9, mode=mode, pads=pads)
    single(tmp_path, "Pad", uniform(2, 3, 6, 5), {"pads": np.array([0, 0, -1, 2, 0, 1, 0, 0]), "v": np.float32(2.5)})


@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize(tmp_path, mode, coordinates):
    x = uniform(2, 3, 5, 4)
    common = {"mode": mode, "coordinate_transformation_mode": coordinates}
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], **common)
    path = tmp_path / "model.onnx"
    onnx.save(model([node], {"x": ["n", 3, 5, 4]}, ["y"], {"scales": np.array([1, 1, 2, 1.5], np.float32)}), path)
    check(path, {"x": x}, tmp_path)
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **common)
    onnx.save(model([node], {"x": [2, 3, 5, 4]}, ["y"], {"sizes": np.array([2, 3, 9, 7])}), path)
    check(path, {"x": x}, tmp_path)


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest_rounding(tmp_path, rounding):
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest", nearest_mode=rounding)
    path = tmp_path / "model.onnx"
    onnx.save(model([node], {"x": ["n", 1, 6, 6]}, ["y"], {"scales": np.array([1, 1, 0.5, 2.5], np.float32)}), path)
    check(path, {"x": uniform(2, 1, 6, 6)}, tmp_path)


def test_upsample(tmp_path):
    single(tmp_path, "Upsample", uniform(2, 3, 5, 4), {"s": np.array([1, 1, 2, 2], np.float32)}, opset=9, mode="nearest")
    single(tmp_path, "Upsample", uniform(2, 3, 5, 4), opset=7, mode="nearest", scales=[1.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize("opset", [9, 13])
def test_clip(tmp_path, opset):
    for low, high in [(0.0, 6.0), (-1.0, 1.0)]:
        if opset == 9:
            single(tmp_path, "Clip", uniform(3, 5) * 4, opset=9, min=low, max=high)
        else:
            single(tmp_path, "Clip", uniform(3, 5) * 4, {"l": np.float32(low), "h": np.float32(high)})


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("reset", [0, 1])
def test_recurrent(tmp_path, kind, gates, direction, reset):
    if reset and kind != "GRU":
        pytest.skip("only GRU has a reset gate")
    count, hidden, features = (2 if direction == "bidirectional" else 1), 5, 3
    constants = {"w": uniform(count, gates * hidden, features), "r": uniform(count, gates * hidden, hidden),
                 "b": uniform(count, 2 * gates * hidden)}
    extra = {"linear_before_reset": 1} if reset else {}
    outputs = ["y", "h"] + (["c"] if kind == "LSTM" else [])
    node = helper.make_node(kind, ["x", *constants], outputs, hidden_size=hidden, direction=direction, **extra)
    path = tmp_path / "model.onnx"
    onnx.save(model([node], {"x": [7, 2, features]}, outputs[:1], constants), path)
    check(path, {"x": uniform(7, 2, features)}, tmp_path)


def test_shapes_that_follow_from_the_input(tmp_path):
    """Flattening as exporters write it: Shape, Gather, arithmetic, Concat, Reshape, with open extents."""
    constants = {"zero": np.array(0), "two": np.array(2), "three": np.array(3), "axes": np.array([0]), "half": np.array(2)}
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]), helper.make_node("Gather", ["s", "two"], ["h"]),
        helper.make_node("Div", ["h", "half"], ["q"]),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]), helper.make_node("Unsqueeze", ["q", "axes"], ["q1"]),
        helper.make_node("Concat", ["n1", "q1", "minus"], ["t"], axis=0),
        helper.make_node("Reshape", ["x", "t"], ["y"])]
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": ["n", 3, "h", "w"]}, ["y"], constants | {"minus": np.array([-1])}), path)
    check(path, {"x": uniform(2, 3, 6, 4)}, tmp_path)
    check(path, {"x": uniform(3, 3, 8, 5)}, tmp_path)


def small_network(opset):
    """Convolutions, a residual, pooling and a linear layer, in the form of a version of the operators."""
    constants = {"w1": uniform(16, 3, 3, 3), "b1": uniform(16), "w2": uniform(16, 16, 3, 3), "w3": uniform(10, 16)}
    constants |= {"b3": uniform(10), "s": uniform(16), "t": uniform(16), "m": uniform(16), "v": uniform(16, low=0.5)}
    axes = {} if opset >= 13 else {"axes": [2, 3]}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="first", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["c1", "s", "t", "m", "v"], ["n1"]),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="second", auto_pad="SAME_UPPER"),
        helper.make_node("Add", ["c2", "r1"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["g"]),
        helper.make_node("Squeeze", ["g"] + (["axes"] if opset >= 13 else []), ["f"], **axes),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["l"], name="third", transB=1),
        helper.make_node("Softmax", ["l"], ["y"], axis=1)]
    if opset >= 13:
        constants["axes"] = np.array([2, 3])
    return model(nodes, {"x": ["n", 3, 12, 12]}, ["y"], constants, opset, ir=3 if opset < 9 else 8 if opset < 20 else 10)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21, 23])
@pytest.mark.parametrize("structure", ["sekron", "cp"])
def test_versions(tmp_path, opset, structure):
    from conftest import compress

    path = tmp_path / "model.onnx"
    onnx.save(small_network(opset), path)
    x = uniform(4, 3, 12, 12)
    check(path, {"x": x}, tmp_path)
    compressed, plan = compress(path, tmp_path, 11_500, "--structures", structure)
    assert any(layer["structure"] == structure for layer in plan["layers"])
    check(compressed, {"x": x}, tmp_path)
