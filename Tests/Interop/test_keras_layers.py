"""Recurrent layers, attention, embeddings with masks, normalizations and operators, made by Keras 3 and by tf.keras: the engine
computes what the framework computes. Many layers stand in one model, so that few processes run."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from conftest import QUICK, kcompress
from test_layers import LIBRARIES, check_engine, randomise, save

RANDOM = np.random.default_rng(11)
SAMPLES = 3
# Padding at the end, in the middle and in front.
TOKENS = np.array([[3, 1, 4, 1, 5, 0], [0, 0, 2, 6, 0, 5], [7, 0, 0, 0, 0, 0]])


def normal(*shape):
    return RANDOM.normal(0, 1, (SAMPLES, *shape)).astype(np.float32)


def padded(*shape):
    """Sequences with steps of zeros, which Masking leaves out."""
    values = normal(*shape)
    values[TOKENS == 0] = 0
    return values


class Network:
    """A model with an input and some outputs for every layer that is tried."""

    def __init__(self, library):
        self.k = LIBRARIES[library]
        self.inputs, self.values, self.outputs = [], [], []

    def input(self, values):
        values = np.asarray(values)
        dtype = "int32" if values.dtype.kind == "i" else "float32"
        self.inputs.append(self.k.layers.Input(values.shape[1:], dtype=dtype))
        self.values.append(values.astype(dtype))
        return self.inputs[-1]

    def add(self, *results):
        for result in results:
            self.outputs += list(result) if isinstance(result, (list, tuple)) else [result]

    def check(self, folder, name="model.h5"):
        model = self.k.Model(self.inputs, self.outputs)
        randomise(model)
        path = save(model, folder, name)
        check_engine(path, model, folder, self.values)
        return path, model


def recurrent(n):
    L = n.k.layers
    x, y = n.input(normal(6, 4)), n.input(normal(6, 4))
    for make in [L.LSTM, L.GRU, L.SimpleRNN]:
        n.add(make(3)(x), make(3, return_sequences=True, return_state=True, go_backwards=True)(x))
        n.add(make(3, activation="relu", use_bias=False, unroll=True)(x))
        _, *states = make(3, return_state=True)(y)
        n.add(make(3, return_sequences=True)(x, initial_state=states))
    n.add(L.LSTM(3, recurrent_activation="hard_sigmoid")(x), L.GRU(3, reset_after=False)(x), L.GRU(3, reset_after=False, use_bias=False)(x))
    n.add(L.RNN(L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(3), L.SimpleRNNCell(2)]), return_sequences=True)(x))
    n.add(L.RNN(L.GRUCell(3), return_state=True)(x))
    for mode in ["concat", "sum", "ave", "mul"]:
        n.add(L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode=mode)(x), L.Bidirectional(L.LSTM(3), merge_mode=mode)(x))
    n.add(L.Bidirectional(L.LSTM(3, return_sequences=True, return_state=True))(x))
    n.add(L.Bidirectional(L.SimpleRNN(3), merge_mode=None)(x))
    n.add(L.Bidirectional(L.LSTM(3, return_sequences=True), backward_layer=L.GRU(2, go_backwards=True, return_sequences=True))(x))


def masked(n):
    L = n.k.layers
    tokens, x = n.input(TOKENS), n.input(padded(6, 4))
    embedded = L.Embedding(8, 5, mask_zero=True)(tokens)
    held = L.Masking(0.0)(x)
    for value in [embedded, held]:
        n.add(L.LSTM(3, return_sequences=True, return_state=True)(value), L.GRU(3)(value), L.GRU(3, go_backwards=True)(value))
        n.add(L.SimpleRNN(3, return_sequences=True, go_backwards=True)(value))
        n.add(L.GlobalAveragePooling1D()(value))
        # A mask goes through layers that do not read it.
        n.add(L.LSTM(2)(L.Activation("tanh")(L.Dense(4)(L.Dropout(0.5)(value)))))
        n.add(L.LSTM(2)(L.LayerNormalization()(L.LSTM(3, return_sequences=True)(value))))
        n.add(L.Bidirectional(L.LSTM(2, return_sequences=True))(value), L.Bidirectional(L.GRU(2))(value))
        n.add(L.RNN(L.StackedRNNCells([L.GRUCell(3), L.LSTMCell(2)]), return_sequences=True)(value))
        n.add(L.GRU(2)(L.TimeDistributed(L.Dense(3))(value)))
        # Convolutions drop it.
        n.add(L.LSTM(2)(L.Conv1D(3, 2, padding="same")(value)))
    n.add(L.LSTM(3)(L.Concatenate()([embedded, held])), L.GRU(3)(L.Add()([L.Dense(4)(embedded), held])))
    n.add(L.Attention()([embedded, embedded]), L.AdditiveAttention()([held, L.Dense(4)(embedded)]))
    # Keras 3 takes the masks from the values that these layers are applied to.
    query, value = L.Embedding(8, 5, mask_zero=True)(tokens), L.Masking()(x)
    result = L.MultiHeadAttention(2, 3)(query, value)
    n.add(result, L.GRU(2)(result), L.GRU(3)(L.Add()([query, result])))


def attention(n):
    L = n.k.layers
    x, y, z, image = n.input(normal(6, 8)), n.input(normal(5, 8)), n.input(normal(5, 7)), n.input(normal(3, 4, 5))
    n.add(L.Attention()([x, y]), L.Attention(use_scale=True)([x, z, y]), L.AdditiveAttention()([x, y]))
    n.add(L.AdditiveAttention(use_scale=False)([x, z, y]), L.Attention(score_mode="concat", use_scale=True)([x, y]))
    n.add(L.Attention()([x, x], use_causal_mask=True), L.Attention()([x, y], return_attention_scores=True))
    n.add(L.MultiHeadAttention(2, 3)(x, y), L.MultiHeadAttention(2, 3, value_dim=4, output_shape=(5,))(x, z, y))
    n.add(L.MultiHeadAttention(2, 3, use_bias=False)(x, x, use_causal_mask=True))
    n.add(L.MultiHeadAttention(3, 2, dropout=0.3)(x, y, return_attention_scores=True))
    n.add(L.MultiHeadAttention(2, 3)(image, image), L.MultiHeadAttention(2, 3, attention_axes=(2,))(image, image))


def newer_attention(n):
    """What only Keras 3 has."""
    L = n.k.layers
    x, y = n.input(normal(6, 8)), n.input(normal(5, 8))
    n.add(L.GroupQueryAttention(3, 4, 2)(x, y), L.GroupQueryAttention(3, 4, 1, use_gate=True)(x, x, use_causal_mask=True))
    n.add(L.MultiHeadAttention(2, 3, use_gate=True)(x, y), L.MultiHeadAttention(2, 3, sliding_window=2)(x, x))
    n.add(L.RMSNormalization()(x), L.LayerNormalization(rms_scaling=True)(x), L.AdaptiveAveragePooling1D(4)(x))
    image = n.input(normal(7, 5, 4))
    n.add(L.AdaptiveMaxPooling2D((3, 2))(image), L.AdaptiveAveragePooling2D(3)(image), L.SpectralNormalization(L.Conv2D(3, 2))(image))


def others(n):
    L = n.k.layers
    x, image, frames, tokens = n.input(normal(6, 8)), n.input(normal(7, 6, 4)), n.input(normal(3, 7, 6, 2)), n.input(TOKENS)
    n.add(L.GroupNormalization(2)(image), L.GroupNormalization(-1, axis=1, scale=False)(image), L.UnitNormalization()(image))
    n.add(L.LayerNormalization(axis=[1, 2, 3])(image), L.LayerNormalization(axis=[2, 1])(image), L.LayerNormalization(axis=1)(image))
    n.add(L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d", activation="relu")(x))
    n.add(L.EinsumDense("...x,xyz->...yz", output_shape=(2, 3), bias_axes="yz")(image))
    n.add(L.EinsumDense("abc,cbd->adb", output_shape=(5, 6), bias_axes="db")(x))
    n.add(L.TimeDistributed(L.Conv2D(3, 3, strides=2, activation="relu"))(frames), L.TimeDistributed(L.BatchNormalization())(frames))
    n.add(L.TimeDistributed(L.Flatten())(frames), L.TimeDistributed(L.MaxPooling2D())(frames), L.TimeDistributed(L.LSTM(2))(image))
    n.add(L.ConvLSTM2D(2, 3, strides=2, padding="same", return_sequences=True, return_state=True)(frames))
    n.add(L.ConvLSTM2D(3, 2, dilation_rate=2, go_backwards=True, use_bias=False)(frames), L.ConvLSTM1D(3, 2)(image))
    n.add(L.Softmax(axis=(1, 2))(image), L.GlobalMaxPooling2D(keepdims=True)(image), L.GlobalAveragePooling1D(keepdims=True)(x))
    n.add(L.UpSampling2D((2, 4), interpolation="bicubic")(image), L.Resizing(9, 4)(image))
    n.add(L.Resizing(4, 9, interpolation="nearest")(image), L.CenterCrop(4, 3)(image))
    n.add(L.Embedding(8, 3)(tokens), L.CategoryEncoding(8)(tokens), L.CategoryEncoding(8, output_mode="count")(tokens))
    n.add(L.Discretization([-0.5, 0.0, 0.7])(x), L.IntegerLookup(vocabulary=[5, 3, 1])(tokens))


def older(n):
    """What only tf.keras has."""
    L = n.k.layers
    x, image = n.input(normal(9, 4)), n.input(normal(7, 6, 4))
    n.add(L.LocallyConnected1D(3, 2, strides=2, activation="relu")(x), L.LocallyConnected2D(3, (2, 3), use_bias=False)(image))
    n.add(L.ThresholdedReLU(0.4)(x))


def operators(n):
    """Keras 3's operators."""
    o = n.k.ops
    x, y, image = n.input(normal(4, 6)), n.input(normal(4, 6)), n.input(normal(4, 6, 8))
    n.add(o.relu(x) * 2 + y - 1, (1 - x) / (o.abs(y) + 1), o.where(x > y, x, -y), x**2, o.maximum(x, 0.1), o.clip(x, -0.5, 0.5))
    n.add(o.exp(x), o.log1p(o.square(x)), o.rsqrt(o.abs(x) + 1), o.round(x * 3), o.floor_divide(x, 0.3), o.mod(x, 0.7), o.erf(x))
    n.add(o.gelu(x), o.gelu(x, approximate=False), o.silu(x), o.leaky_relu(x, 0.1), o.softmax(x, axis=1), o.log_softmax(x))
    n.add(o.mean(x, axis=-1), o.sum(image, axis=(1, 2), keepdims=True), o.max(x, axis=1), o.var(image, axis=(2, 3)), o.std(x, axis=1))
    n.add(o.logsumexp(x, axis=-1), o.argmax(x, axis=-1), o.any(x > 1.5, axis=1), o.all(x > -1, axis=2), o.prod(x, axis=1))
    n.add(x[:, 1:3], x[..., ::-1], x[:, -1, None, 2:], x[:, :, 0], o.reshape(image, (-1, 24, 8)), o.transpose(image, (0, 3, 1, 2)))
    n.add(o.expand_dims(x, 1), o.squeeze(x[:, :1], 1), o.concatenate([x, y], axis=1), o.stack([x, y], axis=2), o.split(x, 3, axis=2))
    n.add(o.split(x, [1, 4], axis=2), o.tile(x, [1, 2, 1]), o.repeat(x, 3, axis=1), o.flip(x, axis=2), o.roll(x, 2, axis=1))
    n.add(o.pad(x, [[0, 0], [1, 2], [0, 0]]), o.swapaxes(image, 1, 3), o.moveaxis(image, 1, -1), o.take(x, [0, 2], axis=1))
    n.add(o.matmul(x, o.transpose(y, (0, 2, 1))), o.einsum("abc,adc->abd", x, y), o.tensordot(image, np.ones((8, 6, 2), np.float32), axes=[[2, 3], [1, 0]]))
    n.add(o.one_hot(o.cast(o.abs(x), "int32"), 4), o.normalize(x, axis=-1), o.logical_and(x > 0, y > 0), o.isnan(x), o.sign(x))
    n.add(o.image.resize(image, (6, 9)), o.max_pool(image, 2), o.average_pool(image, 2, padding="same"), o.zeros_like(x) + x)


def tensorflow_operators(n):
    """TensorFlow's functions in a model of tf.keras."""
    x, y, image = n.input(normal(4, 6)), n.input(normal(4, 6)), n.input(normal(4, 6, 8))
    n.add(tf.nn.relu(x) * 2 + y - 1, (1 - x) / (tf.abs(y) + 1), tf.where(x > y, x, -y), x**2, tf.maximum(x, 0.1))
    n.add(tf.clip_by_value(x, -0.5, 0.5), tf.exp(x), tf.math.log1p(tf.square(x)), tf.math.rsqrt(tf.abs(x) + 1), tf.round(x * 3))
    n.add(x // 0.3, x % 0.7, tf.math.squared_difference(x, y), tf.nn.gelu(x), tf.nn.silu(x), tf.nn.leaky_relu(x, 0.1), tf.nn.relu6(x * 5))
    n.add(tf.nn.softmax(x, axis=1), tf.nn.log_softmax(x), tf.reduce_mean(x, -1), tf.reduce_sum(image, [1, 2], keepdims=True))
    n.add(tf.reduce_max(x, 1), tf.math.reduce_variance(image, [2, 3]), tf.math.reduce_std(x, 1), tf.reduce_logsumexp(x, -1))
    n.add(tf.cast(tf.argmax(x, -1), tf.float32), tf.cast(tf.reduce_any(x > 1.5, 1), tf.float32), tf.cast(x, tf.int32), tf.sqrt(tf.abs(x)))
    n.add(x[:, 1:3], x[..., ::-1], x[:, -1, None, 2:], x[:, :, 0], tf.reshape(image, (-1, 24, 8)), tf.transpose(image, [0, 3, 1, 2]))
    n.add(tf.expand_dims(x, 1), tf.squeeze(x[:, :1], 1), tf.concat([x, y], 1), tf.stack([x, y], 2), tf.split(x, 3, axis=2))
    n.add(tf.split(x, [1, 2, 3], axis=2), tf.unstack(x, axis=1), tf.tile(x, [1, 2, 1]), tf.repeat(x, 3, axis=1), tf.reverse(x, [2]))
    n.add(tf.roll(x, 2, 1), tf.pad(x, [[0, 0], [1, 2], [0, 0]]), tf.gather(x, [0, 2], axis=1), tf.matmul(x, y, transpose_b=True))
    n.add(tf.one_hot(tf.cast(tf.abs(x), tf.int32), 4), tf.math.l2_normalize(x, -1), tf.nn.bias_add(x, [1.0, 2, 3, 4, 5, 6]))
    n.add(tf.reshape(x, (tf.shape(x)[0], -1)), tf.image.resize(image, (6, 9)), tf.image.resize(image, (3, 4), method="nearest"))
    n.add(tf.nn.max_pool2d(image, 2, 2, "VALID"), tf.nn.avg_pool2d(image, 3, 2, "SAME"), tf.nn.depth_to_space(image, 2))
    n.add(tf.identity(x), tf.zeros_like(x) + x, tf.add_n([x, y, x]), tf.tensordot(x, tf.ones((6, 2)), 1))


def applications(n):
    """Layers that keras.applications has for itself."""
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
    x = n.input(normal(4, 6))
    y = StochasticDepth(0.3)(LayerScale(0.5, 6)(x))
    n.add(y, CustomScaleLayer(0.17)([x, y]))


FAMILIES = [(family, library) for family in [recurrent, masked, attention, others] for library in LIBRARIES] + [
    (newer_attention, "keras3"), (applications, "keras3"), (operators, "keras3"), (older, "tf.keras"), (tensorflow_operators, "tf.keras")]


@pytest.mark.parametrize("family, library", FAMILIES, ids=lambda value: getattr(value, "__name__", value))
def test_engine(tmp_path, family, library):
    network = Network(library)
    family(network)
    # Keras 3 does not read operators from a .h5 file itself.
    network.check(tmp_path, "model.keras" if library == "keras3" else "model.h5")


def check_compressed(k, path, values, folder, saving=8000):
    """What apply writes loads in Keras and is the engine's network; returns the layers of the plan by name."""
    plan_path = folder / "plan.json"
    whole = kcompress("plan", path, "--budget", "10MB", *QUICK)["predicted"]["bytes"]
    plan = kcompress("plan", path, "--budget", whole - saving, *QUICK, "-o", plan_path)
    written = folder / f"written{path.suffix}"
    kcompress("apply", plan_path, "-o", written, "--report", folder / "report.html")
    assert written.stat().st_size == plan["predicted"]["bytes"]
    outputs = k.models.load_model(written, compile=False)(values, training=False)
    reference = folder / "written.npz"
    np.savez(reference, inputs=values, outputs=np.asarray(outputs))
    verdict = kcompress("verify", written, "--reference", reference, "--max-discrepancy", "1e-4")
    assert verdict["passed"], verdict["failures"]
    return {layer["name"]: layer for layer in plan["layers"]}


def mixed(k):
    """Convolutions to compress among layers whose weights lie deeper in a file."""
    L = k.layers
    frames = L.Input((4, 10, 10, 3))
    x = L.TimeDistributed(k.Sequential([L.Input((10, 10, 3)), L.Conv2D(8, 3), L.BatchNormalization(), L.GlobalMaxPooling2D()]))(frames)
    x = L.Conv1D(48, 3, padding="same", activation="relu", name="first")(x)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True))(x)
    x = L.MultiHeadAttention(2, 4)(x, x)
    x = L.Conv1D(48, 3, padding="same", name="second")(x)
    return k.Model(frames, L.Dense(5)(L.GRU(6)(L.TimeDistributed(L.Dense(32))(x))))


@pytest.mark.parametrize("library, suffix", [("keras3", ".keras"), ("keras3", ".h5"), ("tf.keras", ".h5")])
def test_compressed(tmp_path, library, suffix):
    model = mixed(LIBRARIES[library])
    randomise(model)
    path = save(model, tmp_path, "model" + suffix)
    values = normal(4, 10, 10, 3)
    check_engine(path, model, tmp_path, [values])
    layers = check_compressed(LIBRARIES[library], path, values, tmp_path)
    factored = {name for name, layer in layers.items() if layer["structure"] != "dense"}
    assert factored and factored <= {"first", "second"}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_products_over_the_last_axis(tmp_path, suffix):
    """An EinsumDense that is a Dense is factored like one; any other stays, with the reason."""
    L = keras.layers
    x = inputs = L.Input((5, 40))
    x = L.EinsumDense("abc,cd->abd", output_shape=(5, 60), bias_axes="d", activation="relu", name="rows")(x)
    x = L.EinsumDense("...x,xy->...y", output_shape=40, name="dots")(x)
    x = L.EinsumDense("abc,bcd->abd", output_shape=(5, 3), name="each")(x)
    model = keras.Model(inputs, x)
    randomise(model)
    path = save(model, tmp_path, "model" + suffix)
    check_engine(path, model, tmp_path, [normal(5, 40)])
    layers = check_compressed(keras, path, normal(5, 40), tmp_path, 6000)
    assert {layers[name]["structure"] for name in ["rows", "dots"]} != {"dense"}
    assert layers["each"]["structure"] == "dense"
    each = next(layer for layer in kcompress("inspect", path)["layers"] if layer["name"] == "each")
    assert "EinsumDense" in each["refusal"]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("kind", ["int8", "lora"])
def test_keras_own_compression(tmp_path, kind, suffix):
    """Models that Keras quantised run as in Keras and keep their integers; LoRA's matrices become a part of their kernels."""
    L = keras.layers
    model = keras.Sequential([
        L.Input((12, 6)), L.Conv1D(48, 3, activation="relu", name="conv"), L.Conv1D(48, 3, name="other"),
        L.EinsumDense("abc,cd->abd", output_shape=(8, 16), bias_axes="d", activation="relu", name="einsum"), L.Flatten(),
        L.Dense(24, activation="relu", name="wide"), L.Dense(5, name="classes")])
    randomise(model)
    if kind == "int8":
        model.quantize("int8")
    else:
        for layer in [model.get_layer("conv"), model.get_layer("einsum"), model.get_layer("wide")]:
            layer.enable_lora(3, lora_alpha=2)
        randomise(model)
    path = save(model, tmp_path, "model" + suffix)
    values = normal(12, 6)
    check_engine(path, model, tmp_path, [values])
    layers = check_compressed(keras, path, values, tmp_path)
    factored = {name for name, layer in layers.items() if layer["structure"] != "dense"}
    assert factored and (kind == "lora" or factored <= {"conv", "other"})
