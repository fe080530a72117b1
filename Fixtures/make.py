"""Makes the fixtures: a small residual network trained on scikit-learn's digits, in Keras.

    python Fixtures/make.py        # needs tensorflow, scikit-learn, h5py and safetensors

digits.h5               the model as Keras 3 writes it, optimiser state included
digits.safetensors      its weights under PyTorch's names and in PyTorch's kernel order
digits.reference.npz    inputs (NHWC, 0..1), outputs (softmax) and labels of the held-out images
digits.calibration.npz  inputs alone, of the training images
"""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from safetensors.numpy import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).parent


def build():
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(32, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    shortcut = x
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="block_conv1")(x)
    x = layers.Conv2D(32, 3, padding="same", name="block_conv2")(x)
    x = layers.BatchNormalization(name="block_bn")(x)
    x = layers.Add(name="block_add")([x, shortcut])
    x = layers.ReLU(name="block_relu")(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", name="down")(x)
    x = layers.ReLU(name="down_relu")(x)
    x = layers.SeparableConv2D(64, 3, padding="same", activation="relu", name="separable")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(64, activation="relu", name="hidden")(x)
    outputs = layers.Dense(10, activation="softmax", name="digit")(x)
    return keras.Model(inputs, outputs, name="digits")


def torch_tensors(model):
    """The weights in PyTorch's names and layouts, as someone who ports the network would write them."""
    tensors = {}
    for layer in model.layers:
        weights = {w.name: np.asarray(w) for w in layer.weights}
        if isinstance(layer, layers.BatchNormalization):
            rename = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
                      "moving_variance": "running_var"}
            for name, value in weights.items():
                tensors[f"{layer.name}.{rename[name]}"] = value
            tensors[f"{layer.name}.num_batches_tracked"] = np.array(1, np.int64)
        elif isinstance(layer, layers.SeparableConv2D):
            tensors[f"{layer.name}.depthwise.weight"] = weights["depthwise_kernel"].transpose(2, 3, 0, 1)
            tensors[f"{layer.name}.pointwise.weight"] = weights["pointwise_kernel"].transpose(3, 2, 0, 1)
            tensors[f"{layer.name}.pointwise.bias"] = weights["bias"]
        elif "kernel" in weights:
            kernel = weights["kernel"]
            order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
            tensors[f"{layer.name}.weight"] = kernel.transpose(order)
            if "bias" in weights:
                tensors[f"{layer.name}.bias"] = weights["bias"]
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def main():
    keras.utils.set_random_seed(7)
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., None]
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target, test_size=300, random_state=7, stratify=digits.target)
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy",
        metrics=["accuracy"])
    model.fit(train_x, train_y, batch_size=64, epochs=25, verbose=2)
    print("held-out accuracy", model.evaluate(test_x, test_y, verbose=0)[1])

    model.save(HERE / "digits.h5")
    save_file(torch_tensors(model), HERE / "digits.safetensors", metadata={"format": "pt"})
    np.savez_compressed(
        HERE / "digits.reference.npz", inputs=test_x,
        outputs=model.predict(test_x, verbose=0), labels=test_y.astype(np.int64))
    np.savez_compressed(HERE / "digits.calibration.npz", inputs=train_x[:500])


if __name__ == "__main__":
    main()
