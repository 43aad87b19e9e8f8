"""Writes golden.txt: Base and DIN computed by PyTorch in double precision, textbook style.

Needs PyTorch and nothing else; run it only to change the cases (golden_test.cc reads its output):

    python make_golden.py golden.txt

Every case is one lane: its config, inputs, parameters, and what must come out: logits, loss, gradients
of inputs and parameters, and running statistics after the step. Inputs and parameters are exact floats,
so the only difference between the two programs is how they round. DIN's activation unit is written as
in the paper, on [t; h; t-h; t*h] of every history item; no folding.
"""
import sys

import torch

torch.set_default_dtype(torch.float64)

# name, dim, sequence group (-1: one id a row)
SLOTS = [("user", 3, -1), ("item", 4, -1), ("hist_item", 4, 0), ("hist_cate", 2, 0), ("cate", 2, -1),
         ("tags", 3, 1)]
NUMERIC = 2
LENGTHS = {0: [3, 0, 5, 1, 0, 2, 7, 0, 4], 1: [0, 2, 1, 0, 3, 0, 1, 1, 0]}  # items of each row
ROWS = 9
DIN = 'candidate: "item" candidate: "cate" history: "hist_item" history: "hist_cate" '
CANDIDATE, HISTORY = ["item", "cate"], ["hist_item", "hist_cate"]

CASES = [
    # name, kind, mlp (units, activation, batch norm), attention (units, activation, weights), training
    ("base_sum_prelu", "base", ([6, 4], "PRELU", False), "SUM", True),
    ("base_mean_dice_norm", "base", ([6, 4], "DICE", True), "MEAN", True),
    ("din_raw_prelu", "din", ([6, 4], "PRELU", False), ([5, 3], "PRELU", "RAW"), True),
    ("din_raw_sigmoid", "din", ([6], "SIGMOID", True), ([5, 3], "SIGMOID", "RAW"), True),
    ("din_softmax_dice", "din", ([6, 4], "DICE", False), ([5, 3], "DICE", "SOFTMAX"), True),
    ("din_raw_dice", "din", ([6, 4], "DICE", False), ([5, 3], "DICE", "RAW"), True),
    ("din_softmax_tanh", "din", ([6, 4], "RELU", False), ([5], "TANH", "SOFTMAX"), True),
    ("din_raw_dice_evaluation", "din", ([6, 4], "DICE", True), ([5, 3], "DICE", "RAW"), False),
]


def exact(tensor):
    """Rounded to floats, in double."""
    return tensor.float().double()


class Network:
    """Parameters and statistics by name, created at first use from the generator."""

    def __init__(self, generator, training):
        self.generator = generator
        self.training = training
        self.parameters = {}
        self.statistics = {}
        self.after = {}

    def random(self, rows, cols, scale=0.5, shift=0.0):
        return exact(torch.randn(rows, cols, generator=self.generator) * scale + shift)

    def parameter(self, name, rows, cols, scale=0.5, shift=0.0):
        if name not in self.parameters:
            self.parameters[name] = self.random(rows, cols, scale, shift).requires_grad_()
        return self.parameters[name]

    def moments(self, name, x, rho):
        """Mean and biased variance to normalize with; notes the running ones after the step."""
        width = x.shape[1]
        if name + ".mean" not in self.statistics:
            self.statistics[name + ".mean"] = self.random(1, width)
            self.statistics[name + ".variance"] = exact(self.random(1, width).abs() + 0.5)
        mean, variance = self.statistics[name + ".mean"], self.statistics[name + ".variance"]
        if not self.training:
            return mean, variance
        batch_mean = x.mean(0, keepdim=True)
        batch_variance = ((x - batch_mean) ** 2).mean(0, keepdim=True)
        unbiased = batch_variance * x.shape[0] / (x.shape[0] - 1)
        self.after[name + ".mean"] = ((1 - rho) * mean + rho * batch_mean).detach()
        self.after[name + ".variance"] = ((1 - rho) * variance + rho * unbiased).detach()
        return batch_mean, batch_variance

    def linear(self, name, x, width):
        weight = self.parameter(name + ".weight", x.shape[1], width)
        return x @ weight + self.parameter(name + ".bias", 1, width)

    def activation(self, name, kind, x):
        width = x.shape[1]
        if kind == "PRELU":
            slope = self.parameter(name + ".prelu", 1, width, 0.2, 0.1)
            return torch.where(x > 0, x, slope * x)
        if kind == "DICE":
            alpha = self.parameter(name + ".dice.alpha", 1, width, 0.3)
            mean, variance = self.moments(name + ".dice", x, 0.01)
            p = torch.sigmoid((x - mean) / torch.sqrt(variance + 1e-8))
            return p * x + (1 - p) * alpha * x
        return {"SIGMOID": torch.sigmoid, "TANH": torch.tanh, "RELU": torch.relu}[kind](x)

    def mlp(self, name, x, units, kind, norm=False):
        for i, width in enumerate(units):
            layer = f"{name}.{i}"
            x = self.linear(layer, x, width)
            if norm:
                gain = self.parameter(layer + ".norm.gain", 1, width, 0.2, 1.0)
                bias = self.parameter(layer + ".norm.bias", 1, width)
                mean, variance = self.moments(layer + ".norm", x, 0.1)
                x = gain * (x - mean) / torch.sqrt(variance + 1e-5) + bias
            x = self.activation(layer, kind, x)
        return self.linear(name + ".output", x, 1)


def pieces(items, group):
    return torch.split(items, LENGTHS[group])


def pooled(items, group, mean=False):
    rows = [p.mean(0) if mean and len(p) else p.sum(0) for p in pieces(items, group)]
    return torch.stack(rows)


def base_logits(network, inputs, mlp, pooling):
    parts = [inputs[n] for n, _, g in SLOTS if g < 0]
    parts += [pooled(inputs[n], g, pooling == "MEAN") for n, _, g in SLOTS if g >= 0]
    return network.mlp("mlp", torch.cat(parts + [inputs["numeric"]], 1), *mlp)


def din_logits(network, inputs, mlp, attention):
    units, kind, weights = attention
    target = torch.cat([inputs[n] for n in CANDIDATE], 1)
    history = torch.cat([inputs[n] for n in HISTORY], 1)
    t = target.repeat_interleave(torch.tensor(LENGTHS[0]), 0)
    unit = torch.cat([t, history, t - history, t * history], 1)
    scores = network.mlp("attention", unit, units, kind)
    user = []
    for items, s in zip(pieces(history, 0), pieces(scores, 0)):
        w = torch.softmax(s / history.shape[1] ** 0.5, 0) if weights == "SOFTMAX" else s
        user.append((w * items).sum(0))
    others = [inputs[n] if g < 0 else pooled(inputs[n], g)
              for n, _, g in SLOTS if n not in CANDIDATE + HISTORY]
    x0 = torch.cat(others + [target, torch.stack(user), inputs["numeric"]], 1)
    return network.mlp("mlp", x0, *mlp)


def config_text(kind, mlp, rest):
    def block(name, units, activation, more):
        widths = "".join(f"units: {u} " for u in units)
        return f"{name} {{ {widths}activation: {activation} {more} }}"
    text = block("mlp", mlp[0], mlp[1], "batch_norm: true" if mlp[2] else "")
    if kind == "base":
        return f"base {{ {text} pooling: {rest} }}"
    return f"din {{ {DIN}{block('attention', rest[0], rest[1], 'weights: ' + rest[2])} {text} }}"


def write_tensor(out, name, tensor, digits=12):
    tensor = tensor.detach().reshape(-1, tensor.shape[-1])
    out.write(f"tensor {name} {tensor.shape[0]} {tensor.shape[1]}\n")
    out.write(" ".join(f"{v:.{digits}g}" for v in tensor.flatten().tolist()) + "\n")


def write_case(out, seed, name, kind, mlp, rest, training):
    network = Network(torch.Generator().manual_seed(seed), training)
    inputs = {}
    for slot, dim, group in SLOTS:
        count = ROWS if group < 0 else sum(LENGTHS[group])
        inputs[slot] = network.random(count, dim, 0.8).requires_grad_()
    inputs["numeric"] = network.random(ROWS, NUMERIC)
    labels = (torch.rand(ROWS, 1, generator=network.generator) < 0.4).double()
    labels[0], labels[1] = 0.0, 1.0

    logits = (base_logits if kind == "base" else din_logits)(network, inputs, mlp, rest)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    loss.backward()

    out.write(f"case {name}\nconfig {config_text(kind, mlp, rest)}\n")
    out.write(f"training {int(training)}\nrows {ROWS}\nnumeric_width {NUMERIC}\n")
    for slot in SLOTS:
        out.write("slot %s %d %d\n" % slot)
    for group, lengths in LENGTHS.items():
        offsets = torch.cumsum(torch.tensor([0] + lengths), 0).double()
        write_tensor(out, f"offsets/{group}", offsets[None])
    for slot, tensor in inputs.items():
        write_tensor(out, f"input/{slot}", tensor, 9)
    write_tensor(out, "labels", labels.T)
    for kind_of, tensors in (("parameter", network.parameters), ("statistic", network.statistics)):
        for key, tensor in tensors.items():
            write_tensor(out, f"{kind_of}/{key}", tensor, 9)
    write_tensor(out, "expect/logits", logits.T)
    write_tensor(out, "expect/loss", loss.reshape(1, 1))
    if training:
        for slot, _, _ in SLOTS:
            write_tensor(out, f"gradient/input/{slot}", inputs[slot].grad)
        for key, tensor in network.parameters.items():
            write_tensor(out, f"gradient/parameter/{key}", tensor.grad)
        for key, tensor in network.after.items():
            write_tensor(out, f"after/statistic/{key}", tensor)
    out.write("end\n")


def main():
    with open(sys.argv[1], "w") as out:
        for seed, case in enumerate(CASES, start=1):
            write_case(out, seed, *case)


if __name__ == "__main__":
    main()
