"""Which trajectories are followed: an optimizer, its options where they differ from the defaults, and how it is driven.

Rates are such that 20 steps change the network visibly and rounding stays rounding: make_golden.py checks both.
"""

from dataclasses import dataclass, field

import numpy as np

from . import curvature, network, optimizers

BATCH = 6  # images of a step


@dataclass
class Case:
    name: str
    optimizer: str
    lr: float
    options: dict = field(default_factory=dict)  # names as on the command line
    micro_batches: tuple = (BATCH,)
    clip_norm: float = 0.0  # the bound of the global gradient norm before the optimizer; 0: none
    steps: int = 20


ACCUMULATED = (4, 2)  # unequal: means over micro-batches must be weighted by their rows

KINDS = {
    "sgd": optimizers.SGD,
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
    "adan": optimizers.Adan,
    "lamb": optimizers.LAMB,
    "adaact": curvature.AdaAct,
    "kfac": curvature.KFAC,
    "foof": curvature.FOOF,
    "eva": curvature.Eva,
}


def build(optimizer, options):
    keywords = {name.replace("-", "_"): value for name, value in options.items()}
    if optimizer != "sam":
        return KINDS[optimizer](**keywords)
    own = {name: keywords.pop(name) for name in ("rho",) if name in keywords}
    return optimizers.SAM(KINDS[keywords.pop("base_optim")](**keywords), **own)


def defaults(case):
    """The options that the case does not name, of a base optimizer too, as on the command line."""
    optimizer = build(case.optimizer, case.options)
    kinds = [optimizer, optimizer.base] if case.optimizer == "sam" else [optimizer]
    values = {"decay-1d": True}
    for kind in kinds:
        values |= {name.replace("_", "-"): value for name, value in kind.defaults.items()}
    return {name: value for name, value in values.items() if name not in case.options}


def learning_rate(case, s):
    """Falls linearly, to show that an optimizer uses the current one."""
    return case.lr * (1 - s / 40)


def clip(gradients, bound):
    """PyTorch's clip_grad_norm_."""
    factor = min(1.0, bound / (optimizers.global_norm(gradients) + 1e-6))
    for gradient in gradients.values():
        gradient *= factor


def follow(case, optimizer=None, start=None, each_step=None):
    """(losses, parameters, buffers) of one trajectory; each_step(number of steps taken, parameters)."""
    parameters = start or network.initial_parameters()
    buffers = network.initial_buffers()
    optimizer = optimizer or build(case.optimizer, case.options)
    losses = []
    for s, (images, labels) in enumerate(network.batches(case.steps, BATCH)):
        ends = np.cumsum(case.micro_batches)
        micro_batches = [(images[e - n : e], labels[e - n : e]) for n, e in zip(case.micro_batches, ends)]

        def evaluate(values, update_running=True):
            evaluation = network.evaluate(values, buffers, micro_batches, update_running)
            if case.clip_norm > 0:
                clip(evaluation.gradients, case.clip_norm)
            return evaluation

        losses.append(optimizer.step(parameters, evaluate, learning_rate(case, s)))
        if each_step:
            each_step(s + 1, parameters)
    return losses, parameters, buffers


def variants(optimizer, lr, common, table):
    """Cases named "optimizer: what differs"; a table row is (what, options [, keywords of Case])."""
    result = []
    for what, options, *more in table:
        keywords = {"lr": lr, **(more[0] if more else {})}
        result.append(Case(f"{optimizer}: {what}", optimizer, options={**common, **options}, **keywords))
    return result


def all_cases():
    accumulate, clipped, no_decay = {"micro_batches": ACCUMULATED}, {"clip_norm": 0.2}, {"decay-1d": False}
    wd = {"weight-decay": 0.1}
    cases = variants("sgd", 0.05, {"weight-decay": 0.01}, [
        ("plain", {}),
        ("momentum", {"momentum": 0.9}),
        ("dampening", {"momentum": 0.9, "dampening": 0.3}),
        ("Nesterov, no decay of vectors", {"momentum": 0.9, "nesterov": True, **no_decay}),
        ("gradient clip", {"momentum": 0.9}, clipped),
        ("accumulation", {"momentum": 0.9}, accumulate),
    ])  # fmt: skip
    cases += variants("adam", 0.003, {"weight-decay": 0.01}, [
        ("defaults", {}),
        ("no decay of vectors", {"beta1": 0.8, "beta2": 0.99, "eps": 1e-4, **no_decay}),
    ])  # fmt: skip
    cases += variants("adamw", 0.003, wd, [("defaults", {}), ("no decay of vectors", {"eps": 1e-4, **no_decay})])
    cases += variants("adan", 0.003, wd, [
        ("proximal", {}),
        ("not proximal, no decay of vectors", {"proximal": False, **no_decay}),
        ("gradient clip of its own, other betas", {"max-grad-norm": 0.2, "beta1": 0.9, "beta2": 0.8, "beta3": 0.95}),
        ("restarts", {"restart-every": 6, "eps": 1e-3}),
    ])  # fmt: skip
    cases += variants("lamb", 0.01, {"weight-decay": 0.05}, [
        ("defaults", {}),
        ("bounded trust, no bias correction", {"trust-max": 1.5, "bias-correction": False}),
        ("tight gradient clip, no decay of vectors", {"max-grad-norm": 0.2, **no_decay}),
    ])  # fmt: skip
    cases += variants("adaact", 0.03, {"weight-decay": 0.02}, [
        ("defaults", {}),
        ("gradient clip, no decay of vectors", no_decay, clipped),
        ("clipped variance", {"variance-min": 0.1, "variance-max": 0.8, "beta2": 0.9}),
        ("exponent 1/4", {"exponent": 0.25}),
        ("exponent 1, eps 0.01", {"exponent": 1.0, "eps": 0.01}),
        ("momentum of the others", {"momentum-others": True}),
        ("full covariance", {"covariance": "full", "eps": 0.01}),
        ("full covariance, refreshed every 4 steps", {"covariance": "full", "eps": 0.01, "beta2": 0.9, "t-inv": 4}),
        ("accumulation", {}, accumulate),
        ("statistics per forward", {"statistics": "per-forward", "beta2": 0.9}),
        ("statistics per forward, accumulation", {"statistics": "per-forward", "beta2": 0.9, "eps": 0.01}, accumulate),
    ])  # fmt: skip
    cases += variants("sam", 0.05, {}, [
        ("around sgd", {"base-optim": "sgd", "momentum": 0.9, "weight-decay": 0.01}),
        ("around sgd, accumulation", {"base-optim": "sgd", "momentum": 0.9, "rho": 0.2}, accumulate),
        ("around sgd, gradient clip", {"base-optim": "sgd", "momentum": 0.9, "weight-decay": 0.01, "rho": 0.2}, clipped),
        ("around adaact", {"base-optim": "adaact", "weight-decay": 0.02, "rho": 0.2}, {"lr": 0.03}),
    ])  # fmt: skip
    often, seldom = {"t-cov": 1, "t-inv": 1}, {"t-cov": 2, "t-inv": 4}
    decay = {"weight-decay": 0.01, "delay-decay": False}
    cases += variants("kfac", 0.05, {**decay, **seldom}, [
        ("rows", {}),
        ("rows, every step, gradient clip", {**often, "damping": 0.1}, clipped),
        ("rows, delayed decay", {**often, "delay-decay": True}, {"steps": 24}),
        ("rows, no KL clip, no decay of vectors", {"kl-clip": 0.0, **no_decay}),
        ("rows, accumulation", {}, accumulate),
        ("kfc", {"normalization": "kfc"}),
        ("gpauloski", {"normalization": "gpauloski"}),
        ("averaged, Cholesky, split", {"normalization": "averaged", "solver": "cholesky", "split": "pi"}),
        ("rows, Cholesky", {"solver": "cholesky"}),
        ("textbook, Cholesky, split, accumulation",
         {"normalization": "textbook", "solver": "cholesky", "split": "pi"}, accumulate),
    ])  # fmt: skip
    cases += variants("foof", 0.05, {"weight-decay": 0.01, **seldom}, [
        ("canonical", {}),
        ("canonical, every step, no decay of vectors", {**often, "damping": 0.3, **no_decay}),
        ("canonical, accumulation, gradient clip", {}, {**accumulate, **clipped}),
        ("cifar", {"variant": "cifar"}),
        ("cifar, delayed decay", {"variant": "cifar", **often}, {"steps": 24}),
        ("original", {"variant": "original", "t-inv": 5, "statistic-steps": 2, "damping": 5.0, "weight-decay": 0.0}),
        ("original, accumulation", {"variant": "original", "damping": 5.0}, accumulate),
    ])  # fmt: skip
    cases += variants("eva", 0.02, {"weight-decay": 0.01}, [
        ("joint", {}),
        ("joint, no KL clip, no decay of vectors", {"kl-clip": 0.0, "damping": 0.5, **no_decay}),
        ("joint, accumulation", {"statistic-decay": 0.5}, accumulate),
        ("separate", {"form": "separate", "damping": 0.1}),
    ])  # fmt: skip
    return cases
