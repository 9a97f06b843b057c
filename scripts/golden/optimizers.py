"""SGD, Adam, AdamW, Adan, LAMB and SAM: optimizers that look at gradients only. And what all optimizers share.

An optimizer is given the network's parameters, {name: array}, and changes them in place. Options have the C++ tables'
names, with underscores; `t` counts steps from 1, `s = t - 1` from 0.
"""

import numpy as np

from .network import LAYERS


class Optimizer:
    defaults = {}
    layers = LAYERS  # the weighted ones

    def __init__(self, **options):
        unknown = set(options) - set(self.defaults) - {"decay_1d"}
        if unknown:
            raise ValueError(f"{type(self).__name__} has no option {sorted(unknown)}")
        for name, value in {"decay_1d": True, **self.defaults, **options}.items():
            setattr(self, name, value)
        self.t = 0
        self.buffers = {}

    def buffer(self, kind, like):
        """A named array per parameter, zero at first."""
        for name, array in like.items():
            self.buffers.setdefault((kind, name), np.zeros_like(array))
        return {name: self.buffers[kind, name] for name in like}

    def decay(self, parameter):
        """This parameter's share of weight decay."""
        return self.weight_decay if self.decay_1d or parameter.ndim > 1 else 0.0

    def step(self, parameters, evaluate, lr):
        """One training step; evaluate(parameters, update_running=True) → Evaluation. Returns the loss."""
        evaluation = evaluate(parameters)
        self.update(parameters, evaluation, lr)
        return evaluation.loss

    def update(self, parameters, evaluation, lr):
        self.t += 1
        self.apply(parameters, evaluation.gradients, lr)


def global_norm(tensors):
    return np.sqrt(sum((tensor**2).sum() for tensor in tensors.values()))


class SGD(Optimizer):
    """PyTorch's. Dampening is not applied at the first step."""

    defaults = {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0}

    def apply(self, parameters, gradients, lr):
        momenta = self.buffer("momentum", parameters)
        for name, p in parameters.items():
            d = gradients[name] + self.decay(p) * p
            b = momenta[name]
            b[...] = d if self.t == 1 else self.momentum * b + (1 - self.dampening) * d
            u = d if self.momentum == 0 else d + self.momentum * b if self.nesterov else b
            p -= lr * u


class Adam(Optimizer):
    """Weight decay as part of the gradient (L2)."""

    defaults = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    decoupled = False

    def apply(self, parameters, gradients, lr):
        first, second = self.buffer("m", parameters), self.buffer("v", parameters)
        c1, c2 = 1 - self.beta1**self.t, 1 - self.beta2**self.t
        for name, p in parameters.items():
            g, m, v = gradients[name], first[name], second[name]
            if self.decoupled:
                p *= 1 - lr * self.decay(p)
            else:
                g = g + self.decay(p) * p
            m[...] = self.beta1 * m + (1 - self.beta1) * g
            v[...] = self.beta2 * v + (1 - self.beta2) * g**2
            p -= lr / c1 * m / (np.sqrt(v) / np.sqrt(c2) + self.eps)


class AdamW(Adam):
    defaults = {**Adam.defaults, "weight_decay": 0.01}
    decoupled = True


class Adan(Optimizer):
    """Xie et al., in the convention of the published code: a beta is the share of the old value."""

    defaults = {"beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8, "weight_decay": 0.0, "max_grad_norm": 0.0}
    defaults |= {"proximal": True, "restart_every": 0}

    def __init__(self, **options):
        super().__init__(**options)
        self.since_restart = 0

    def apply(self, parameters, gradients, lr):
        if self.restart_every > 0 and self.since_restart == self.restart_every:
            self.buffers.clear()
            self.since_restart = 0
        self.since_restart += 1
        k = self.since_restart
        clip = 1.0
        if self.max_grad_norm > 0:
            clip = min(1.0, self.max_grad_norm / (global_norm(gradients) + self.eps))
        first, difference, square = (self.buffer(kind, parameters) for kind in "mvn")
        previous = self.buffer("previous", parameters)
        for name, p in parameters.items():
            m, v, n = first[name], difference[name], square[name]
            g = clip * gradients[name]
            d = g - (g if k == 1 else previous[name])
            m[...] = self.beta1 * m + (1 - self.beta1) * g
            v[...] = self.beta2 * v + (1 - self.beta2) * d
            n[...] = self.beta3 * n + (1 - self.beta3) * (g + self.beta2 * d) ** 2
            denominator = np.sqrt(n) / np.sqrt(1 - self.beta3**k) + self.eps
            if not self.proximal:
                p *= 1 - lr * self.decay(p)
            p -= lr / (1 - self.beta1**k) * m / denominator
            p -= lr * self.beta2 / (1 - self.beta2**k) * v / denominator
            if self.proximal:
                p /= 1 + lr * self.decay(p)
            previous[name][...] = g


class LAMB(Optimizer):
    """timm's. trust_max bounds the trust ratio (0: no bound); a parameter without decay has none."""

    defaults = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-6, "weight_decay": 0.01, "max_grad_norm": 1.0}
    defaults |= {"trust_max": 0.0, "bias_correction": True}

    def apply(self, parameters, gradients, lr):
        first, second = self.buffer("m", parameters), self.buffer("v", parameters)
        clip = max(1.0, global_norm(gradients) / self.max_grad_norm) if self.max_grad_norm > 0 else 1.0
        c1, c2 = (1 - self.beta1**self.t, 1 - self.beta2**self.t) if self.bias_correction else (1.0, 1.0)
        for name, p in parameters.items():
            g, m, v = gradients[name] / clip, first[name], second[name]
            m[...] = self.beta1 * m + (1 - self.beta1) * g
            v[...] = self.beta2 * v + (1 - self.beta2) * g**2
            u = m / c1 / (np.sqrt(v) / np.sqrt(c2) + self.eps)
            if self.decay(p) != 0:
                u = u + self.decay(p) * p
                norms = np.linalg.norm(p), np.linalg.norm(u)
                ratio = norms[0] / norms[1] if min(norms) > 0 else 1.0
                u = u * (min(ratio, self.trust_max) if self.trust_max > 0 else ratio)
            p -= lr * u


class SAM(Optimizer):
    """Foret et al.: the base optimizer's step with the gradient at the nearby worst point, on the same batch.

    Running statistics move in the first pass only; statistics of activations belong to the second, like the gradient.
    """

    defaults = {"rho": 0.05}

    def __init__(self, base, **options):
        self.base = base
        super().__init__(**options)

    def step(self, parameters, evaluate, lr):
        first = evaluate(parameters)
        scale = self.rho / (global_norm(first.gradients) + 1e-12)
        nearby = {name: p + scale * first.gradients[name] for name, p in parameters.items()}
        self.base.update(parameters, evaluate(nearby, update_running=False), lr)
        return first.loss
