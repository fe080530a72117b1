"""Compressed Keras files load in Keras 3 and in tf.keras without custom objects, and compute there what our engine computes."""

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from conftest import FIXTURES, compress, kcompress, shared, whole_size

FRAMEWORKS = {"keras3": keras.models.load_model, "tf.keras": tf_keras.models.load_model}


def frameworks(checkpoint):
    """Both, but for tf.keras on files of Keras 3, whose configurations it does not know."""
    if checkpoint.suffix == ".keras":
        return ["keras3"]
    with h5py.File(checkpoint) as file:
        version = file.attrs["keras_version"]
    is_new = (version.decode() if isinstance(version, bytes) else version).startswith("3")
    return [name for name in FRAMEWORKS if name == "keras3" or not is_new]


def check_same_outputs(path, inputs, folder, names=None):
    """Every framework's outputs for these inputs are the engine's, to 1e-4 relative discrepancy."""
    for name in names or frameworks(path):
        load = FRAMEWORKS[name]
        model = load(path, compile=False)
        outputs = np.asarray(model(inputs, training=False))
        reference = folder / f"{name}.npz"
        np.savez(reference, inputs=inputs, outputs=outputs)
        verdict = kcompress("verify", path, "--reference", reference, "--max-discrepancy", "1e-4")
        assert verdict["passed"] and verdict["samples"] == len(inputs)
        assert verdict["outputs"][0]["max_absolute_difference"] <= 1e-4 * max(1, np.abs(outputs).max())


def digits():
    return np.load(FIXTURES / "digits.reference.npz")["inputs"][:64]


@pytest.mark.parametrize("structure", ["svd", "tucker", "cp", "gkpd", "tt", "tr", "sekron", None])
@pytest.mark.parametrize("budget", [95_000, 120_000])
def test_digits(tmp_path, structure, budget):
    """Every structure alone, and all of them, which is what a plan tries unless it is told otherwise."""
    path, plan = compress(FIXTURES / "digits.h5", tmp_path, budget, *(["--structures", structure] if structure else []))
    used = {layer["structure"] for layer in plan["layers"]} - {"dense"}
    assert used and (structure is None or used == {structure})
    check_same_outputs(path, digits(), tmp_path)


def test_calibrated_digits(tmp_path):
    path, plan = compress(
        FIXTURES / "digits.h5", tmp_path, 76_000, "--structures", "tucker", "--calibration",
        FIXTURES / "digits.calibration.npz")
    assert plan["options"]["calibration"] and any(layer["structure"] != "dense" for layer in plan["layers"])
    check_same_outputs(path, digits(), tmp_path)


@pytest.mark.parametrize(
    "name, budget",
    [
        ("mlperf_tiny/pretrainedResnet.h5", 200_000),
        ("mlperf_tiny/pretrainedResnet.h5", 120_000),
        ("mlperf_tiny/vww_96.h5", 700_000),
        ("mlperf_tiny/str_ww_ref_model.h5", 150_000),
        ("face_classification/fer2013_mini_XCEPTION.102-0.66.hdf5", 400_000),
        ("face_classification/fer2013_mini_XCEPTION.102-0.66.hdf5", 200_000),
        ("mobilenet_v1/mobilenet_v1_0.25_224.h5", 1_600_000),
    ],
)
def test_real_checkpoints(tmp_path, name, budget):
    checkpoint = shared(name)
    reference = shared(name.rsplit(".", 1)[0] + ".reference.npz")
    path, _ = compress(checkpoint, tmp_path, budget)
    check_same_outputs(path, np.load(reference)["inputs"][:4], tmp_path)


@pytest.mark.parametrize("structure", ["sekron", "gkpd", "tt", "tr", "cp", "tucker"])
def test_each_structure_on_mobilenet(tmp_path, structure):
    checkpoint = shared("mlperf_tiny/vww_96.h5")
    inputs = np.load(shared("mlperf_tiny/vww_96.reference.npz"))["inputs"][:4]
    whole = whole_size(checkpoint, structure, "-o", tmp_path / "whole.plan.json")
    path, plan = compress(checkpoint, tmp_path, int(0.6 * whole), "--structures", structure)
    assert any(layer["structure"] == structure for layer in plan["layers"])
    check_same_outputs(path, inputs, tmp_path)


def test_all_structures_compete(tmp_path):
    checkpoint = shared("face_classification/fer2013_mini_XCEPTION.102-0.66.hdf5")
    inputs = np.load(shared("face_classification/fer2013_mini_XCEPTION.102-0.66.reference.npz"))["inputs"][:4]
    path, plan = compress(checkpoint, tmp_path, 170_000)
    assert {layer["structure"] for layer in plan["layers"]} - {"dense"}
    check_same_outputs(path, inputs, tmp_path)


def test_untouched_weights_are_bit_identical(tmp_path):
    path, plan = compress(FIXTURES / "digits.h5", tmp_path, 120_000)
    dense = {layer["name"] for layer in plan["layers"] if layer["structure"] == "dense"}
    before = keras.models.load_model(FIXTURES / "digits.h5", compile=False)
    after = keras.models.load_model(path, compile=False)
    compared = 0
    for layer in before.layers:
        if layer.name in dense or isinstance(layer, keras.layers.BatchNormalization):
            for ours, theirs in zip(after.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
                assert ours.tobytes() == theirs.tobytes()
                compared += 1
    assert compared >= 8
