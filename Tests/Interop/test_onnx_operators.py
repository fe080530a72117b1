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


class Several:
    """Many operators side by side in one model, each with inputs and outputs of its own, so that one run checks them all."""

    def __init__(self, opset):
        self.opset, self.nodes, self.arrays, self.constants, self.outputs = opset, [], {}, {}, []

    def add(self, operator, *data, constants=(), outputs=1, domain="", **attributes):
        """`data` are inputs of the model, names among them values that are there, and `constants` those behind them; None is left out."""
        index = len(self.nodes)
        names = []
        for place, value in enumerate(data):
            names.append(value if isinstance(value, str) else f"x{index}_{place}")
            if not isinstance(value, str):
                self.arrays[names[-1]] = value
        for place, constant in enumerate(constants):
            names.append("" if constant is None else f"c{index}_{place}")
            if constant is not None:
                self.constants[names[-1]] = np.asarray(constant)
        made = [f"y{index}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, names, made, domain=domain, **attributes))
        self.outputs += made

    def computed(self, value):
        """The name of a value that depends on the input: its mean over two samples."""
        name = f"p{len(self.nodes)}"
        self.arrays[name + "_both"] = np.stack([value - 0.5, value + 0.5])
        self.constants[name + "_axes"] = np.array([0])
        self.nodes.append(helper.make_node("ReduceMean", [name + "_both", name + "_axes"], [name], keepdims=0))
        return name

    def check(self, folder):
        values = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                  for name, array in self.arrays.items()]
        # Outputs of any type; onnxruntime infers it.
        results = [onnx.ValueInfoProto(name=name) for name in self.outputs]
        tensors = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "several", values, results, tensors)
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        path = folder / "several.onnx"
        onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=10), path)
        check(path, self.arrays, folder)


def test_elements_and_places(tmp_path):
    several, x = Several(18), uniform(2, 4, 3)
    for operator in ["Asinh", "Shrink", "Selu", "Mish"]:
        several.add(operator, x)
    several.add("Selu", x, alpha=1.2, gamma=0.8)
    several.add("Shrink", x, lambd=0.7, bias=0.2)
    several.add("Acosh", uniform(2, 3, low=1.1, high=4))
    several.add("Atanh", uniform(2, 3, low=-0.9, high=0.9))
    several.add("Hardmax", x, axis=1)
    several.add("TopK", x, constants=[np.array([2])], outputs=2, axis=1)
    several.add("TopK", x, constants=[np.array([3])], outputs=2, largest=0)
    several.add("CumSum", x, constants=[np.array(1)], exclusive=1)
    several.add("CumSum", x, constants=[np.array(-1)], reverse=1)
    several.add("GatherElements", x, constants=[np.array([[[0, 2, -1]], [[1, 0, 0]]])], axis=2)
    several.add("GatherND", x, constants=[np.array([[0, 3], [1, -1]])])
    several.add("GatherND", x, constants=[np.array([[2], [0]])], batch_dims=1)
    places, updates = np.array([[[0, 2, 1]], [[1, 0, 3]]]), uniform(2, 1, 3)
    for reduction in ["none", "add", "mul", "max", "min"]:
        several.add("ScatterElements", x, constants=[places, updates], axis=1, reduction=reduction)
        several.add("ScatterND", x, constants=[np.array([[0, 3], [1, -1], [0, 3]]) if reduction == "add" else
                                               np.array([[0, 3], [1, -1]]),
                                               uniform(3 if reduction == "add" else 2, 3)], reduction=reduction)
    several.add("Trilu", x, constants=[np.array(1)])
    several.add("Trilu", x, upper=0)
    several.add("ReverseSequence", x, constants=[np.array([1, 4])], batch_axis=0, time_axis=1)
    several.add("Compress", x, constants=[np.array([True, False, True])], axis=2)
    several.add("OneHot", constants=[np.array([[1, -1], [5, 0]]), np.array([3]), np.array([0.5, 2], np.float32)], axis=1)
    several.add("Einsum", x, uniform(2, 3, 5), equation="bij,bjk->bik")
    several.add("Einsum", x, uniform(2, 4, 3), equation="...ij,...kj->k...i")
    several.add("ArgMax", np.round(x), axis=1, select_last_index=1)
    several.check(tmp_path)


def test_normalisations_of_groups_and_neighbours(tmp_path):
    several, x = Several(21), uniform(2, 6, 5, 4)
    computed = several.computed
    several.add("GroupNormalization", x, constants=[uniform(6), uniform(6)], num_groups=3)
    several.add("LRN", x, size=3, alpha=0.2, beta=0.6, bias=1.5)
    several.add("LRN", x, size=5, alpha=0.1)
    several.add("MeanVarianceNormalization", x)
    several.add("LpNormalization", x, axis=1, p=1)
    several.add("LpPool", x, kernel_shape=[2, 3], p=3, strides=[2, 1])
    several.add("GlobalLpPool", x, p=2)
    several.add("InstanceNormalization", x, computed(uniform(6)), computed(uniform(6)))
    several.add("LayerNormalization", x, computed(uniform(5, 4)), axis=2)
    several.add("LayerNormalization", x, computed(uniform(5, 4)), axis=2, outputs=3)
    several.add("LayerNormalization", x, constants=[uniform(4)], axis=-2)
    several.add("BatchNormalization", x, *(computed(uniform(6, low=0.2)) for _ in range(4)))
    several.add("MaxPool", x, outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    several.add("MaxPool", x, outputs=2, kernel_shape=[3, 2], pads=[1, 0, 1, 1], storage_order=1)
    several.add("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1)
    several.check(tmp_path)


def test_group_normalisation_of_version_18(tmp_path):
    several = Several(18)
    several.add("GroupNormalization", uniform(2, 6, 5), constants=[uniform(3), uniform(3)], num_groups=3)
    several.check(tmp_path)


def test_places_between_elements(tmp_path):
    several, x = Several(19), uniform(2, 3, 5, 4)
    for mode in ["nearest", "bilinear", "bicubic"]:
        for border in ["zeros", "border", "reflection"]:
            for corners in [0, 1]:
                several.add("GridSample", x, uniform(2, 3, 3, 2, low=-1.5, high=1.5), mode=mode, padding_mode=border,
                            align_corners=corners)
    shrunk = np.array([1, 1, 0.6, 0.5], np.float32)
    for mode in ["linear", "cubic"]:
        for outside in [0, 1]:
            several.add("Resize", x, constants=[None, shrunk], mode=mode, antialias=1, exclude_outside=outside)
    several.add("Resize", uniform(2, 10), constants=[None, np.array([1, 0.7], np.float32)])
    several.add("Resize", x, constants=[None, np.array([2, 1.5], np.float32)], mode="linear", axes=[2, 3])
    several.add("Resize", x, constants=[None, None, np.array([3, 7])], mode="linear", axes=[3, 2])
    several.add("Resize", x, constants=[None, None, np.array([8, 8])], mode="linear", axes=[2, 3],
                keep_aspect_ratio_policy="not_larger")
    several.add("Resize", x, constants=[None, np.array([1, 1, 2.3, 0.7], np.float32)], mode="linear",
                coordinate_transformation_mode="half_pixel_symmetric")
    several.add("Resize", x, constants=[np.array([0, 0, 0.2, -0.1, 1, 1, 0.9, 1.2], np.float32), None, np.array([2, 3, 6, 5])],
                mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.0)
    several.add("Pad", x, constants=[np.array([1, 2, 0, -1]), np.float32(3), np.array([3, 1])])
    several.add("Pad", x, constants=[np.array([1, 2]), None, np.array([-1])], mode="wrap")
    several.check(tmp_path)


def test_spectra(tmp_path):
    several, signal = Several(20), uniform(2, 50, 1)
    several.add("STFT", signal, constants=[np.array(7), uniform(16), np.array(16)])
    several.add("STFT", signal, constants=[np.array(5), None, np.array(8)], onesided=0)
    several.add("DFT", signal, constants=[None, np.array(-2)])
    several.add("DFT", uniform(2, 12, 2), constants=[np.array(20), np.array(1)])
    several.add("DFT", uniform(2, 12, 2), constants=[None, np.array(-2)], inverse=1)
    several.add("HannWindow", constants=[np.array(9)])
    several.add("BlackmanWindow", constants=[np.array(8)], periodic=0)
    several.add("AffineGrid", uniform(2, 2, 3), constants=[np.array([2, 1, 4, 5])])
    several.check(tmp_path)


def test_kernels_and_borders_that_other_nodes_compute(tmp_path):
    several, x = Several(18), uniform(2, 4, 7, 6)
    several.add("Conv", x, several.computed(uniform(6, 2, 3, 2)), several.computed(uniform(6)), group=2, strides=[2, 1], kernel_shape=[3, 2])
    several.add("ConvTranspose", x, several.computed(uniform(4, 3, 3, 3)), strides=[2, 2], pads=[1, 0, 1, 1], kernel_shape=[3, 3])
    several.add("ConvTranspose", x, constants=[uniform(4, 3, 3, 3)], strides=[2, 2], output_shape=[14, 13])
    several.add("Pad", x, constants=[np.array([0, 0, 1, 0, 0, 0, 2, 1])])
    several.add("Col2Im", uniform(2, 12, 12), constants=[np.array([7, 6]), np.array([2, 2])], strides=[2, 2], pads=[1, 1, 0, 0])
    several.check(tmp_path)


def test_quantised_numbers(tmp_path):
    several, x = Several(21), uniform(2, 3, 4)
    for kind in [np.uint8, np.int8]:
        several.add("QuantizeLinear", x, constants=[np.float32(0.02), kind(10)])
        several.add("QuantizeLinear", x, constants=[np.array([0.1, 0.02, 0.3], np.float32), np.zeros(3, kind)])
        several.add("DequantizeLinear", RANDOM.integers(0, 100, (2, 3)).astype(kind), constants=[np.float32(0.1), kind(7)])
    several.add("DequantizeLinear", RANDOM.integers(-9, 9, (2, 6)).astype(np.int8), block_size=2, axis=1,
                constants=[uniform(2, 3, low=0.1)])
    several.add("DynamicQuantizeLinear", x, outputs=3)
    several.add("MatMulInteger", RANDOM.integers(0, 255, (2, 3)).astype(np.uint8), constants=[
        RANDOM.integers(-9, 9, (3, 4)).astype(np.int8), np.uint8(100)])
    several.check(tmp_path)


def test_whole_numbers(tmp_path):
    """They divide towards zero, and those of few bits wrap."""
    several = Several(18)
    for kind in [np.int8, np.uint8, np.int32, np.int64]:
        a = RANDOM.integers(-100 if kind != np.uint8 else 0, 100, (2, 5)).astype(kind)
        several.add("Div", a, constants=[np.array([3, 7, 9, 2, 5], kind)])
        several.add("Add", a, constants=[np.array([100, 90, 120, 3, 4], kind)])
        several.add("Mul", a, constants=[np.array([3, 7, 9, 2, 5], kind)])
    several.add("Cast", np.array([[300, -200, 127], [128, 255, 256]], np.int64), to=TensorProto.INT8)
    several.add("ReduceMean", np.array([[3, -4, 8], [5, 5, 6]], np.int32), constants=[np.array([1])])
    several.add("BitShift", np.array([[200, 3], [1, 255]], np.uint8), constants=[np.array([1, 7], np.uint8)], direction="LEFT")
    several.check(tmp_path)


def test_attention(tmp_path):
    several = Several(23)
    q, k, v = uniform(2, 4, 5, 8), uniform(2, 2, 7, 8), uniform(2, 2, 7, 6)
    several.add("Attention", q, k, v)
    several.add("Attention", q, k, v, constants=[uniform(5, 7)], scale=0.3, softcap=2.0)
    several.add("Attention", q, k, v, is_causal=1)
    several.add("Attention", uniform(2, 5, 12), uniform(2, 6, 6), uniform(2, 6, 6), q_num_heads=4, kv_num_heads=2)
    several.add("RMSNormalization", q, constants=[uniform(8)])
    several.add("RotaryEmbedding", q, constants=[uniform(9, 4), uniform(9, 4), np.array([[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]])])
    several.add("RotaryEmbedding", q, constants=[uniform(9, 2), uniform(9, 2), np.array([[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]])],
                interleaved=1, rotary_embedding_dim=4)
    several.check(tmp_path)


def test_operators_of_onnxruntime(tmp_path):
    several, x, more = Several(17), uniform(2, 5, 6), {"domain": "com.microsoft"}
    several.add("Gelu", x, **more)
    several.add("QuickGelu", x, alpha=1.5, **more)
    several.add("BiasGelu", x, constants=[uniform(6)], **more)
    several.add("FastGelu", x, constants=[uniform(6)], **more)
    several.add("FusedMatMul", x, uniform(2, 4, 6), transB=1, alpha=0.5, **more)
    several.add("SkipLayerNormalization", x, uniform(2, 5, 6), constants=[uniform(6), uniform(6), uniform(6)], **more)
    image = uniform(2, 3, 8, 8)
    several.add("FusedConv", image, constants=[uniform(4, 3, 3, 3), uniform(4)], activation="Relu", **more)
    several.add("FusedConv", image, constants=[uniform(4, 3, 3, 3)], activation="LeakyRelu", activation_params=[0.2], **more)
    several.check(tmp_path)


def test_functions_and_constant_branches(tmp_path):
    """They are written out: an attribute of the call goes into the function's body, and equal names stay apart."""
    slope = helper.make_node("LeakyRelu", ["a"], ["b"])
    slope.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="steep", type=onnx.AttributeProto.FLOAT))
    body = [slope, helper.make_node("Add", ["b", "c"], ["d"])]
    function = helper.make_function(
        "own", "bend", ["a", "c"], ["d"], body, [helper.make_opsetid("", 17)], attributes=["steep"])

    def branch(operator, weight):
        nodes = [helper.make_node(operator, ["m", "inner"], ["b"]), helper.make_node("Relu", ["b"], ["r"])]
        tensor = numpy_helper.from_array(weight, "inner")
        return helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)], [tensor])

    nodes = [
        helper.make_node("bend", ["x", "x"], ["m"], domain="own", steep=0.3),
        helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node("If", ["yes"], ["p"], then_branch=branch("Mul", uniform(4)), else_branch=branch("Add", uniform(4))),
        helper.make_node("Not", ["yes"], ["no"]),
        helper.make_node("If", ["no"], ["q"], then_branch=branch("Sub", uniform(4)), else_branch=branch("Add", uniform(4))),
        helper.make_node("bend", ["p", "q"], ["y"], domain="own", steep=0.1)]
    path = tmp_path / "model.onnx"
    result = model(nodes, {"x": ["n", 4]}, ["y"], opset=17)
    result.opset_import.append(helper.make_opsetid("own", 1))
    result.functions.append(function)
    onnx.save(result, path)
    check(path, {"x": uniform(3, 4)}, tmp_path)


def test_version_6(tmp_path):
    """Its broadcasts begin at an axis; onnxruntime no longer runs them, NumPy does."""
    from conftest import kcompress

    constants = {"c": uniform(3), "d": uniform(4, 5), "slope": uniform(3)}
    nodes = [helper.make_node("Mul", ["x", "c"], ["a"], broadcast=1, axis=1),
             helper.make_node("Dropout", ["a"], ["b", "mask"], is_test=1),
             helper.make_node("Sub", ["b", "d"], ["e"], broadcast=1),
             helper.make_node("PRelu", ["e", "slope"], ["y"])]
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": [2, 3, 4, 5]}, ["y"], constants, opset=6, ir=3), path)
    x = uniform(2, 3, 4, 5)
    inner = x * constants["c"].reshape(3, 1, 1) - constants["d"]
    reference = tmp_path / "reference.npz"
    np.savez(reference, x=x, y=np.where(inner < 0, inner * constants["slope"].reshape(3, 1, 1), inner))
    assert kcompress("verify", path, "--reference", reference, "--max-discrepancy", "1e-5")["passed"]


def test_what_cannot_be_run_is_named(tmp_path):
    from conftest import kcompress

    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="conv"), helper.make_node("NonZero", ["c"], ["z"], name="places"),
             helper.make_node("Cast", ["z"], ["y"], to=TensorProto.FLOAT)]
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": [1, 16, 8, 8]}, ["y"], {"w": uniform(32, 16, 3, 3)}), path)
    assert [layer["name"] for layer in kcompress("inspect", path)["layers"]] == ["conv"]


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


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21, 24])
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
