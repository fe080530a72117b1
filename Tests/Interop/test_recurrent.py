"""Twenty steps of Adam give the losses and the parameters that PyTorch gives from the same state."""

import math

import pytest
import torch

from conftest import kcompress
from recurrent_torch import load, loss

KINDS = ["rnn", "mirnn", "2rnn", "cprnn", "birnn", "cpbirnn"]
STEPS, BATCH, RATE = 20, 8, 5e-3
PASSAGE = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness; "


@pytest.mark.parametrize("kind", KINDS)
def test_losses(tmp_path, kind):
    text = tmp_path / "text.txt"
    # One epoch is one batch of exactly all segments, so that their random order does not matter.
    length = STEPS * BATCH + 1
    passage = (PASSAGE * 2)[:length]
    text.write_text(passage)
    rank = ["--rank", 5] if kind in ("cprnn", "cpbirnn") else []
    options = ["--valid", text, "--steps", STEPS, "--batch", BATCH, "--patience", 100]
    start, end = tmp_path / "start.safetensors", tmp_path / "end.safetensors"
    # A rate of nothing leaves the parameters where they began.
    kcompress("rnn", "train", text, "--model", kind, "--hidden", 12, *rank, *options, "--rate", 1e-30, "--epochs", 1,
              "-o", start)
    document = kcompress("rnn", "train", text, "--from", start, *options, "--rate", RATE, "--epochs", 20, "-o", end)
    ours = [epoch["training_bits"] for epoch in document["epochs"]]
    assert len(ours) == 20 and all(epoch["rate"] == RATE for epoch in document["epochs"])

    parameters, description = load(start)
    tokens = torch.tensor([description["vocabulary"].index(c) + 1 for c in passage])
    segments = torch.stack([tokens[i * STEPS:(i + 1) * STEPS + 1] for i in range(BATCH)])
    optimizer = torch.optim.Adam(parameters.values(), RATE)
    theirs = []
    for _ in range(20):
        optimizer.zero_grad()
        value = loss(parameters, kind, segments)
        value.backward()
        optimizer.step()
        theirs.append(value.item() / math.log(2))
    assert theirs[-1] < 0.95 * theirs[0]
    assert ours == pytest.approx(theirs, rel=1e-5)
    reached, _ = load(end)
    for name, parameter in parameters.items():
        # The last state is the best one. Adam's first steps have the rate's length whatever the gradient, so that tiny gradients
        # of either sign may part: by a few steps at most, and on the whole by nothing.
        difference = (reached[name] - parameter).detach()
        assert difference.abs().max() <= 4 * RATE
        assert difference.norm() <= 1e-3 * parameter.detach().norm()
