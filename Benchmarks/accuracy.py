"""What compression without training costs in accuracy: plan, apply and verify for several sizes, structures and seeds.

    make accuracy                                          every network, size, structure, seed and baseline (hours)
    make accuracy ARGUMENTS="--networks resnet32 --ratios 5 --structures all cp --seeds 0 1 2"
    make accuracy ARGUMENTS="--baseline uniform --ratios 3 5"

    make accuracy ARGUMENTS="--networks resnet32 --bytes 187000 --bits auto"

A ratio counts all parameters of the network; the file may add 40 kB of graph. --bytes counts the whole file, --bits lets weights have fewer bits. Fits and plans see calibration images without labels, and the
accuracy is that on images which they never saw. Plans that find nothing that fits are left out with a line. Benchmarks/frontier.py draws the rows.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHARED = pathlib.Path(os.environ.get("KCOMPRESS_DATA", ROOT.parent / "shared" / "data"))
PROGRAM = os.environ.get("KCOMPRESS", str(ROOT / ".build/release/kcompress"))
NORMALISED = ["--input-scale", "0.00392156862745098", "--input-mean", "0.485,0.456,0.406", "--input-std", "0.229,0.224,0.225"]
ROOM = 40_000


def cifar(name, preparation=NORMALISED):
    return dict(
        checkpoint=SHARED / name, calibration=SHARED / "cifar10/calibration.npz",
        reference=SHARED / "cifar10/validation.npz", preparation=preparation, measure="accuracy")


NETWORKS = {
    "resnet20": cifar("cifar_resnet/resnet20.onnx"),
    "resnet32": cifar("cifar_resnet/resnet32.onnx"),
    "resnet56": cifar("cifar_resnet/resnet56.onnx"),
    "resnet32.safetensors": dict(
        cifar("cifar_resnet/resnet32.safetensors"), graph=SHARED / "cifar_resnet/resnet32.onnx"),
    "resnet8": cifar("mlperf_tiny/pretrainedResnet.h5", []),
    "vdsr": dict(
        checkpoint=SHARED / "vdsr/vdsr.onnx", calibration=None, reference=SHARED / "vdsr/set5-x2.npz", preparation=[],
        measure="psnr"),
}


def run(*arguments):
    """The JSON that a command prints, and its seconds and peak memory in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen([PROGRAM, *map(str, arguments), "--json", "--quiet"], stdout=subprocess.PIPE)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 1), arguments
    return json.loads(text or "{}"), time.perf_counter() - start, usage.ru_maxrss * 1024


def luminance(path):
    """Patches as VDSR sees them: the luminance of natural images, halved and enlarged again by cubic interpolation."""
    from PIL import Image

    images = numpy.load(SHARED / "cifar10/calibration.npz")["inputs"]
    if images.shape[-1] != 3:
        images = images.transpose(0, 2, 3, 1)
    # Nine small images make one, so that most positions lie inside.
    count, side = 64, 3
    patches = []
    for number in range(count):
        rows = [numpy.concatenate(list(images[(number * 9 + 3 * r):(number * 9 + 3 * r + side)]), axis=1) for r in range(side)]
        grey = Image.fromarray(numpy.concatenate(rows)).convert("YCbCr").split()[0]
        small = grey.resize((grey.width // 2, grey.height // 2), Image.BICUBIC)
        patches.append(numpy.asarray(small.resize(grey.size, Image.BICUBIC), dtype=numpy.float32) / 255)
    numpy.savez(path, inputs=numpy.stack(patches)[:, None])
    return path


def uniform(plan, ratio):
    """The plan with a CP of the same ratio in every layer that it compresses."""
    document = json.loads(plan.read_text())
    for layer in document["layers"]:
        out, inner, *window = layer["shape"]
        if layer["structure"] == "dense" or len(window) != 2:
            continue
        each = out + inner + window[0] * window[1]
        layer["structure"] = "cp"
        layer["shapes"] = [[out, 1, 1, 1], [1, inner, 1, 1], [1, 1, *window]]
        layer["ranks"] = [max(1, int(out * inner * window[0] * window[1] / ratio / each))]
    plan.write_text(json.dumps(document))


def case(name, ratio, structures, seed, baseline, samples, folder, size=None, bits=None):
    network = NETWORKS[name]
    checkpoint = network["checkpoint"]
    if not checkpoint.exists() or not network["reference"].exists():
        print(f"{name}: skipped, the data is not there", flush=True)
        return
    parameters = run("inspect", checkpoint)[0]["parameters"]
    budget = size or int(parameters * 4 / ratio) + ROOM
    graph = ["--graph", network["graph"]] if "graph" in network else []
    calibration = network["calibration"] or luminance(folder / "luminance.npz")
    options = ["--calibration", calibration, "--max-samples", samples, *network["preparation"]]
    chosen = ([] if structures == "all" else ["--structures", structures]) + graph + (["--bits", bits] if bits else [])
    plan = folder / f"{checkpoint.name}.plan.json"
    if baseline == "uniform":
        # Equal in every layer, so the size of the file is what it is; the weights decide about the fits.
        run("plan", checkpoint, "--budget", budget, "--structures", "cp", "--no-cache", "-o", plan)
        uniform(plan, ratio)
        planning, plan_memory = 0.0, 0
    else:
        planned, planning, plan_memory = run(
            "plan", checkpoint, "--budget", budget, "--seed", seed, "--cache", folder / "cache", "-o", plan, *chosen,
            *([] if baseline else options))
        if "layers" not in planned:
            print(f"{name}: no plan of {structures} fits {budget} bytes", flush=True)
            return
    output = folder / f"compressed{checkpoint.suffix}"
    applied, applying, memory = run(
        "apply", plan, "-o", output, "--report", folder / "report.html", "--overwrite")
    verdict = run(
        "verify", output, *graph, "--reference", network["reference"], "--original", checkpoint, "--max-discrepancy", 100,
        *network["preparation"])[0]
    measure = network["measure"]
    calibrated = applied["calibration"] or {}
    factor = 100 if measure == "accuracy" else 1
    reached = [f"{verdict[key] * factor:.2f}" if verdict[key] is not None else "-" for key in (measure, "original_" + measure)]
    losses = [f"{loss:.3f}" for loss in calibrated.get("losses", [])]
    agreement = calibrated.get("agreement")
    print(
        f"| {name} | {checkpoint.stat().st_size / applied['bytes']:.2f} | {baseline or structures}{' bits ' + bits if bits else ''} | {seed} | {applied['bytes']} | {reached[0]} | {reached[1]} "
        f"| {f'{100 * agreement:.1f}' if agreement is not None else '-'} | {' '.join(losses[:1] + losses[-1:]) or '-'} "
        f"| {planning:.0f} + {applying:.0f} | {plan_memory / 1e6:.0f}, {memory / 1e6:.0f} |",
        flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=None, choices=list(NETWORKS))
    parser.add_argument("--ratios", nargs="+", type=float, default=None)
    parser.add_argument("--structures", nargs="+", default=["all"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--baseline", choices=["uniform", "weights"])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--bytes", nargs="+", type=int, default=None)
    parser.add_argument("--bits", default=None)
    arguments = parser.parse_args()
    print("| network | ratio | structures | seed | bytes | reached | original | agreement | loss | seconds | MB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    singles = ["cp", "tucker", "tt", "tr", "gkpd", "sekron"]
    everything = [
        *[("resnet32", ratio, "all", 0, None) for ratio in (2, 3, 5, 7, 10)],
        *[("resnet32", ratio, "all", 0, baseline) for baseline in ("weights", "uniform") for ratio in (2, 3, 5)],
        *[("resnet32", ratio, structure, 0, None) for structure in singles for ratio in (3, 5, 7)],
        *[("resnet32", ratio, "all", seed, None) for seed in (1, 2) for ratio in (3, 5, 7)],
        *[("resnet56", ratio, "all", 0, None) for ratio in (3, 5)],
        ("resnet8", 2, "all", 0, None), ("vdsr", 3, "all", 0, None),
    ]
    if (arguments.networks or arguments.ratios or arguments.baseline or arguments.bytes or arguments.bits
            or arguments.structures != ["all"]):
        everything = [
            (name, ratio, structures, seed, arguments.baseline)
            for name in arguments.networks or ["resnet32"] for structures in arguments.structures
            for seed in arguments.seeds for ratio in arguments.ratios or [5]
        ]
    with tempfile.TemporaryDirectory() as folder:
        for name, ratio, structures, seed, baseline in everything:
            for size in arguments.bytes or [None]:
                case(name, ratio, structures, seed, baseline, arguments.samples, pathlib.Path(folder), size, arguments.bits)


if __name__ == "__main__":
    main()
