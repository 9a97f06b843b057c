"""AdaAct, FOOF, KFAC and Eva: optimizers that look at the weighted layers' inputs a and output gradients g.

Everything is per layer and group. `rows` of a step are the images times the output positions of all its micro-batches.
"""

import numpy as np

from .optimizers import Optimizer


def augmented(layer, a):
    """ã = [a; 1] where the layer has a bias."""
    return np.concatenate([a, np.ones((*a.shape[:3], 1))], axis=3) if layer.bias else a


def step_inputs(layer, evaluation):
    """ã of all micro-batches, (B, groups, S, d [+1])."""
    return augmented(layer, np.concatenate([batch[layer.name] for batch in evaluation.inputs]))


def step_output_gradients(layer, evaluation):
    """(B, groups, S, out/groups)."""
    return np.concatenate([batch[layer.name] for batch in evaluation.output_gradients])


def sum_of_products(rows):
    """Σ r rᵀ over images and positions: (groups, d, d)."""
    return np.einsum("ngsi,ngsj->gij", rows, rows)


def transposed(matrices):
    return matrices.transpose(0, 2, 1)


def identities(count, size):
    return np.tile(np.eye(size), (count, 1, 1))


class AdaAct(Optimizer):
    defaults = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 2e-3, "variance_min": 0.0}
    defaults |= {"variance_max": 0.0, "exponent": 0.5, "covariance": "diagonal", "statistics": "per-step"}
    defaults |= {"momentum_others": False, "t_inv": 1}

    def __init__(self, **options):
        super().__init__(**options)
        self.V, self.M, self.root = {}, {}, {}  # average statistic, momentum, (Â + εI)^(-1/2)

    def statistic(self, layer, a):
        """Mean over the rows: of ã², (groups, d [+1]), or of ã ãᵀ."""
        if self.covariance == "diagonal":
            return (a**2).mean(axis=(0, 2))
        return sum_of_products(a) / (a.shape[0] * a.shape[2])

    def observe(self, evaluation):
        for layer in self.layers:
            if self.statistics == "per-step":
                seen = [step_inputs(layer, evaluation)]
            else:
                seen = [augmented(layer, batch[layer.name]) for batch in evaluation.inputs]
            for a in seen:
                new = self.statistic(layer, a)
                old = self.V.get(layer.name, np.zeros_like(new))
                if self.statistics == "per-forward" and self.t == 1:
                    old = np.zeros_like(new)
                self.V[layer.name] = self.beta2 * old + (1 - self.beta2) * new

    def preconditioned(self, layer, momentum):
        average = self.V[layer.name] / (1 - self.beta2**self.t)
        if self.covariance == "diagonal":
            average = np.clip(average, self.variance_min, self.variance_max or np.inf)
            return momentum / (average**self.exponent + self.eps)[:, None, :]
        if (self.t - 1) % self.t_inv == 0:
            values, vectors = np.linalg.eigh(average + self.eps * np.eye(average.shape[1]))
            self.root[layer.name] = (vectors / np.sqrt(values)[:, None, :]) @ transposed(vectors)
        return momentum @ self.root[layer.name]

    def update(self, parameters, evaluation, lr):
        self.t += 1
        self.observe(evaluation)
        updates = dict(evaluation.gradients)
        average = lambda old, new: self.beta1 * old + (1 - self.beta1) * new
        c1 = 1 - self.beta1**self.t
        for layer in self.layers:
            self.M[layer.name] = average(self.M.get(layer.name, 0.0), layer.matrix(evaluation.gradients))
            updates.update(layer.split(self.preconditioned(layer, self.M[layer.name] / c1)))
        if self.momentum_others:
            for name in parameters.keys() - {name for layer in self.layers for name in layer.parameters()}:
                self.M[name] = average(self.M.get(name, 0.0), evaluation.gradients[name])
                updates[name] = self.M[name] / c1
        for name, p in parameters.items():
            p *= 1 - lr * self.decay(p)
            p -= lr * updates[name]


class Preconditioned(Optimizer):
    """Gradients of weighted layers are replaced, then heavy-ball momentum with L2 decay steps on all parameters."""

    decay_from = 0  # the first step (s) with weight decay

    def clip(self, pairs, lr):
        """The factor ν that keeps lr² Σ R·Grad below kl_clip; pairs of (R, Grad)."""
        if self.kl_clip <= 0:
            return 1.0
        change = lr**2 * sum((r * grad).sum() for r, grad in pairs)
        return min(1.0, np.sqrt(self.kl_clip / change)) if change > 0 else 1.0

    def update(self, parameters, evaluation, lr):
        self.t += 1
        directions = self.directions(evaluation, lr)
        momenta = self.buffer("momentum", parameters)
        for name, p in parameters.items():
            d = directions[name]
            if self.t - 1 >= self.decay_from:
                d = d + self.decay(p) * p
            momenta[name][...] = self.momentum * momenta[name] + d
            p -= lr * momenta[name]

    def clipped_directions(self, evaluation, lr, precondition):
        """The gradients, those of weighted layers replaced by ν R, R = precondition(layer, Grad)."""
        grads = {layer.name: layer.matrix(evaluation.gradients) for layer in self.layers}
        replaced = {layer.name: precondition(layer, grads[layer.name]) for layer in self.layers}
        nu = self.clip([(replaced[name], grads[name]) for name in grads], lr)
        directions = dict(evaluation.gradients)
        for layer in self.layers:
            directions.update(layer.split(nu * replaced[layer.name]))
        return directions


class KFAC(Preconditioned):
    defaults = {"momentum": 0.9, "weight_decay": 5e-4, "delay_decay": True, "factor_decay": 0.9, "damping": 1.0}
    defaults |= {"kl_clip": 1e-3, "t_cov": 5, "t_inv": 50, "normalization": "rows", "solver": "eigen"}
    defaults |= {"split": "none", "labels": "true"}

    def __init__(self, **options):
        super().__init__(**options)
        self.A, self.G, self.solved = {}, {}, {}
        self.decay_from = 20 * self.t_cov if self.delay_decay else 0

    def factors_of_step(self, layer, evaluation):
        """This step's A and G under the chosen normalisation; g belongs to the mean loss."""
        a, g = step_inputs(layer, evaluation), step_output_gradients(layer, evaluation)
        if self.normalization == "averaged":
            a, g = a.mean(axis=2, keepdims=True), g.mean(axis=2, keepdims=True)
        b, s = a.shape[0], a.shape[2]
        of_a, of_g = {
            "rows": (1 / (b * s), 1 / (b * s)),
            "kfc": (1 / (b * s**2), b * s),
            "gpauloski": (1 / (b * s**3), 1 / (b * s**3)),
            "averaged": (1 / b, 1 / b),
            "textbook": (1 / b, b / s),
        }[self.normalization]
        return of_a * sum_of_products(a), of_g * sum_of_products(g)

    def observe(self, layer, evaluation):
        for store, new in zip((self.A, self.G), self.factors_of_step(layer, evaluation)):
            old = store.get(layer.name, identities(len(new), new.shape[1]))
            store[layer.name] = self.factor_decay * old + (1 - self.factor_decay) * new

    def solve(self, layer):
        A, G = self.A[layer.name], self.G[layer.name]
        if self.solver == "eigen":
            pairs = [np.linalg.eigh(factor) for factor in (A, G)]
            self.solved[layer.name] = [(np.where(d <= 1e-10, 0.0, d), q) for d, q in pairs]
            return
        of_a = of_g = np.full(len(A), self.damping)
        if self.split == "pi":
            mean_of = lambda factor: np.trace(factor, axis1=1, axis2=2) / factor.shape[1]
            pi = np.minimum(np.sqrt(mean_of(A) / mean_of(G)), 1e10)
            of_a, of_g = pi * np.sqrt(self.damping), np.sqrt(self.damping) / pi
        damped = lambda factor, value: factor + value[:, None, None] * np.eye(factor.shape[1])
        self.solved[layer.name] = np.linalg.inv(damped(A, of_a)), np.linalg.inv(damped(G, of_g))

    def precondition(self, layer, grad):
        if self.solver == "cholesky":
            inverse_a, inverse_g = self.solved[layer.name]
            return inverse_g @ grad @ inverse_a
        (d_a, q_a), (d_g, q_g) = self.solved[layer.name]
        inner = transposed(q_g) @ grad @ q_a / (d_g[:, :, None] * d_a[:, None, :] + self.damping)
        return q_g @ inner @ transposed(q_a)

    def directions(self, evaluation, lr):
        s = self.t - 1
        for layer in self.layers:
            if s % self.t_cov == 0:
                self.observe(layer, evaluation)
            if s % self.t_inv == 0:
                self.solve(layer)
        return self.clipped_directions(evaluation, lr, self.precondition)


class FOOF(Preconditioned):
    defaults = {"momentum": 0.9, "weight_decay": 5e-4, "factor_decay": 0.95, "damping": 1.0, "t_cov": 5, "t_inv": 50}
    defaults |= {"variant": "canonical", "statistic_steps": 10}

    def __init__(self, **options):
        super().__init__(**options)
        self.A, self.P, self.k = {}, {}, 0  # factors, inverses, how many steps the factors have seen
        self.decay_from = 20 * self.t_cov if self.variant == "cifar" else 0

    def observe(self, evaluation):
        self.k += 1
        for layer in self.layers:
            a = step_inputs(layer, evaluation)
            b, s = a.shape[0], a.shape[2]
            divisor = b * s
            if self.variant == "original":
                divisor = b if layer.convolution else 1
            new = sum_of_products(a) / divisor
            start = identities(len(new), new.shape[1]) if self.variant == "cifar" else 0 * new
            old = self.A.get(layer.name, start)
            self.A[layer.name] = self.factor_decay * old + (1 - self.factor_decay) * new

    def invert(self):
        for name, factor in self.A.items():
            corrected = factor / (1 - self.factor_decay**self.k)
            self.P[name] = np.linalg.inv(corrected + self.damping * np.eye(factor.shape[1]))

    def directions(self, evaluation, lr):
        s = self.t - 1
        if s % self.t_cov == 0:
            self.observe(evaluation)
        if s % self.t_inv == 0:
            self.invert()
        directions = dict(evaluation.gradients)
        for layer in self.layers:
            directions.update(layer.split(layer.matrix(evaluation.gradients) @ self.P[layer.name]))
        return directions

    def update(self, parameters, evaluation, lr):
        if self.variant == "original":
            self.t += 1
            self.original(parameters, evaluation, lr)
        else:
            super().update(parameters, evaluation, lr)

    def original(self, parameters, evaluation, lr):
        """Benzing's order: weights, inverse, statistic; the first step begins with its own statistic and inverse."""
        s = self.t - 1
        if s == 0:
            self.observe(evaluation)
            self.invert()
        momenta = self.buffer("momentum", parameters)
        for name in parameters:
            momenta[name][...] = self.momentum * momenta[name] + evaluation.gradients[name]
        updates = dict(momenta)
        for layer in self.layers:
            updates.update(layer.split(layer.matrix(momenta) @ self.P[layer.name]))
        for name, p in parameters.items():
            p -= lr * (updates[name] + self.decay(p) * p)
        if s > 0 and s % self.t_inv == 0:
            self.invert()
        if s > 0 and (s + self.statistic_steps) % self.t_inv < self.statistic_steps:
            self.observe(evaluation)


class Eva(Preconditioned):
    defaults = {"momentum": 0.9, "weight_decay": 5e-4, "damping": 0.03, "kl_clip": 1e-3, "statistic_decay": 0.05}
    defaults |= {"form": "joint"}

    def __init__(self, **options):
        super().__init__(**options)
        self.vectors = {}

    def average(self, key, new):
        old = self.vectors.get(key, new)
        self.vectors[key] = self.statistic_decay * old + (1 - self.statistic_decay) * new
        return self.vectors[key]

    def directions(self, evaluation, lr):
        for layer in self.layers:
            self.average((layer.name, "a"), step_inputs(layer, evaluation).mean(axis=(0, 2)))
            self.average((layer.name, "b"), step_output_gradients(layer, evaluation).mean(axis=(0, 2)))
        return self.clipped_directions(evaluation, lr, self.precondition)

    def precondition(self, layer, grad):
        a, b = self.vectors[layer.name, "a"], self.vectors[layer.name, "b"]
        outer = lambda u, v: u[:, :, None] * v[:, None, :]
        if self.form == "separate":
            plus = lambda v: self.damping * np.eye(v.shape[1]) + outer(v, v)
            return np.linalg.inv(plus(b)) @ grad @ np.linalg.inv(plus(a))
        middle = np.einsum("gi,gij,gj->g", b, grad, a)
        scale = middle / ((a**2).sum(axis=1) * (b**2).sum(axis=1) + self.damping)
        return (grad - scale[:, None, None] * outer(b, a)) / self.damping
