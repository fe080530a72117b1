"""ROSA's synthetic experiment: a 512 -> 32 linear map is adapted to one that differs by a matrix of rank 24 (kcompress-measure rosa)."""

import json
import os
import statistics
import subprocess
import time

MEASURE = os.environ.get("KCOMPRESS_MEASURE", "kcompress-measure")


def run(seeds=3):
    start = time.perf_counter()
    rows = json.loads(subprocess.run([MEASURE, "rosa", "--seeds", str(seeds)], capture_output=True, text=True, check=True).stdout)

    def errors(method, rank):
        return [row["error"] for row in rows if row["method"] == method and row["rank"] == rank]

    print(f"ROSA, mean squared error after 200 epochs, mean of {seeds} seeds; full training {statistics.mean(errors('full', 0)):.0f}")
    for rank in sorted({row["rank"] for row in rows} - {0}):
        lora, rosa = errors("lora", rank), errors("rosa", rank)
        changes = [row["change_ranks"] for row in rows if row["method"] == "rosa" and row["rank"] == rank]
        assert all(ours < theirs for ours, theirs in zip(rosa, lora)), f"ROSA is not below LoRA at rank {rank}"
        # A'B' - AB = (A' - A) B' + A (B' - B): two products of rank R for every draw, and never more than the 32 outputs.
        assert all(change <= min(32, 2 * (draws + 1) * rank) for ranks in changes for draws, change in enumerate(ranks))
        print(
            f"rank {rank}: LoRA {statistics.mean(lora):.4g} ({min(lora):.4g} to {max(lora):.4g}), ROSA {statistics.mean(rosa):.4g} "
            f"({min(rosa):.4g} to {max(rosa):.4g}); rank of the change after 1, 2, 3 draws: {changes[0]}", flush=True)
    print(f"{time.perf_counter() - start:.0f} s (at most 300)", flush=True)
