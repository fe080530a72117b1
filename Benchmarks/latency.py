"""How well the profile that `kcompress bench` fits to this machine predicts how long compressed networks take.

Ten plans of ResNet-20, of different sizes and structures, are applied; each file is timed and predicted.
"""

import json
import math
import pathlib
import subprocess
import tempfile

# The part of the original's bytes, and the structures.
PLANS = [
    (0.8, None), (0.5, None), (0.3, None), (0.15, None), (0.5, "svd"), (0.2, "svd"), (0.25, "cp"), (0.4, "tt"),
    (0.3, "tucker"), (0.5, "gkpd"),
]
ROUNDS = 5


def ranks(values):
    """Equal values share the mean of their ranks."""
    return [sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2 for value in values]


def spearman(a, b):
    """The correlation of the ranks."""
    a, b = ranks(a), ranks(b)
    mean = (len(a) - 1) / 2
    covariance = sum((x - mean) * (y - mean) for x, y in zip(a, b))
    return covariance / math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))


def run(program, shared):
    checkpoint = shared / "cifar_resnet/resnet20.onnx"
    if not checkpoint.exists():
        print("latency: skipped, ResNet-20 is not there")
        return

    def output_of(*arguments):
        return json.loads(subprocess.run(
            [program, *map(str, arguments), "--json", "--quiet"], capture_output=True, text=True, check=True).stdout)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        profile = folder / "host.json"
        output_of("bench", checkpoint, "-o", profile)
        files = {"dense": checkpoint}
        for part, structures in PLANS:
            name = f"{structures or 'all structures'} at {part:.0%}"
            files[name] = folder / f"{len(files)}.onnx"
            plan = folder / "plan.json"
            options = ["--structures", structures] if structures else []
            output_of("plan", checkpoint, "--budget", int(part * checkpoint.stat().st_size), "-o", plan, *options)
            output_of("apply", plan, "-o", files[name], "--report", folder / f"{len(files)}.html")
        measured, predicted, macs = ({name: [] for name in files} for _ in range(3))
        # In turn, so that what else the machine does meets all of them.
        for _ in range(ROUNDS):
            for name, path in files.items():
                timed = output_of(
                    "bench", path, "--batch", 1, "--threads", 1, "--repetitions", 40, "--no-profile", "--device", profile)
                measured[name].append(timed["latency"])
                predicted[name] = timed["predicted"]
                macs[name] = timed["networks"][0]["macs"]
    print("latency of ResNet-20, one sample on one thread, as `bench` measured it and as its profile predicts it:")
    for name in sorted(files, key=lambda name: min(measured[name])):
        print(
            f"  {name:24} {macs[name] / 1e6:6.1f} M MACs, {min(measured[name]) * 1e3:.2f} ms, "
            f"predicted {predicted[name] * 1e3:.2f} ms")
    plans = [name for name in files if name != "dense"]
    least = [min(measured[name]) for name in plans]
    print(
        f"  rank correlation (Spearman) of the {len(plans)} plans: {spearman(least, [predicted[n] for n in plans]):.3f} "
        f"(at least 0.9); of their MACs: {spearman(least, [macs[n] for n in plans]):.3f}", flush=True)
