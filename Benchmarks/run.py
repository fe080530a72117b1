"""Measures what the project promises about speed and memory, and prints one line for each promise.

    make bench

Real checkpoints are taken from KCOMPRESS_DATA or ../shared/data; what is not there is printed as skipped.
Two things that are compared are measured in turn, in one run; the ratio counts, not the times.
"""

import json
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

import adaptation
import latency
import planning
import rosa
import structures
import training

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHARED = pathlib.Path(os.environ.get("KCOMPRESS_DATA", ROOT.parent / "shared" / "data"))
PROGRAM = os.environ.get("KCOMPRESS", str(ROOT / ".build/release/kcompress"))
THREADS = 2


def measured(*arguments):
    """Runs a command; returns its wall-clock seconds and its peak resident memory in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    assert os.waitstatus_to_exitcode(status) == 0, arguments
    return seconds, usage.ru_maxrss * 1024


def processor():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    flags = next((line.split() for line in open("/proc/cpuinfo") if line.startswith("flags")), [])
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no AVX")
    return f"{names[0] if names else platform.machine()} ({widest})"


def plan_and_apply(name, budget, limit_seconds):
    checkpoint = SHARED / name
    if not checkpoint.exists():
        print(f"plan + apply {name}: skipped, the checkpoint is not there")
        return
    size = checkpoint.stat().st_size
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        plan = folder / "model.plan.json"
        planned, plan_memory = measured("plan", checkpoint, "--budget", budget, "-o", plan)
        applied, apply_memory = measured(
            "apply", plan, "-o", folder / f"out{checkpoint.suffix}", "--report", folder / "report.html")
    memory = max(plan_memory, apply_memory)
    limit_memory = 3 * size + 200_000_000
    print(
        f"plan + apply {name} at {budget}: {planned:.1f} s + {applied:.1f} s (at most {limit_seconds} s), "
        f"peak memory {memory / 1e6:.0f} MB (at most {limit_memory / 1e6:.0f} MB)")


def onnx_of(model):
    """The Keras model as ONNX, for the layers that ResNet-8 is made of."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    names = {}
    height, width, channels = model.input_shape[1:]
    nodes.append(helper.make_node("Transpose", ["input"], ["nchw"], perm=[0, 3, 1, 2]))
    for layer in model.layers:
        kind, name = type(layer).__name__, layer.name
        if kind == "InputLayer":
            names[layer.output.name] = "nchw"
            continue
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        inputs = [names[source.name] for source in sources]
        weights = [np.asarray(w) for w in layer.get_weights()]
        if kind == "Conv2D":
            arguments = [inputs[0], constant(name + ".w", weights[0].transpose(3, 2, 0, 1))]
            arguments += [constant(name + ".b", weights[1])] if layer.use_bias else []
            pads = {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]
            nodes.append(helper.make_node(
                "Conv", arguments, [name], strides=layer.strides, auto_pad=pads))
        elif kind == "BatchNormalization":
            arguments = [constant(f"{name}.{i}", w) for i, w in enumerate(weights)]
            nodes.append(helper.make_node(
                "BatchNormalization", inputs + arguments, [name], epsilon=float(layer.epsilon)))
        elif kind == "Activation":
            operator = {"relu": "Relu", "softmax": "Softmax"}[layer.activation.__name__]
            nodes.append(helper.make_node(operator, inputs, [name]))
        elif kind == "Add":
            nodes.append(helper.make_node("Add", inputs, [name]))
        elif kind == "AveragePooling2D":
            nodes.append(helper.make_node(
                "AveragePool", inputs, [name], kernel_shape=layer.pool_size, strides=layer.strides))
        elif kind == "Flatten":
            assert layer.output.shape[-1] == sources[0].shape[-1], "only a 1 x 1 map has one order"
            nodes.append(helper.make_node("Flatten", inputs, [name]))
        elif kind == "Dense":
            nodes.append(helper.make_node(
                "Gemm", inputs + [constant(name + ".w", weights[0]), constant(name + ".b", weights[1])],
                [name + ".logits"]))
            nodes.append(helper.make_node("Softmax", [name + ".logits"], [name]))
        else:
            raise SystemExit(f"no ONNX form for {kind}")
        names[layer.output.name] = name
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "resnet8", [value("input", onnx.TensorProto.FLOAT, ["n", height, width, channels])],
        [value(names[model.output.name], onnx.TensorProto.FLOAT, None)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def engine_against_onnxruntime(batch=64):
    checkpoint = SHARED / "mlperf_tiny/pretrainedResnet.h5"
    if not checkpoint.exists():
        print("engine against onnxruntime: skipped, ResNet-8 is not there")
        return
    import numpy as np
    import tf_keras

    model = tf_keras.models.load_model(checkpoint, compile=False)
    session = session_of(onnx_of(model).SerializeToString())
    inputs = np.random.default_rng(0).random((batch, 32, 32, 3), np.float32)
    difference = np.abs(session.run(None, {"input": inputs})[0] - model(inputs).numpy()).max()
    assert difference <= 1e-4, f"the ONNX form differs by {difference}"

    compare_with_onnxruntime("ResNet-8", checkpoint, session, inputs, repetitions=20)


def onnx_against_onnxruntime(name, shape):
    checkpoint = SHARED / name
    if not checkpoint.exists():
        print(f"engine against onnxruntime: skipped, {name} is not there")
        return
    import numpy as np

    inputs = np.random.default_rng(0).random(shape, np.float32)
    compare_with_onnxruntime(name, checkpoint, session_of(str(checkpoint)), inputs, repetitions=5)


def session_of(model):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def compare_with_onnxruntime(name, checkpoint, session, inputs, repetitions, rounds=5):
    """Times both in turn on batches of the same shape."""
    import onnxruntime

    named = {session.get_inputs()[0].name: inputs}
    theirs, ours = [], []
    for _ in range(rounds):
        times = []
        for _ in range(repetitions + 1):
            start = time.perf_counter()
            session.run(None, named)
            times.append(time.perf_counter() - start)
        theirs.append(statistics.median(times[1:]))
        done = subprocess.run(
            [PROGRAM, "bench", str(checkpoint), "--batch", str(len(inputs)), "--threads", str(THREADS), "--repetitions",
             str(repetitions), "--input-shape", "x".join(map(str, inputs.shape[1:])), "--no-profile", "--json"],
            capture_output=True, text=True, check=True)
        ours.append(json.loads(done.stdout)["median"])
    ratios = [t / o for t, o in zip(theirs, ours)]
    print(
        f"engine, {name}, {inputs.shape}, {THREADS} threads: {statistics.median(ours) * 1e3:.1f} ms, onnxruntime "
        f"{onnxruntime.__version__} {statistics.median(theirs) * 1e3:.1f} ms: {statistics.median(ratios):.2f} of its speed "
        f"({min(ratios):.2f} to {max(ratios):.2f}; at least 0.5)", flush=True)


if __name__ == "__main__":
    print(f"{processor()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    plan_and_apply("cifar_resnet/resnet56.safetensors", 1_726_040, 60)
    plan_and_apply("mlperf_tiny/pretrainedResnet.h5", 200_000, 5)
    engine_against_onnxruntime()
    onnx_against_onnxruntime("cifar_resnet/resnet20.onnx", (64, 3, 32, 32))
    onnx_against_onnxruntime("vdsr/vdsr.onnx", (2, 1, 224, 224))
    structures.run(PROGRAM, SHARED)
    latency.run(PROGRAM, SHARED)
    planning.run(SHARED)
    rosa.run()
    training.run(PROGRAM, SHARED)
    adaptation.adapt()
