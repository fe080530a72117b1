"""Measures the planner: the solver's time and gap under one limit and under three, and what common rules choose among the same candidates."""

import resource

from structures import measure

DEVICE = "raspberrypi4"
RULES = ("equal ratio", "equal error", "greedy")


def networks(shared):
    print("\nPlans from one sweep of all structures, loss of ours and of common rules among the same candidates (a ratio counts all "
          f"parameters, the file may add 40 kB; the three limits are bytes, multiply-accumulates and time on {DEVICE}, both at 95 % of what the plan for bytes needs):\n")
    print("| network | ratio | loss | " + " | ".join(RULES) + " | gap | s | gap, three limits | s |")
    print("|---|---|---|" + "---|" * len(RULES) + "---|---|---|---|")
    for name in ("resnet20", "resnet32", "resnet56"):
        path = shared / f"cifar_resnet/{name}.onnx"
        if not path.exists():
            print(f"{name}: skipped, the data is not there")
            continue
        for row in measure("planning", path, "--device", DEVICE)["rows"]:
            rules = [f"{row[rule]['loss']:.4f}" if row[rule] else "none fits" for rule in RULES]
            three = (
                [f"{100 * row['gap_of_three']:.3f} %", f"{row['seconds_of_three']:.2f}"] if row["gap_of_three"] is not None else ["-", "-"])
            print(
                f"| {name} | {row['ratio']:g} | **{row['loss']:.4f}** | " + " | ".join(rules)
                + f" | {100 * row['gap']:.3f} % | {row['seconds']:.2f} | " + " | ".join(three) + " |", flush=True)


def large_problem():
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    results = [measure("knapsack", "--seed", seed) for seed in (1, 2, 3)]
    print("\n200 layers with 200 candidates each under three limits, three seeds: "
          + "; ".join(f"{r['seconds']:.1f} s, gap {100 * r['gap']:.3f} %" for r in results)
          + f" (aims 30 s, 1 %); peak memory at most {max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1e3:.0f} MB (500)",
          flush=True)


def run(shared):
    large_problem()
    networks(shared)
