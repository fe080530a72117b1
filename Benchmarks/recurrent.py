"""Recurrent character models: speed against PyTorch, equal budgets, and what compression costs. Prints Markdown.

    recurrent.py speed         training speed against a plain PyTorch loop (2 minutes)
    recurrent.py budget        the order of models with equal budgets (an hour)
    recurrent.py compression   a 2rnn as a cprnn at several sizes (20 minutes)
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/Interop"))
PROGRAM = os.environ.get("KCOMPRESS", str(ROOT / ".build/release/kcompress"))
TEXTS = pathlib.Path(os.environ.get("KCOMPRESS_DATA", ROOT.parent / "shared/data")) / "text"
TRAIN, VALID, TEST = (TEXTS / f"tinyshakespeare.{part}.txt" for part in ("train", "valid", "test"))


def kcompress(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments), "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments}: {done.stderr}")
    return json.loads(done.stdout)


def speed(options):
    """Characters per second of whole training steps, 2 threads on both sides, alternately."""
    import torch

    from recurrent_torch import fresh, loss

    torch.set_num_threads(2)
    steps, batch, count, repetitions = 50, 128, options.batches, 3
    characters = steps * batch * count + 1
    print("| model | kcompress, characters/s | PyTorch, characters/s | ratio | aim |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        text = TRAIN.read_text()
        alphabet = {c: i + 1 for i, c in enumerate(sorted(set(text)))}
        (folder / "text.txt").write_text(text[:characters])
        # A text of one segment judges, so that the time is that of the training.
        (folder / "valid.txt").write_text("".join(alphabet))
        for kind, hidden, rank, aim in [("cprnn", 128, 192, 1), ("2rnn", 128, 0, 2), ("2rnn", 39, 0, 2)]:
            tokens = torch.tensor([alphabet[c] for c in text[:characters]])
            segments = torch.stack([tokens[i:i + steps + 1] for i in range(0, characters - 1, steps)])
            ours, theirs = [], []
            for _ in range(repetitions):
                options = ["--rank", rank] if rank else []
                shape = ["--model", kind, "--hidden", hidden, *options, "--valid", folder / "valid.txt", "--overwrite"]
                times = [kcompress("rnn", "train", folder / "text.txt", *shape, "--epochs", epochs, "--patience", 99,
                                   "--threads", 2, "-o", folder / "m.safetensors")["seconds"] for epochs in (1, 3)]
                # What reading and writing take is in both.
                ours.append((times[1] - times[0]) / 2)
                p = fresh(kind, hidden, len(alphabet) + 1, rank)
                optimizer = torch.optim.Adam(p.values(), 1e-3)
                start = time.perf_counter()
                for part in segments[torch.randperm(len(segments))].split(batch):
                    optimizer.zero_grad()
                    loss(p, kind, part).backward()
                    optimizer.step()
                theirs.append(time.perf_counter() - start)
            own, other = ((characters - 1) / min(times) for times in (ours, theirs))
            name = f"{kind}, n = {hidden}" + (f", R = {rank}" if rank else "")
            print(f"| {name} | {own:,.0f} | {other:,.0f} | {own / other:.1f} | {aim} |", flush=True)


def budget(options):
    report = pathlib.Path(options.out) / "budget.report.html"
    document = kcompress(
        "rnn", "budget", *options.budgets, "--train", TRAIN, "--valid", VALID, "--test", TEST, "--seeds", options.seeds,
        "--epochs", options.epochs, "--patience", options.epochs, "--rate", options.rate, "--report", report, "--overwrite")
    print(f"{options.epochs} epochs, rate {options.rate}, {options.seeds} seeds, {document['seconds'] / 60:.0f} minutes\n")
    print("| budget | model | n | R | parameters | test bits per character | spread |\n|---|---|---|---|---|---|---|")
    for entry in document["models"]:
        print(f"| {entry['budget']} | {entry['model']} | {entry['hidden']} | {entry['rank'] or ''} | {entry['parameters']} "
              f"| {entry['mean']:.3f} | {entry['spread']:.3f} |")


def compression(options):
    out = pathlib.Path(options.out)
    original = out / "second.safetensors"
    if not original.exists():
        kcompress("rnn", "train", TRAIN, "--valid", VALID, "--model", "2rnn", "--hidden", options.hidden, "--epochs",
                  options.epochs, "--rate", options.rate, "-o", original)

    def bits(path):
        return kcompress("rnn", "eval", path, TEST)["bits_per_character"]

    size = original.stat().st_size
    print(f"2rnn, n = {options.hidden}: {size} bytes, {bits(original):.3f} test bits per character\n")
    print("| file | norm | bytes | rank | bits per character | tuned |\n|---|---|---|---|---|---|")
    for ratio in (2, 4, 8):
        for norm in ("weights", "data"):
            plan, output = out / f"{norm}{ratio}.plan.json", out / f"{norm}{ratio}.safetensors"
            calibration = ["--calibration", TRAIN] if norm == "data" else []
            kcompress("plan", original, "--budget", size // ratio, "--structures", "cp", *calibration, "-o", plan)
            kcompress("apply", plan, "-o", output, "--report", out / f"{norm}{ratio}.html", "--overwrite")
            assert kcompress("verify", output, "--original", original)["passed"]
            tuned = out / f"{norm}{ratio}.tuned.safetensors"
            trained = kcompress("rnn", "train", TRAIN, "--valid", VALID, "--from", output, "--epochs", options.tuning,
                                "--rate", options.rate, "-o", tuned, "--overwrite")
            print(f"| {ratio}x | {norm} | {output.stat().st_size} | {trained['rank']} | {bits(output):.3f} | {bits(tuned):.3f} |",
                  flush=True)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("part", choices=["speed", "budget", "compression"])
parser.add_argument("--batches", type=int, default=40, help="of the speed's epochs")
parser.add_argument("--budgets", nargs="+", default=["29500", "111000"])
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--rate", type=float, default=1e-3)
parser.add_argument("--hidden", type=int, default=64, help="of the 2rnn that is compressed")
parser.add_argument("--tuning", type=int, default=5, help="epochs after compression")
parser.add_argument("--out", default=".", help="where models and reports go")
arguments = parser.parse_args()
globals()[arguments.part](arguments)
