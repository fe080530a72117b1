"""What training after compression recovers: plan, apply and tune on calibration images without labels, accuracy on images that were never seen.

    make recovery                                              every network (hours)
    make recovery ARGUMENTS="--cases resnet32-5 --epochs 12"   one of them, shorter
"""

import argparse
import pathlib
import tempfile

from accuracy import NETWORKS, ROOM, run

# Network, ratio, rate and epochs. Those of ResNet-32 are the ones of docs/benchmarks.md; the others have not been run to the end.
CASES = {
    "resnet32-5": ("resnet32", 5, 2e-4, 60),
    "resnet32-10": ("resnet32", 10, 6e-4, 80),
    "resnet56-5": ("resnet56", 5, 1.5e-4, 30),
    "resnet8-3": ("resnet8", 3, 5e-4, 60),
}


def recover(name, ratio, rate, epochs, options, folder):
    network = NETWORKS[name]
    checkpoint, test = network["checkpoint"], network["reference"]
    if not checkpoint.exists() or not test.exists():
        print(f"{name}: skipped, the data is not there", flush=True)
        return
    preparation = network["preparation"]
    budget = int(run("inspect", checkpoint)[0]["parameters"] * 4 / ratio) + ROOM
    plan, compressed = folder / f"{checkpoint.name}.plan.json", folder / f"compressed{checkpoint.suffix}"
    run("plan", checkpoint, "--budget", budget, "--calibration", network["calibration"], "--max-samples", options.samples,
        *preparation, "--cache", folder / "cache", "-o", plan)
    size = run("apply", plan, "-o", compressed, "--report", folder / "report.html", "--overwrite")[0]["bytes"]
    result, seconds, memory = run(
        "tune", compressed, "--original", checkpoint, "--data", network["calibration"], "--test", test, "--augment",
        "crop,flip,cutmix", "--views", 20, "--rate", rate, "--epochs", epochs, *preparation, "-o",
        folder / f"tuned{checkpoint.suffix}", "--overwrite")
    before, best = result["epochs"][0], result["epochs"][result["best_epoch"]]
    print(
        f"| {name} {ratio}x | {size} | {rate:g}, {epochs} | {100 * before['test_accuracy']:.1f} | {100 * best['test_accuracy']:.1f} "
        f"| {100 * before['agreement']:.1f} to {100 * best['agreement']:.1f} | {seconds / 60:.0f} | {memory / 1e6:.0f} |", flush=True)
    marks = result["epochs"][::max(1, epochs // 10)]
    print("  minutes and accuracy: " + ", ".join(
        f"{epoch['seconds'] / 60:.1f} {100 * epoch['test_accuracy']:.1f}" for epoch in marks), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--epochs", type=int, help="instead of each case's own")
    parser.add_argument("--samples", type=int, default=2000, help="that plan and apply see")
    arguments = parser.parse_args()
    print("| network | bytes | rate, epochs | before | after | agreement on held-out | minutes | MB |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for case in arguments.cases:
            network, ratio, rate, epochs = CASES[case]
            recover(network, ratio, rate, arguments.epochs or epochs, arguments, pathlib.Path(folder))
