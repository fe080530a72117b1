"""Measures the structures: fits against TensorLy's, spectra, a network's sweep, accuracy at a size, time in the engine."""

import json
import os
import pathlib
import subprocess
import tempfile
import time

MEASURE = os.environ.get("KCOMPRESS_MEASURE", "kcompress-measure")
THREADS = 2
SIDE = 512

# Their structure, ours, and what is the same pattern to ours: factor shapes, ranks, and the sweeps after which we are at
# their discrepancy or below.
FITS = {
    "CP, rank 256, 20 sweeps": ("cp", "512x1x1x1,1x512x1x1,1x1x3x3", "256", 20, 30),
    "CP, rank 256, to the same discrepancy": ("cp", "512x1x1x1,1x512x1x1,1x1x3x3", "256", 9, 30),
    "Tucker-2, ranks 128": ("tucker", "512x1x1x1,1x1x3x3,1x512x1x1", "128,128", 14, 20),
    "TT, ranks 128": ("tt", "512x1x1x1,1x1x3x3,1x512x1x1", "128,128", 0, 3),
    "TR, ranks 16": ("tr", "512x1x1x1,1x512x1x1,1x1x3x3", "16,16,16", 2, 3),
}


def library_fit(structure, kernel):
    """Seconds and discrepancy of TensorLy's decomposition of the same kernel at the same ranks."""
    import numpy as np
    import tensorly as tl
    from tensorly.decomposition import parafac, partial_tucker, tensor_ring, tensor_train
    from tensorly.tenalg import multi_mode_dot

    # CP from a random start: the one from singular vectors asks for 512 GiB.
    flat = kernel.reshape(SIDE, SIDE, 9)
    chain = np.ascontiguousarray(flat.transpose(0, 2, 1))
    tensor, decompose, rebuild = {
        "cp": (flat, lambda x: parafac(x, 256, n_iter_max=20, tol=0, init="random", random_state=0), tl.cp_to_tensor),
        "tucker": (kernel, lambda x: partial_tucker(x, [128, 128], modes=[0, 1])[0],
                   lambda f: multi_mode_dot(f[0], f[1], modes=[0, 1])),
        "tt": (chain, lambda x: tensor_train(x, [1, 128, 128, 1]), tl.tt_to_tensor),
        "tr": (flat, lambda x: tensor_ring(x, [16, 16, 16, 16]), tl.tr_to_tensor),
    }[structure]
    start = time.perf_counter()
    factors = decompose(tensor)
    seconds = time.perf_counter() - start
    return seconds, float(np.linalg.norm(rebuild(factors) - tensor) / np.linalg.norm(tensor))


def measure(*arguments):
    done = subprocess.run([MEASURE, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def fits_against_tensorly(rounds=2):
    import numpy as np
    import tensorly

    print(f"\nFits of a random {SIDE} x {SIDE} x 3 x 3 kernel, {THREADS} threads, best of {rounds}, "
          f"against TensorLy {tensorly.__version__} on NumPy {np.__version__}:\n")
    print("| fit | kcompress | discrepancy | TensorLy | discrepancy | ratio | aim |\n|---|---|---|---|---|---|---|")
    kernel = np.random.default_rng(0).standard_normal((SIDE, SIDE, 3, 3))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "kernel.npy"
        np.save(path, kernel)
        theirs = {}
        for name, (structure, shapes, ranks, sweeps, aim) in FITS.items():
            ours = []
            for _ in range(rounds):
                if len(theirs.setdefault(structure, [])) < rounds:
                    theirs[structure].append(library_fit(structure, kernel))
                fit = measure("fit", path, "--structure", structure, "--shapes", shapes, "--ranks", ranks,
                              "--sweeps", sweeps, "--threads", THREADS)
                ours.append((fit["seconds"], fit["discrepancy"]))
            (own, own_error), (other, other_error) = min(ours), min(theirs[structure])
            print(f"| {name} | {own:.2f} s | {own_error:.4f} | {other:.2f} s | {other_error:.4f} "
                  f"| {other / own:.1f} | {aim} |", flush=True)
        product = measure("product", "--threads", THREADS)
        sweeps = 30
        fit = measure("fit", path, "--structure", "cp", "--shapes", FITS["CP, rank 256, 20 sweeps"][1], "--ranks", 256,
                      "--sweeps", sweeps, "--threads", THREADS)
        start = measure("fit", path, "--structure", "cp", "--shapes", FITS["CP, rank 256, 20 sweeps"][1], "--ranks", 256,
                        "--sweeps", 0, "--threads", THREADS)
    # A sweep contracts the kernel with a factor twice; nothing else in it counts.
    rate = sweeps * 4 * SIDE * SIDE * 9 * 256 / (fit["seconds"] - start["seconds"]) / 1e9
    print(f"\nCP sweeps: {rate:.0f} GFLOP/s, sgemm {product['single']:.0f}, dgemm {product['double']:.0f} "
          f"({product['kernel']} kernels): {rate / product['single']:.2f} of sgemm's (at least 0.33)", flush=True)


def spectra():
    result = measure("spectrum", f"{SIDE}x{SIDE}x3x3", "--threads", THREADS)
    print(f"\nGKPD spectra of a {SIDE} x {SIDE} x 3 x 3 kernel, all {result['shapes']} shapes: "
          f"{result['seconds']:.1f} s (at most 30 s)", flush=True)


def network_sweep():
    process = subprocess.Popen([MEASURE, "sweep", "--threads", str(THREADS)], stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    result = json.loads(output)
    print(f"Sweep of all structures over ResNet-18's {result['layers']} convolutions, {result['parameters'] / 1e6:.1f} M "
          f"parameters: {result['seconds']:.0f} s (at most 300 s), {result['candidates']} candidates, "
          f"{usage.ru_maxrss / 1e6:.2f} GB (at most 1.5 GB)", flush=True)


def accuracy(program, checkpoint):
    """The table of discrepancies at equal parameters."""
    if not checkpoint.exists():
        print("\naccuracy: skipped, resnet32.safetensors is not there")
        return
    aims = {"layer1.2.conv1": (0.258, 0.556), "layer2.2.conv1": (0.268, 0.596), "layer3.2.conv1": (0.352, 0.670)}
    structures = ["sekron", "gkpd", "tr", "cp", "tt", "tucker", "svd"]
    print("\nDiscrepancy at 1/2 and 1/5 of the parameters, ResNet-32, by `kcompress explain`:\n")
    print("| layer | ratio | aim | " + " | ".join(structures) + " |\n|" + "---|" * (3 + len(structures)))
    for layer, targets in aims.items():
        for ratio, aim in zip((2, 5), targets):
            done = subprocess.run(
                [program, "explain", checkpoint, layer, "--ratio", str(ratio), "--structures", ",".join(structures),
                 "--json"], stdout=subprocess.PIPE, text=True, check=True)
            found = {}
            for candidate in json.loads(done.stdout)["candidates"]:
                found.setdefault(candidate["structure"], candidate["discrepancy"])
            least = min(found.values())
            cells = [f"**{found[s]:.4f}**" if found[s] == least else f"{found[s]:.4f}" for s in structures if s in found]
            print(f"| {layer} | {ratio} | {aim} | " + " | ".join(cells) + " |", flush=True)


def layers_in_the_engine(ratio=3):
    rows = measure("layers", "--ratio", ratio)
    print(f"\nOne convolution in the engine, batch 16, one thread, at 1/{ratio} of the parameters:\n")
    print("| kernel, input | structure | parameters | MACs | ms | speed |\n|---|---|---|---|---|---|")
    for row in rows:
        place = " x ".join(map(str, row["shape"])) + ", " + " x ".join(map(str, row["input"]))
        print(f"| {place} | {row['structure']} | {row['parameters']:,} | {row['macs'] / 1e6:.1f} M "
              f"| {row['milliseconds']:.2f} | {row['speed']:.2f} |")


def run(program, shared):
    fits_against_tensorly()
    spectra()
    network_sweep()
    accuracy(program, shared / "cifar_resnet/resnet32.safetensors")
    layers_in_the_engine()
