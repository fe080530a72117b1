"""Models with dictionaries, lists and models inside models: values keep their keys, and what is written loads with every weight in its
own place."""

import keras
import numpy as np
import pytest
import tf_keras

from conftest import kcompress
from test_layers import LIBRARIES, RANDOM, randomise, save


def two_heads(k):
    """Outputs by keys that are not in alphabetical order, of equal shapes."""
    image = k.Input((8, 8, 3), name="image")
    x = k.layers.Conv2D(32, 3, padding="same", activation="relu")(image)
    x = k.layers.GlobalAveragePooling2D()(k.layers.Conv2D(32, 3, activation="relu")(x))
    return k.Model(image, {"mask": k.layers.Dense(4, name="m")(x), "label": k.layers.Dense(4, name="l")(x)})


def two_sides(k):
    """Dictionaries of inputs and of outputs."""
    wide, tall = k.Input((64,), name="wide"), k.Input((64,), name="tall")
    a, b = k.layers.Dense(64, name="a")(wide), k.layers.Dense(64, name="b")(tall)
    both = k.layers.Subtract()([a, b])
    return k.Model(
        {"wide": wide, "tall": tall},
        {"sex": k.layers.Dense(3, name="s")(both), "age": k.layers.Dense(64, name="g")(a), "code": b})


def nested(k):
    """A model inside whose outputs have keys."""
    patch = k.Input((8, 8, 24), name="patch")
    inner = k.Model(
        patch, {"low": k.layers.Conv2D(32, 3, name="ca")(patch), "high": k.layers.Conv2D(32, 3, name="cb")(patch)},
        name="features")
    image = k.Input((8, 8, 24), name="image")
    found = inner(image)
    x = k.layers.Subtract()([k.layers.Conv2D(32, 1, name="post")(found["high"]), found["low"]])
    return k.Model(image, k.layers.GlobalAveragePooling2D()(x))


def inner_inputs(k):
    """A model inside that takes a dictionary."""
    p, q = k.Input((64,), name="p"), k.Input((64,), name="q")
    inner = k.Model(
        {"second": q, "first": p}, k.layers.Concatenate()([k.layers.Dense(64, name="u")(p), k.layers.Dense(64, name="v")(q)]),
        name="pair")
    x, y = k.Input((64,), name="x"), k.Input((64,), name="y")
    return k.Model([x, y], k.layers.Dense(5, name="last")(inner({"first": y, "second": x})))


def autoencoder(k):
    """The result of a model inside is an output too, and the model is called twice."""
    x = k.Input((8, 8, 2), name="x")
    encoder = k.Sequential(
        [k.Input((8, 8, 4)), k.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"), k.layers.Conv2D(32, 3, padding="same")],
        name="encoder")
    code = k.Input((4, 4, 32))
    decoder = k.Model(
        code, k.layers.Conv2D(2, 3, padding="same", name="d2")(
            k.layers.UpSampling2D()(k.layers.Conv2D(32, 3, padding="same", name="d1")(code))), name="decoder")
    before = k.layers.Conv2D(4, 3, padding="same", name="before")
    first = encoder(before(x))
    image = decoder(first)
    return k.Model(x, [image, first, encoder(before(image))])


def inner_twice(k):
    """A functional model inside that is called twice; only its first result is an output."""
    p = k.Input((64,), name="p")
    tower = k.Model(p, k.layers.Dense(64, name="t2")(k.layers.Dense(64, activation="tanh", name="t1")(p)), name="tower")
    a, b = k.Input((64,), name="a"), k.Input((64,), name="b")
    left = tower(a)
    return k.Model([a, b], {"distance": k.layers.Subtract()([tower(b), left]), "anchor": left})


MODELS = {make.__name__: make for make in [two_heads, two_sides, nested, inner_inputs, autoencoder, inner_twice]}


def cases():
    for name in MODELS:
        for library, suffix in [("keras3", ".h5"), ("keras3", ".keras"), ("tf.keras", ".h5")]:
            yield name, library, suffix


def arranged(model, arrays):
    """The inputs as the model takes them, from arrays by name."""
    names = [tensor.name.split(":")[0] for tensor in model.inputs]
    values = [arrays[name] for name in names]
    return {name: arrays[name] for name in names} if isinstance(model.input, dict) else values if len(values) > 1 else values[0]


def flat(outputs):
    """Outputs by the names under which the program shows them; lists by their positions."""
    if isinstance(outputs, dict):
        return {key: np.asarray(value) for key, value in outputs.items()}
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return {f"outputs_{index}": np.asarray(value) for index, value in enumerate(outputs)}


@pytest.mark.parametrize("name, library, suffix", list(cases()))
def test_structures(name, library, suffix, tmp_path):
    k = LIBRARIES[library]
    k.backend.clear_session()
    model = MODELS[name](k)
    randomise(model)
    path = save(model, tmp_path, f"model{suffix}")
    arrays = {
        tensor.name.split(":")[0]: RANDOM.normal(0, 1, (3, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs}
    check(path, k.models.load_model(path, compile=False), arrays, tmp_path)
    plan = tmp_path / "model.plan.json"
    kcompress("plan", path, "--at", "60%", "--structures", "svd,tucker", "-o", plan)
    output = tmp_path / f"compressed{suffix}"
    applied = kcompress("apply", plan, "-o", output, "--report", tmp_path / "report.html")
    assert any(layer["structure"] != "dense" for layer in applied["layers"])
    loaded = k.models.load_model(output, compile=False)
    check(output, loaded, arrays, tmp_path)
    # The same keys with the same shapes, and close to the original.
    before, after = flat(model(arranged(model, arrays))), flat(loaded(arranged(loaded, arrays)))
    assert {key: value.shape for key, value in before.items()} == {key: value.shape for key, value in after.items()}
    worst = max(np.linalg.norm(after[key] - before[key]) / np.linalg.norm(before[key]) for key in before)
    promised = applied["network"]["relative_discrepancy"]
    assert worst <= 3 * promised + 1e-4


def check(path, model, arrays, folder):
    """The program computes of the file what the framework computes."""
    reference = folder / "reference.npz"
    names = list(arrays)
    given = {"inputs": arrays[names[0]]} if len(names) == 1 else arrays
    np.savez(reference, **given, **flat(model(arranged(model, arrays), training=False)))
    verdict = kcompress("verify", path, "--reference", reference, "--max-discrepancy", 1e-4)
    assert verdict["passed"], verdict["failures"]
    assert len(verdict["outputs"]) == len(flat(model(arranged(model, arrays))))
