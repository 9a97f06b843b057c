"""The script's own optimizers and network beside published ones: torch, timm's LAMB, pytorch_optimizer's Adan and SAM."""

import sys

import numpy as np

from . import cases, network

TOLERANCE = 1e-12  # of a tensor's largest number, after 20 steps
FLOAT_NORM = 1e-7  # where pytorch_optimizer needs the gradients' global norm: it computes that in float32

try:
    import pytorch_optimizer
    import timm.optim
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"skipped: {error.name} is not installed")
    sys.exit(77)


class Library:
    """A PyTorch optimizer in place of one of ours: gradients come from the NumPy network, or once more for SAM."""

    def __init__(self, make, decay_1d=True, clip_norm=0.0):
        self.make, self.decay_1d, self.clip_norm = make, decay_1d, clip_norm
        self.optimizer = None

    def start(self, parameters):
        self.tensors = {name: torch.nn.Parameter(torch.tensor(p)) for name, p in parameters.items()}
        groups = [{"params": [t for t in self.tensors.values() if self.decay_1d or t.ndim > 1]}]
        if not self.decay_1d:
            groups.append({"params": [t for t in self.tensors.values() if t.ndim == 1], "weight_decay": 0.0})
        self.optimizer = self.make(groups)

    def set_gradients(self, evaluation):
        for name, tensor in self.tensors.items():
            tensor.grad = torch.tensor(evaluation.gradients[name])
        if self.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.tensors.values(), self.clip_norm)

    def values(self):
        return {name: tensor.detach().numpy().copy() for name, tensor in self.tensors.items()}

    def step(self, parameters, evaluate, lr):
        if not self.optimizer:
            self.start(parameters)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        first = evaluate(parameters)
        self.set_gradients(first)
        if isinstance(self.optimizer, pytorch_optimizer.SAM):
            self.optimizer.first_step(zero_grad=True)
            self.set_gradients(evaluate(self.values(), update_running=False))
            self.optimizer.second_step(zero_grad=True)
        else:
            self.optimizer.step()
        for name, value in self.values().items():
            parameters[name][...] = value
        return first.loss


def betas(options, *defaults):
    return tuple(options.get(f"beta{i + 1}", value) for i, value in enumerate(defaults))


def counterpart(case):
    """The library's optimizer for a case, or None: (its name, function of the parameter groups)."""
    o = case.options
    keywords = {"lr": case.lr, "weight_decay": o.get("weight-decay", 0.0)}
    if case.optimizer == "sgd":
        keywords |= {name: o[name] for name in ("momentum", "dampening", "nesterov") if name in o}
        return "torch.optim.SGD", lambda groups: torch.optim.SGD(groups, **keywords)
    if case.optimizer in ("adam", "adamw"):
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[case.optimizer]
        keywords |= {"betas": betas(o, 0.9, 0.999), "eps": o.get("eps", 1e-8)}
        return f"torch.optim.{kind.__name__}", lambda groups: kind(groups, **keywords)
    if case.optimizer == "adan" and "restart-every" not in o:
        keywords |= {"betas": betas(o, 0.98, 0.92, 0.99), "max_grad_norm": o.get("max-grad-norm", 0.0)}
        keywords |= {"weight_decouple": not o.get("proximal", True)}
        return "pytorch_optimizer.Adan", lambda groups: pytorch_optimizer.Adan(groups, **keywords)
    if case.optimizer == "lamb" and o.get("trust-max", 0.0) in (0.0, 1.0):
        keywords |= {"max_grad_norm": o.get("max-grad-norm", 1.0), "trust_clip": o.get("trust-max", 0.0) == 1.0}
        keywords |= {"bias_correction": o.get("bias-correction", True)}
        return "timm.optim.Lamb", lambda groups: timm.optim.Lamb(groups, **keywords)
    if case.optimizer == "sam" and o["base-optim"] == "sgd":
        keywords |= {"momentum": o["momentum"], "rho": o.get("rho", 0.05)}
        return "pytorch_optimizer.SAM", lambda groups: pytorch_optimizer.SAM(groups, torch.optim.SGD, **keywords)
    return None


def torch_gradients(parameters, images, labels):
    """The network once more, differentiated by PyTorch: (loss, gradients, running statistics)."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}
    running = {name: torch.tensor(value) for name, value in network.initial_buffers().items()}
    pair = lambda name: (p[name + ".weight"], p[name + ".bias"])
    x = F.relu(F.conv2d(torch.tensor(images), *pair("conv1"), padding=1))
    x = F.conv2d(x, p["conv2.weight"], stride=2, padding=1)
    x = F.relu(F.batch_norm(x, running["bn.running_mean"], running["bn.running_var"], *pair("bn"), training=True))
    x = F.relu(F.conv2d(x, *pair("conv3"), padding=1, dilation=2, groups=2))
    x = F.linear(F.relu(F.linear(torch.flatten(x, 1), *pair("fc1"))), *pair("fc2"))
    loss = F.cross_entropy(x, torch.tensor(labels))
    loss.backward()
    return loss.item(), {name: t.grad.numpy() for name, t in p.items()}, {n: t.numpy() for n, t in running.items()}


def distance(found, expected):
    return max(np.abs(found[name] - value).max() / np.abs(value).max() for name, value in expected.items())


def check(report):
    parameters, buffers = network.initial_parameters(), network.initial_buffers()
    batch = network.batches(1, cases.BATCH)
    evaluation = network.evaluate(parameters, buffers, batch)
    loss, gradients, running = torch_gradients(parameters, *batch[0])
    error = max(distance(evaluation.gradients, gradients), distance(buffers, running), abs(loss - evaluation.loss))
    report.line("the network's loss, gradients and running statistics, torch", f"{error:.1e}", error < TOLERANCE)
    extra = cases.Case("lamb: trust at most 1", "lamb", 0.05, {"weight-decay": 0.05, "trust-max": 1.0})
    more = cases.Case("lamb: no bias correction", "lamb", 0.01, {"weight-decay": 0.05, "bias-correction": False})
    for case in [*cases.all_cases(), extra, more]:
        if not (found := counterpart(case)):
            continue
        name, make = found
        _, expected, _ = cases.follow(case)
        unclipped = cases.Case(case.name, case.optimizer, case.lr, case.options, case.micro_batches, steps=case.steps)
        library = Library(make, case.options.get("decay-1d", True), case.clip_norm)
        _, theirs, _ = cases.follow(unclipped, optimizer=library)
        error = distance(theirs, expected)
        rounded = case.optimizer == "sam" or case.optimizer == "adan" and "max-grad-norm" in case.options
        passed = error < (FLOAT_NORM if rounded else TOLERANCE)
        report.line(f"{case.name}, {name}", f"{error:.1e} after {case.steps} steps", passed)
