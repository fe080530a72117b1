"""Models of every kind of layer, made by Keras 3 and by tf.keras: the engine computes what the framework computes, and what
compression makes of them loads and computes the same."""

import json
import subprocess

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from conftest import PROGRAM, QUICK, kcompress
from test_keras import check_same_outputs

LIBRARIES = {"keras3": keras, "tf.keras": tf_keras}
RANDOM = np.random.default_rng(7)


def randomise(model):
    """Weights that make every mistake visible: no zero biases, no unit variances."""
    for layer in model.weights:
        name = getattr(layer, "path", layer.name)
        value = RANDOM.normal(0, 0.3, layer.shape)
        layer.assign(np.abs(value) + 0.5 if "variance" in name else value)


def save(model, folder, name="model.h5"):
    path = folder / name
    model.save(path, include_optimizer=False) if model.__class__.__module__.startswith("tf_keras") else model.save(path)
    return path


def inputs_of(model, samples=3):
    shapes = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
    return [RANDOM.normal(0, 1, (samples, *shape[1:])).astype(np.float32) for shape in shapes]


def check_engine(path, model, folder, inputs=None):
    inputs = inputs_of(model) if inputs is None else inputs
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    arrays = {f"inputs_{i}" if len(inputs) > 1 else "inputs": x for i, x in enumerate(inputs)}
    arrays |= {f"outputs_{i}": np.asarray(y) for i, y in enumerate(outputs)}
    reference = folder / "reference.npz"
    np.savez(reference, **arrays)
    verdict = kcompress("verify", path, "--reference", reference)
    assert verdict["passed"], verdict["failures"]
    for output in verdict["outputs"]:
        assert output["relative_discrepancy"] <= 1e-4


def stacks(k):
    """Name, input shape and layers of models that are one chain."""
    L = k.layers
    yield "conv1d", (20, 3), [
        L.Conv1D(5, 3, padding="causal", dilation_rate=2, activation="tanh"), L.Conv1D(4, 4, strides=3),
        L.MaxPooling1D(2), L.Flatten(), L.Dense(3)]
    yield "conv2d", (11, 9, 3), [
        L.Conv2D(6, (3, 2), padding="same", strides=(2, 1)), L.Conv2D(8, 3, dilation_rate=2, activation="elu"),
        L.AveragePooling2D(2, padding="same"), L.GlobalMaxPooling2D(), L.Dense(4, activation="softmax")]
    yield "conv3d", (6, 5, 4, 2), [
        L.Conv3D(4, 3, padding="same"), L.MaxPooling3D((2, 1, 2)), L.Conv3D(3, 2, strides=2), L.GlobalAveragePooling3D()]
    yield "depthwise", (9, 8, 4), [
        L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), L.SeparableConv2D(6, 3, strides=2, depth_multiplier=3),
        L.Flatten()]
    yield "transposed", (5, 4, 3), [
        L.Conv2DTranspose(4, 3, strides=2, padding="same"), L.Conv2DTranspose(2, 4, strides=3, padding="valid")]
    yield "normalization", (6, 6, 4), [
        L.BatchNormalization(epsilon=1e-2), L.LayerNormalization(), L.BatchNormalization(scale=False, center=False),
        L.Rescaling(1 / 2, offset=-1)]
    yield "activations", (6, 6, 4), [
        L.LeakyReLU(), L.PReLU(shared_axes=[1, 2]), L.ELU(0.7), L.ReLU(max_value=3.0, negative_slope=0.1, threshold=0.2),
        L.Activation("selu"), L.Activation("gelu"), L.Activation("swish"), L.Activation("hard_sigmoid"),
        L.Activation("softplus"), L.Activation("softsign"), L.Softmax(axis=1)]
    yield "shapes", (6, 4, 4), [
        L.ZeroPadding2D(((1, 2), (0, 3))), L.Cropping2D(((1, 0), (2, 1))), L.UpSampling2D((2, 3)),
        L.UpSampling2D(2, interpolation="bilinear"), L.Permute((2, 1, 3)), L.Reshape((-1, 8)), L.Cropping1D(3),
        L.ZeroPadding1D((1, 2)), L.UpSampling1D(2), L.Flatten(), L.RepeatVector(2)]
    yield "inference", (5,), [
        L.Dense(6, activation="sigmoid"), L.Dropout(0.5), L.GaussianNoise(0.1), L.ActivityRegularization(0.1), L.Dense(2)]


def chains():
    for library, k in LIBRARIES.items():
        for name, _, _ in stacks(k):
            yield library, name


@pytest.mark.parametrize("library, name", list(chains()))
def test_chain(tmp_path, library, name):
    k = LIBRARIES[library]
    shape, chain = next((shape, chain) for other, shape, chain in stacks(k) if other == name)
    model = k.Sequential([k.layers.Input(shape), *chain])
    randomise(model)
    check_engine(save(model, tmp_path), model, tmp_path)


def functional(k):
    """Two inputs, two outputs, a nested model used twice, merges of every kind."""
    L = k.layers
    inner_input = L.Input((8, 8, 6))
    x = L.Conv2D(6, 3, padding="same", activation="relu", name="inner_conv")(inner_input)
    inner = k.Model(inner_input, L.Add()([x, inner_input]), name="inner")
    first, second = L.Input((8, 8, 3), name="first"), L.Input((8, 8, 3), name="second")
    shared = L.Conv2D(6, 3, padding="same", name="shared")
    a, b = inner(shared(first)), inner(shared(second))
    merged = L.Concatenate()([
        L.Subtract()([a, b]), L.Multiply()([a, b]), L.Average()([a, b]), L.Maximum()([a, b]), L.Minimum()([a, b])])
    head = k.Sequential([L.Input((30,)), L.Dense(12, activation="relu"), L.Dense(5)], name="head")
    pooled = L.GlobalAveragePooling2D()(merged)
    return k.Model([first, second], [head(pooled), L.Dot(axes=1, normalize=True)([pooled, L.GlobalMaxPooling2D()(merged)])])


@pytest.mark.parametrize("library", LIBRARIES)
def test_functional(tmp_path, library):
    model = functional(LIBRARIES[library])
    randomise(model)
    check_engine(save(model, tmp_path), model, tmp_path)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("structure", ["svd", "tucker", "cp", "gkpd", "tt", "tr", "sekron"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_compressed_models(tmp_path, library, structure, is_nested):
    """Nested and shared layers, Conv1D, strides and dilation, a separable convolution, a dense layer: compressed, loaded, run."""
    k = LIBRARIES[library]
    L = k.layers
    inner_input = L.Input((12, 12, 16))
    inner = k.Model(
        inner_input, L.Conv2D(16, 3, padding="same", activation="relu", name="inner_conv")(inner_input), name="inner")
    image = L.Input((24, 24, 3))
    x = L.Conv2D(16, 3, strides=2, padding="same", name="down")(image)
    x = inner(inner(x)) if is_nested else L.Conv2D(16, 3, padding="same", activation="relu", name="plain")(x)
    x = L.Conv2D(24, 3, dilation_rate=2, activation="elu", name="dilated")(x)
    x = L.SeparableConv2D(24, 3, padding="same", name="separable")(x)
    x = L.Conv2D(32, 4, strides=2, padding="same", name="strided")(x)
    x = L.Reshape((16, 32))(x)
    x = L.Conv1D(32, 3, padding="same", activation="tanh", name="line")(x)
    x = L.Flatten()(x)
    model = k.Model(image, L.Dense(16, activation="softmax", name="classes")(x))
    randomise(model)
    path = save(model, tmp_path)
    size = path.stat().st_size
    plan_path = tmp_path / "plan.json"
    plan = kcompress("plan", path, "--budget", int(size * 0.6), "--structures", structure, "-o", plan_path)
    assert {layer["structure"] for layer in plan["layers"]} == {"dense", structure}
    compressed = tmp_path / "compressed.h5"
    kcompress("apply", plan_path, "-o", compressed, "--report", tmp_path / "report.html")
    assert compressed.stat().st_size <= size * 0.6
    # Keras 3 cannot load a nested model of tf.keras, compressed or not: the two number its calls differently.
    loaders = ["tf.keras"] if is_nested and library == "tf.keras" else None
    check_same_outputs(compressed, inputs_of(model)[0], tmp_path, loaders)


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_storage(tmp_path, library, compression):
    """Chunked and compressed datasets, and names split over several attributes, as Keras does beyond 64 kB."""
    k = LIBRARIES[library]
    model = k.Sequential([
        k.layers.Input((8, 8, 3)), k.layers.Conv2D(8, 3), k.layers.BatchNormalization(), k.layers.Flatten(), k.layers.Dense(4)])
    randomise(model)
    path = save(model, tmp_path)
    with h5py.File(path) as old, h5py.File(tmp_path / "chunked.h5", "w") as new:
        new.attrs.update(old.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                options = {"chunks": True, "compression": compression, "shuffle": True} if item.shape else {}
                new.create_dataset(name, data=item[()], **options)
            else:
                new.require_group(name).attrs.update(item.attrs)

        old.visititems(copy)
        section = new["model_weights"]
        names = [n.decode() if isinstance(n, bytes) else n for n in section.attrs["layer_names"]]
        del section.attrs["layer_names"]
        section.attrs["layer_names0"] = np.array(names[:2], "S")
        section.attrs["layer_names1"] = np.array(names[2:], "S")
    check_engine(tmp_path / "chunked.h5", model, tmp_path)


def test_weights_only(tmp_path):
    model = tf_keras.Sequential([tf_keras.layers.Input((8, 8, 3)), tf_keras.layers.Conv2D(8, 3, name="conv")])
    model.save_weights(tmp_path / "weights.h5")
    found = kcompress("inspect", tmp_path / "weights.h5")
    assert [layer["name"] for layer in found["layers"]] == ["conv"]
    assert found["graph_absence"] == "the file holds weights only"


def test_code_is_never_run(tmp_path):
    """A Lambda blocks running, with its name, not planning."""
    model = tf_keras.Sequential([
        tf_keras.layers.Input((8, 8, 16)), tf_keras.layers.Conv2D(16, 3, name="conv"),
        tf_keras.layers.Lambda(lambda x: x * 2.0, name="code")])
    path = save(model, tmp_path)
    found = kcompress("inspect", path)
    assert [layer["name"] for layer in found["layers"]] == ["conv"]
    assert "'code'" in found["cannot_run"]
    dense = kcompress("plan", path, "--budget", "1MB", *QUICK, "-o", tmp_path / "dense.json")["predicted"]["bytes"]
    plan = kcompress("plan", path, "--budget", dense - 1000, *QUICK, "-o", tmp_path / "plan.json")
    assert plan["layers"][0]["structure"] != "dense"
    kcompress("apply", tmp_path / "plan.json", "-o", tmp_path / "out.h5", "--report", tmp_path / "report.html")
    # Up to there the network is run.
    verdict = kcompress("verify", tmp_path / "out.h5")
    assert verdict["passed"] and "run up to layer 'code'" in verdict["source"]
    assert [output["name"] for output in verdict["outputs"]] == ["conv"] and verdict["outputs"][0]["relative_discrepancy"] > 0
    np.savez(tmp_path / "reference.npz", inputs=np.zeros((2, 8, 8, 16), np.float32), outputs=np.zeros((2, 6, 6, 16), np.float32))
    done = subprocess.run(
        [PROGRAM, "verify", path, "--reference", tmp_path / "reference.npz"], capture_output=True, text=True)
    assert done.returncode == 2 and "'code'" in done.stderr


def test_keras1(tmp_path):
    """A file in the form of Keras 1.2, kernels of TensorFlow's and of Theano's making."""
    kernel, bias = RANDOM.normal(0, 1, (3, 2, 3, 5)).astype(np.float32), RANDOM.normal(0, 1, 5).astype(np.float32)
    dense, offset = RANDOM.normal(0, 1, (5, 4)).astype(np.float32), RANDOM.normal(0, 1, 4).astype(np.float32)
    model = keras.Sequential([
        keras.layers.Input((7, 6, 3)), keras.layers.Conv2D(5, (3, 2), strides=(2, 1), padding="same", activation="relu"),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4, activation="softmax")])
    model.layers[0].set_weights([kernel, bias])
    model.layers[2].set_weights([dense, offset])
    inputs = inputs_of(model)
    convolution = {
        "name": "convolution2d_1", "trainable": True, "batch_input_shape": [None, 7, 6, 3], "input_dtype": "float32",
        "nb_filter": 5, "nb_row": 3, "nb_col": 2, "init": "glorot_uniform", "activation": "relu", "border_mode": "same",
        "subsample": [2, 1], "dim_ordering": "tf", "bias": True, "W_regularizer": None, "b_regularizer": None,
        "activity_regularizer": None, "W_constraint": None, "b_constraint": None}
    config = {"class_name": "Sequential", "config": [
        {"class_name": "Convolution2D", "config": convolution},
        {"class_name": "GlobalAveragePooling2D", "config": {
            "name": "globalaveragepooling2d_1", "trainable": True, "dim_ordering": "tf"}},
        {"class_name": "Dense", "config": {
            "name": "dense_1", "trainable": True, "output_dim": 4, "input_dim": 5, "init": "glorot_uniform",
            "activation": "softmax", "bias": True, "W_regularizer": None, "b_regularizer": None,
            "activity_regularizer": None, "W_constraint": None, "b_constraint": None}}]}
    for backend in ["tensorflow", "theano"]:
        path = tmp_path / f"{backend}.h5"
        with h5py.File(path, "w") as file:
            file.attrs["keras_version"], file.attrs["backend"] = b"1.2.2", backend.encode()
            file.attrs["model_config"] = json.dumps(config).encode()
            section = file.create_group("model_weights")
            section.attrs["layer_names"] = [b"convolution2d_1", b"globalaveragepooling2d_1", b"dense_1"]
            stored = kernel[::-1, ::-1] if backend == "theano" else kernel
            groups = {
                "convolution2d_1": {"convolution2d_1_W": stored, "convolution2d_1_b": bias},
                "globalaveragepooling2d_1": {}, "dense_1": {"dense_1_W": dense, "dense_1_b": offset}}
            for name, weights in groups.items():
                group = section.create_group(name)
                group.attrs["weight_names"] = [weight.encode() for weight in weights]
                for weight, value in weights.items():
                    group[weight] = value
        check_engine(path, model, tmp_path, inputs)
