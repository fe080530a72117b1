"""Keras 3's .keras archives: what is written loads without a warning and computes what the engine computes."""

import io
import json
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from conftest import compress, kcompress, shared, whole_size
from test_keras import check_same_outputs

STRUCTURES = ["svd", "sekron", "gkpd", "tt", "tr", "cp", "tucker"]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_mnist(tmp_path, structure):
    checkpoint = shared("keras3_mnist/model.keras")
    inputs = np.load(shared("keras3_mnist/model.reference.npz"))["inputs"]
    # A third is the optimiser's.
    path, plan = compress(checkpoint, tmp_path, 550_000, "--structures", structure)
    assert any(layer["structure"] == structure for layer in plan["layers"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keras.models.load_model(path)
    check_same_outputs(path, inputs, tmp_path, ["keras3"])


def nested():
    """Two convolutions of one class with a branch, normalisation, a nested model and a layer used twice."""
    inner = keras.Sequential(
        [keras.Input((8, 8, 16)), layers.Conv2D(16, 3, padding="same"), layers.BatchNormalization()], name="inner")
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="zz")(x)
    shared_layer = layers.Conv2D(16, 3, padding="same", name="twice")
    y = layers.SeparableConv2D(16, 3, padding="same")(x)
    x = layers.Add()([shared_layer(inner(x)), shared_layer(y)])
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(10, activation="softmax", name="aa")(x)
    model = keras.Model(inputs, outputs)
    for variable in model.weights:
        if "variance" not in variable.path:
            variable.assign(np.random.default_rng(len(variable.path)).normal(0, 0.3, variable.shape))
    return model


@pytest.mark.parametrize("structure", ["sekron", "cp", "tt"])
def test_nested(tmp_path, structure):
    checkpoint = tmp_path / "model.keras"
    model = nested()
    model.save(checkpoint)
    inputs = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)
    reference = tmp_path / "reference.npz"
    np.savez(reference, inputs=inputs, outputs=np.asarray(model(inputs)))
    assert kcompress("verify", checkpoint, "--reference", reference)["passed"]
    whole = whole_size(checkpoint, structure)
    path, plan = compress(checkpoint, tmp_path, whole - 6_000, "--structures", structure)
    assert any(layer["structure"] == structure for layer in plan["layers"])
    check_same_outputs(path, inputs, tmp_path, ["keras3"])


def test_dense_form(tmp_path):
    checkpoint = shared("keras3_mnist/model.keras")
    path, _ = compress(checkpoint, tmp_path, 550_000, "--structures", "tucker,svd")
    dense = tmp_path / "dense.keras"
    kcompress("apply", tmp_path / "model.plan.json", "--dense", "-o", dense, "--report", tmp_path / "dense.html")
    before, after = keras.models.load_model(checkpoint), keras.models.load_model(dense)
    assert [w.shape for w in before.weights] == [w.shape for w in after.weights]
    inputs = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    expected = np.asarray(keras.models.load_model(path)(inputs))
    assert np.linalg.norm(np.asarray(after(inputs)) - expected) <= 1e-4 * np.linalg.norm(expected)


def rewritten(model, path, rename, container="layers", version="2.13.1"):
    """Saves a Sequential or functional model with its layers' groups under other names."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    old = h5py.File(io.BytesIO(members["model.weights.h5"]), "r")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as new:
        new.create_group("vars")

        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                _, layer, *rest = name.split("/")
                new[rename(container, layer, rest)] = item[()]

        old["layers"].visititems(lambda name, item: copy("layers/" + name, item))
    members["model.weights.h5"] = buffer.getvalue()
    members["metadata.json"] = json.dumps({"keras_version": version}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def check_rewritten(path, model, tmp_path):
    inputs = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)
    reference = tmp_path / "reference.npz"
    np.savez(reference, inputs=inputs, outputs=np.asarray(model(inputs)))
    assert kcompress("verify", path, "--reference", reference)["passed"]
    written, plan = compress(path, tmp_path, whole_size(path, "svd") - 2_000, "--structures", "svd")
    assert any(layer["structure"] == "svd" for layer in plan["layers"])
    check_same_outputs(written, inputs, tmp_path, ["keras3"])


def convolutions():
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(16, 3, name="a"), layers.MaxPooling2D(), layers.Conv2D(24, 3, name="b"),
         layers.MaxPooling2D(), layers.Conv2D(16, 1, name="c"), layers.Flatten(), layers.Dense(5)])
    for variable in model.weights:
        variable.assign(np.random.default_rng(len(variable.path)).normal(0, 0.3, variable.shape))
    return model


def test_layers_that_count_twice(tmp_path):
    """TensorFlow 2.12 and 2.13 came by each layer with weights twice: conv2d, conv2d_2, conv2d_4."""
    def rename(container, layer, rest):
        base, _, number = layer.rpartition("_")
        if base == "conv2d":
            layer = f"conv2d_{2 * int(number)}"
        return "/".join([container, layer, *rest])

    model, path = convolutions(), tmp_path / "model.keras"
    rewritten(model, path, rename, "_layer_checkpoint_dependencies")
    check_rewritten(path, model, tmp_path)
    with zipfile.ZipFile(tmp_path / "compressed.keras") as archive:
        assert "layers" in h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r")


def test_archives_of_windows(tmp_path):
    model, path = convolutions(), tmp_path / "model.keras"
    rewritten(model, path, lambda container, layer, rest: f"{container}\\{layer}/" + "/".join(rest), version="2.15.0")
    check_rewritten(path, model, tmp_path)


@keras.saving.register_keras_serializable("test")
class Own(keras.Model):
    """A model whose wiring is code."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.first = layers.Conv2D(8, 3)
        self.second = layers.Dense(12)

    def call(self, inputs):
        return self.second(self.first(inputs))


def test_a_model_of_its_own_class(tmp_path):
    """Its weights go by their paths, and what is written holds them all."""
    path, inputs = tmp_path / "model.keras", np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    model = Own()
    expected = np.asarray(model(inputs))
    model.save(path)
    found = kcompress("inspect", path)
    assert [layer["name"] for layer in found["layers"]] == ["first", "layers/dense"]
    assert "Own" in found["graph_absence"] and all("Own" in layer["refusal"] for layer in found["layers"])
    written, _ = compress(path, tmp_path, 10_000_000)
    assert np.array_equal(np.asarray(keras.models.load_model(written)(inputs)), expected)
    assert kcompress("verify", written)["passed"]
    half, _ = compress(path, tmp_path, 10_000_000, "--dtype", "f16")
    assert np.allclose(np.asarray(keras.models.load_model(half)(inputs)), expected, atol=1e-2)
