"""Keras weights whose architecture lies in a file of its own: .weights.h5 and weights-only .h5."""

import warnings

import keras
import numpy as np
import pytest
import tf_keras
from keras.src.legacy.saving import legacy_h5_format

from conftest import PROGRAM, compress, kcompress, whole_size
from test_keras_archive import nested
import h5py
import subprocess

STRUCTURES = ["sekron", "gkpd", "tt", "tr", "cp", "tucker"]


def keras3(folder, name):
    """Keras 3's model with its weights in one of the two layouts; returns its outputs for fixed inputs."""
    model = nested()
    if name.endswith(".weights.h5"):
        model.save_weights(folder / name)
    else:
        with h5py.File(folder / name, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return keras, model


def old(folder, name):
    """The same for tf.keras."""
    layers = tf_keras.layers
    model = tf_keras.Sequential([
        layers.Input((16, 16, 3)),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        tf_keras.Sequential([layers.Conv2D(32, 3, padding="same"), layers.BatchNormalization()]),
        layers.SeparableConv2D(32, 3),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])
    for variable in model.weights:
        if "variance" not in variable.name:
            variable.assign(np.random.default_rng(len(variable.name)).normal(0, 0.1, variable.shape))
    model.save_weights(folder / name)
    return tf_keras, model


def inputs():
    return np.random.default_rng(0).random((4, 16, 16, 3), np.float32)


def outputs(model):
    return np.asarray(model(inputs(), training=False))


@pytest.mark.parametrize("make", [keras3, old])
@pytest.mark.parametrize("name", ["model.weights.h5", "weights.h5"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_weights(tmp_path, make, name, structure):
    framework, model = make(tmp_path, name)
    architecture = tmp_path / "network.json"
    architecture.write_text(model.to_json())
    reference = tmp_path / "reference.npz"
    np.savez(reference, inputs=inputs(), outputs=outputs(model))
    beside = ["--architecture", architecture]
    assert kcompress("verify", tmp_path / name, "--reference", reference, *beside)["passed"]

    whole = whole_size(tmp_path / name, structure, *beside)
    plan = kcompress("plan", tmp_path / name, "--budget", whole * 3 // 4, "--structures", structure, *beside)
    assert {layer["structure"] for layer in plan["layers"]} == {structure, "dense"}
    stem = name.removesuffix(".weights.h5") if name.endswith(".weights.h5") else name.removesuffix(".h5")
    result = kcompress("apply", tmp_path / f"{stem}.plan.json")
    output = tmp_path / (stem + ".compressed" + name.removeprefix(stem))
    assert result["output"] == str(output)
    assert output.stat().st_size == result["bytes"] == plan["predicted"]["bytes"] <= whole * 3 // 4

    loaded = framework.models.model_from_json((tmp_path / f"{stem}.compressed.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded.load_weights(output)
    np.savez(reference, inputs=inputs(), outputs=outputs(loaded))
    # The architecture beside it is found, and so is the original with its own.
    verdict = kcompress("verify", output, "--reference", reference, "--max-discrepancy", "1e-4")
    assert verdict["passed"] and all(layer["discrepancy"] is not None for layer in verdict["layers"])
    assert kcompress("verify", output)["passed"]


def failure(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_what_does_not_fit(tmp_path):
    _, model = keras3(tmp_path, "model.weights.h5")
    alone = kcompress("inspect", tmp_path / "model.weights.h5")
    assert any("--architecture" in notice for notice in alone["notices"])
    assert all("architecture" in layer["refusal"] for layer in alone["layers"])
    other = tmp_path / "other.json"
    narrow = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(10)])
    other.write_text(narrow.to_json())
    assert "model.weights.h5" in failure("inspect", tmp_path / "model.weights.h5", "--architecture", other)
    other.write_text("{}")
    assert "class_name" in failure("inspect", tmp_path / "model.weights.h5", "--architecture", other)
    other.write_text("not json")
    assert "other.json" in failure("inspect", tmp_path / "model.weights.h5", "--architecture", other)
    model.save(tmp_path / "model.keras")
    other.write_text(model.to_json())
    assert "takes no --architecture" in failure("inspect", tmp_path / "model.keras", "--architecture", other)


def test_architecture_of_another_width(tmp_path):
    """The shapes of the weights must be those that the architecture asks for."""
    def model(filters):
        return keras.Sequential([
            keras.Input((8, 8, 3)), keras.layers.Conv2D(filters, 3), keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
    model(16).save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "other.json").write_text(model(32).to_json())
    failure("inspect", tmp_path / "model.weights.h5", "--architecture", tmp_path / "other.json")


@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
def test_weights_alone_are_written_and_verified(tmp_path, name):
    """Without an architecture nothing is compressed, and every tensor is compared with the original's."""
    keras3(tmp_path, name)
    written, _ = compress(tmp_path / name, tmp_path, 10_000_000)
    verdict = kcompress("verify", written)
    assert verdict["passed"] and any("all" in notice for notice in verdict["notices"])
    with h5py.File(written, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        file[names[0]][...] = 0.5
    assert names[0] in kcompress("verify", written, status=1)["failures"][0]
