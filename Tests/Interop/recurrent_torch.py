"""The recurrent networks as plain PyTorch loops: the reference for losses, gradients and speed."""

import json

import torch
from safetensors import safe_open
from torch.nn import functional as F


def load(path):
    """Parameters as leaves that learn, and the dimensions."""
    with safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["recurrent"])
        parameters = {name: file.get_tensor(name).requires_grad_() for name in file.keys()}
    return parameters, description


def fresh(kind, hidden, inputs, rank=0):
    """Random parameters of a kind that has linear terms, as files name and shape them."""
    shapes = {"hidden": (hidden, hidden), "input": (hidden, inputs), "bias": (hidden,), "decoder": (inputs, hidden),
              "decoder_bias": (inputs,)}
    if kind == "2rnn":
        shapes["bilinear.weight"] = (hidden, hidden, inputs)
    if kind == "cprnn":
        shapes |= {"bilinear.0.weight": (rank, hidden, 1), "bilinear.1.weight": (rank, 1, inputs),
                   "bilinear.2.weight": (hidden, rank, 1)}
    bound = hidden ** -0.5
    return {name: torch.empty(shape).uniform_(-bound, bound).requires_grad_() for name, shape in shapes.items()}


def step(p, kind, h, x, u, b):
    """h: (batch, n), x: (batch, d) one-hot, u and b: what the input's matrices give for it."""
    linear = h @ p["hidden"].T + u if "hidden" in p else 0
    if kind in ("2rnn", "birnn"):
        return torch.tanh(torch.einsum("oik,bi,bk->bo", p["bilinear.weight"], h, x) + linear + p["bias"])
    if kind in ("cprnn", "cpbirnn"):
        a, c = p["bilinear.0.weight"][:, :, 0], p["bilinear.2.weight"][:, :, 0]
        return torch.tanh(((h @ a.T) * b) @ c.T + linear + p["bias"])
    if kind == "mirnn":
        v = h @ p["hidden"].T
        return torch.tanh(p["alpha"] * v * u + p["beta1"] * v + p["beta2"] * u + p["bias"])
    return torch.tanh(linear + p["bias"])


def loss(p, kind, tokens):
    """The mean cross entropy in nats of segments (batch, steps + 1), each from a state of zeros."""
    d, n = p["decoder"].shape
    inputs = tokens[:, :-1]
    steps = inputs.shape[1]
    nothing = [None] * steps
    x = F.one_hot(inputs, d).float().unbind(1) if kind in ("2rnn", "birnn") else nothing
    # All symbols of a segment at once, looked up rather than multiplied.
    u = F.embedding(inputs, p["input"].T).unbind(1) if "input" in p else nothing
    b = F.embedding(inputs, p["bilinear.1.weight"][:, 0].T).unbind(1) if "bilinear.1.weight" in p else nothing
    h = torch.zeros(len(tokens), n)
    states = []
    for t in range(steps):
        h = step(p, kind, h, x[t], u[t], b[t])
        states.append(h)
    logits = torch.stack(states, 1) @ p["decoder"].T + p["decoder_bias"]
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
