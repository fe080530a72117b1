"""Keras 3's .keras archives: what is written loads without a warning and computes what the engine computes."""

import warnings

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
