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
# A plan for less time, of any size.
LIMITED = "0.6 of the time"


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
        size = checkpoint.stat().st_size
        files, predicted, macs = {"dense": checkpoint}, {}, {}

        def add(name, *options):
            path = folder / f"{len(files)}.onnx"
            plan = output_of(
                "plan", checkpoint, "--device", profile, "--cache", folder / "cache", "-o", folder / "plan.json", *options)
            output_of("apply", folder / "plan.json", "-o", path, "--report", path.with_suffix(".html"))
            files[name] = path
            predicted[name], macs[name] = plan["predicted"]["latency"], plan["predicted"]["macs"]
            predicted["dense"], macs["dense"] = plan["original"]["latency"], plan["original"]["macs"]

        for part, structures in PLANS:
            add(f"{structures or 'all structures'} at {part:.0%}", "--budget", int(part * size),
                *(["--structures", structures] if structures else []))
        limit = 0.6 * predicted["dense"]
        add(LIMITED, "--max-latency", f"{limit * 1e6:.0f}us")
        measured = {name: [] for name in files}
        # In turn, so that what else the machine does meets all of them.
        for _ in range(ROUNDS):
            for name, path in files.items():
                timed = output_of("bench", path, "--batch", 1, "--threads", 1, "--repetitions", 60, "--no-profile")
                measured[name].append(timed["latency"])
    least = {name: min(times) for name, times in measured.items()}
    print("latency of ResNet-20, one sample on one thread, as `bench` measured it and as `plan` predicted it:")
    for name in sorted(files, key=least.get):
        print(
            f"  {name:24} {macs[name] / 1e6:6.1f} M MACs, {least[name] * 1e3:.2f} ms, "
            f"predicted {predicted[name] * 1e3:.2f} ms")
    plans = [name for name in files if name not in ("dense", LIMITED)]
    times = [least[name] for name in plans]
    print(
        f"  rank correlation (Spearman) of the {len(plans)} plans: {spearman(times, [predicted[n] for n in plans]):.3f} "
        f"(at least 0.9); of their MACs: {spearman(times, [macs[n] for n in plans]):.3f}")
    print(
        f"  planned for 0.6 of the time: {least[LIMITED] / least['dense']:.2f} of it as measured (below 1)", flush=True)
