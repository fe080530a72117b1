"""How fast ResNet-20 trains, dense and with 3x CP, against PyTorch on the same machine, threads and batch."""

import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

THREADS = 2
BATCH = 64
SAMPLES = 1024


def kcompress_speed(program, checkpoint, shared, folder, *options):
    """Samples a second of the epochs after the first."""
    output = folder / "tuned.safetensors"
    done = subprocess.run(
        [program, "tune", str(checkpoint), "--graph", str(shared / "cifar_resnet/resnet20.onnx"), "--data",
         str(shared / "cifar10/calibration.npz"), "--max-samples", str(SAMPLES), "--batch", str(BATCH), "--held-out", "0.01",
         "--epochs", "4", "--optimizer", "nesterov", "--statistics", "batch", "--input-scale", str(1 / 255), "--threads",
         str(THREADS), "--json", "-o", str(output), "--overwrite", *options],
        capture_output=True, text=True, check=False)
    epochs = json.loads(done.stdout)["epochs"]
    times = [b["seconds"] - a["seconds"] for a, b in zip(epochs[1:], epochs[2:])]
    return round(0.99 * SAMPLES) / statistics.median(times)


def pytorch_speed(model):
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(THREADS)
    x, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    steps = torch.optim.SGD(model.train().parameters(), lr=1e-4, momentum=0.9, nesterov=True)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        steps.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        steps.step()
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times[2:])


def run(program, shared):
    weights = shared / "cifar_resnet/resnet20.safetensors"
    if not weights.exists() or not (shared / "cifar10/calibration.npz").exists():
        print("training: skipped, ResNet-20 is not there")
        return
    import sys

    import torch
    from safetensors.torch import load_file

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests/Interop"))
    from test_pytorch import ResNet

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        loader = folder / "kcompress_torch.py"
        loader.write_bytes(subprocess.run([program, "loader", "pytorch"], stdout=subprocess.PIPE, check=True).stdout)
        spec = importlib.util.spec_from_file_location("kcompress_torch", loader)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        plan, compressed = folder / "plan.json", folder / "compressed.safetensors"
        graph = ["--graph", str(shared / "cifar_resnet/resnet20.onnx")]
        size = weights.stat().st_size // 3
        subprocess.run(
            [program, "plan", str(weights), "--budget", str(size), "--structures", "cp", "-o", str(plan), "--quiet", *graph],
            stdout=subprocess.DEVNULL, check=True)
        subprocess.run(
            [program, "apply", str(plan), "-o", str(compressed), "--report", str(folder / "r.html"), "--quiet"],
            stdout=subprocess.DEVNULL, check=True)
        dense, factored = ResNet(3), ResNet(3)
        dense.load_state_dict(load_file(weights))
        module.load_compressed(factored, str(compressed))
        for name, checkpoint, model, options in [
            ("dense", weights, dense, ["--labels"]), ("3x CP", compressed, factored, ["--original", str(weights)])]:
            ours = kcompress_speed(program, checkpoint, shared, folder, *options)
            theirs = pytorch_speed(model)
            print(
                f"training, ResNet-20 {name}, batch {BATCH}, {THREADS} threads: {ours:.0f} samples a second, PyTorch "
                f"{torch.__version__} {theirs:.0f}: {ours / theirs:.2f} of its speed (at least 0.4)", flush=True)
