"""Keras files whose weights take 2 to 8 bits load in Keras 3 and tf.keras like any other, compute what our engine computes, can be trained
on, and can be saved again."""

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from conftest import FIXTURES, compress, kcompress
from test_keras import check_same_outputs, digits, frameworks


def network(folder, suffix):
    """A small network of Keras 3, and inputs for it."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([
        keras.layers.Input((10, 10, 3)), keras.layers.Conv2D(16, 3, activation="relu"), keras.layers.BatchNormalization(),
        keras.layers.Conv2D(24, 3, strides=2, padding="same"), keras.layers.SeparableConv2D(16, 3), keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ])
    path = folder / f"model{suffix}"
    model.save(path)
    return path, np.random.default_rng(0).normal(size=(8, 10, 10, 3)).astype(np.float32)


def smallest(checkpoint, bits, structures="none"):
    """The bytes of the smallest file that a plan can reach."""
    arguments = ["--budget", "1kB", "--structures", structures, "--bits", bits]
    return kcompress("plan", checkpoint, *arguments, status=1)["smallest"]


def kernels(model):
    return [np.asarray(weight) for weight in model.get_weights() if weight.ndim > 1]


def check(path, plan, inputs, folder, bits):
    assert any(layer.get("bits") for layer in plan["layers"])
    check_same_outputs(path, inputs, folder)
    for name in frameworks(path):
        framework = {"keras3": keras, "tf.keras": tf_keras}[name]
        model = framework.models.load_model(path, compile=False)
        few = [kernel for kernel in kernels(model) if len(np.unique(kernel)) < 2**bits]
        assert few and all(kernel.dtype == np.float32 for kernel in few)
        before = [kernel.copy() for kernel in kernels(model)]
        model.compile("sgd", "mse")
        model.fit(inputs, np.ones((len(inputs), *model.output_shape[1:])), epochs=1, verbose=0)
        assert any((a != b).any() for a, b in zip(before, kernels(model), strict=True))
        again = folder / f"again {name}{path.suffix}"
        model.save(again)
        loaded = framework.models.load_model(again, compile=False)
        for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
            assert (a == b).all()


@pytest.mark.parametrize("bits", range(2, 9))
def test_digits(tmp_path, bits):
    """Rounding alone."""
    checkpoint = FIXTURES / "digits.h5"
    path, plan = compress(
        checkpoint, tmp_path, smallest(checkpoint, bits) + 100, "--structures", "none", "--bits", bits)
    check(path, plan, digits(), tmp_path, bits)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("bits, structures", [(3, "none"), (4, "svd"), (6, "tucker"), (8, "svd")])
def test_keras3(tmp_path, suffix, bits, structures):
    checkpoint, inputs = network(tmp_path, suffix)
    # Less than rounding alone can reach.
    budget = (smallest(checkpoint, bits) + smallest(checkpoint, bits, structures)) // 2
    path, plan = compress(checkpoint, tmp_path, budget, "--structures", structures, "--bits", bits)
    assert {layer["structure"] for layer in plan["layers"]} <= {"dense", structures}
    check(path, plan, inputs, tmp_path, bits)


def test_calibrated_digits(tmp_path):
    """With samples the rounding knows what the network sees; apply keeps the size that the plan has announced."""
    checkpoint = FIXTURES / "digits.h5"
    path, plan = compress(
        checkpoint, tmp_path, smallest(checkpoint, 4) + 5_000, "--structures", "svd", "--bits", "4,6,8", "--calibration",
        FIXTURES / "digits.calibration.npz")
    check(path, plan, digits(), tmp_path, 8)


def test_only_what_is_rounded_needs_a_new_library(tmp_path):
    """The superblock of a file with numbers of the layers' own type is that of HDF5 1.8."""
    checkpoint = FIXTURES / "digits.h5"
    path, _ = compress(checkpoint, tmp_path, 120_000, "--structures", "svd")
    with open(path, "rb") as file:
        assert file.read(9)[8] == 2
    path, _ = compress(checkpoint, tmp_path, smallest(checkpoint, 8), "--structures", "none", "--bits", 8)
    with open(path, "rb") as file:
        assert file.read(9)[8] == 3
    with h5py.File(path) as file:
        assert file.attrs["model_config"]
