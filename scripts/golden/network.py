"""A small network with its own forward and backward pass in NumPy, in double; layouts and orders are PyTorch's.

    images (N, 2, 7, 6) → conv1 3x3 2→3, padding 1, bias → ReLU
                        → conv2 3x3 3→4, stride 2, padding 1 → bn (batch normalisation) → ReLU
                        → conv3 3x3 4→4, padding 1, dilation 2, 2 groups, bias → ReLU → flatten (c, h, w)
                        → fc1 8→4 → ReLU → fc2 4→3 → softmax cross-entropy

A weighted layer shows its input as rows `a` (N, groups, S, d), d in the order c, ky, kx, and the gradient of its output
as rows `g` (N, groups, S, out/groups); S counts output positions (1 for a linear layer).
"""

from dataclasses import dataclass

import numpy as np

CHANNELS, HEIGHT, WIDTH, CLASSES = 2, 7, 6, 3
BN_EPS, BN_MOMENTUM = 1e-5, 0.1


class Numbers:
    """Uniform numbers in [-1, 1) from Knuth's 64-bit linear congruential generator: the same ones in any language."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 11) * 2.0**-52 - 1

    def array(self, shape):
        return np.array([self.next() for _ in range(int(np.prod(shape)))]).reshape(shape)


@dataclass
class Layer:
    """A weighted layer. Its matrix is [W | b] per group: (groups, out/groups, d [+1])."""

    name: str
    shape: tuple  # of the weight
    bias: bool
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def convolution(self):
        return len(self.shape) == 4

    @property
    def fan_in(self):
        return int(np.prod(self.shape[1:]))

    def parameters(self):
        return [self.name + ".weight"] + ([self.name + ".bias"] if self.bias else [])

    def matrix(self, tensors):
        """[W | b] of parameters or gradients."""
        matrix = tensors[self.name + ".weight"].reshape(self.groups, -1, self.fan_in)
        if self.bias:
            column = tensors[self.name + ".bias"].reshape(self.groups, -1, 1)
            matrix = np.concatenate([matrix, column], axis=2)
        return matrix

    def split(self, matrix):
        """The reverse: {parameter name: tensor}."""
        tensors = {self.name + ".weight": matrix[:, :, : self.fan_in].reshape(self.shape)}
        if self.bias:
            tensors[self.name + ".bias"] = matrix[:, :, self.fan_in].reshape(-1)
        return tensors

    # ---- The way there and back ----

    def patches(self, x):
        """(N, C, H, W) → rows (N, groups, OH·OW, C/groups·k·k), and (OH, OW)."""
        k, p = self.shape[2], self.padding
        x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        oh, ow = ((side - self.dilation * (k - 1) - 1) // self.stride + 1 for side in x.shape[2:])
        windows = np.empty((x.shape[0], x.shape[1], k, k, oh, ow))
        for ky in range(k):
            for kx in range(k):
                windows[:, :, ky, kx] = self.window(x, ky, kx, oh, ow)
        return windows.reshape(x.shape[0], self.groups, self.fan_in, oh * ow).transpose(0, 1, 3, 2), (oh, ow)

    def window(self, x, ky, kx, oh, ow):
        """What kernel position (ky, kx) sees of the padded x: a view (N, C, OH, OW)."""
        y0, x0, s = ky * self.dilation, kx * self.dilation, self.stride
        return x[:, :, y0 : y0 + s * (oh - 1) + 1 : s, x0 : x0 + s * (ow - 1) + 1 : s]

    def forward(self, parameters, x):
        if self.convolution:
            a, size = self.patches(x)
        else:
            a, size = x.reshape(x.shape[0], 1, 1, -1), None
        weight = parameters[self.name + ".weight"].reshape(self.groups, -1, self.fan_in)
        y = np.einsum("ngsd,god->ngos", a, weight)
        y = y.reshape(x.shape[0], self.shape[0], *size) if size else y.reshape(x.shape[0], -1)
        if self.bias:
            y = y + parameters[self.name + ".bias"].reshape(1, -1, *([1, 1] if size else []))
        return y, a

    def backward(self, parameters, a, x_shape, dy):
        """(gradient of x, output gradient as rows, {parameter name: gradient})."""
        g = dy.reshape(dy.shape[0], self.groups, self.shape[0] // self.groups, -1).transpose(0, 1, 3, 2)
        gradients = {self.name + ".weight": np.einsum("ngso,ngsd->god", g, a).reshape(self.shape)}
        if self.bias:
            gradients[self.name + ".bias"] = g.sum(axis=(0, 2)).reshape(-1)
        weight = parameters[self.name + ".weight"].reshape(self.groups, -1, self.fan_in)
        da = np.einsum("ngso,god->ngsd", g, weight)
        if not self.convolution:
            return da.reshape(x_shape), g, gradients
        k, p = self.shape[2], self.padding
        n, c, h, w = x_shape
        oh, ow = dy.shape[2:]
        windows = da.transpose(0, 1, 3, 2).reshape(n, c, k, k, oh, ow)
        dx = np.zeros((n, c, h + 2 * p, w + 2 * p))
        for ky in range(k):
            for kx in range(k):
                self.window(dx, ky, kx, oh, ow)[...] += windows[:, :, ky, kx]
        return dx[:, :, p : p + h, p : p + w], g, gradients


LAYERS = [
    Layer("conv1", (3, 2, 3, 3), bias=True, padding=1),
    Layer("conv2", (4, 3, 3, 3), bias=False, stride=2, padding=1),
    Layer("conv3", (4, 2, 3, 3), bias=True, padding=1, dilation=2, groups=2),
    Layer("fc1", (4, 8), bias=True),
    Layer("fc2", (3, 4), bias=True),
]
CONV1, CONV2, CONV3, FC1, FC2 = LAYERS


def initial_parameters():
    """Weights uniform ±√(6/fan_in), biases ±0.1, scales 1 ± 0.2, shifts ±0.2, in the order of the dictionary."""
    numbers, parameters = Numbers(1), {}
    for layer in LAYERS:
        parameters[layer.name + ".weight"] = np.sqrt(6 / layer.fan_in) * numbers.array(layer.shape)
        if layer.bias:
            parameters[layer.name + ".bias"] = 0.1 * numbers.array(layer.shape[:1])
        if layer is CONV2:
            parameters["bn.weight"] = 1 + 0.2 * numbers.array(4)
            parameters["bn.bias"] = 0.2 * numbers.array(4)
    return parameters


def initial_buffers():
    return {"bn.running_mean": np.zeros(4), "bn.running_var": np.ones(4)}


def batches(steps, size):
    """[(images, labels)] of each step; images and labels come from two streams."""
    pixels, classes = Numbers(2), Numbers(3)
    result = []
    for _ in range(steps):
        images = pixels.array((size, CHANNELS, HEIGHT, WIDTH))
        labels = np.array([int((classes.next() + 1) / 2 * CLASSES) for _ in range(size)])
        result.append((images, labels))
    return result


# ---- Batch normalisation and loss ----


def batch_norm(parameters, buffers, x, update_running):
    """(y, what the way back needs). `buffers` change when update_running."""
    axes, count = (0, 2, 3), x.size // x.shape[1]
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    if update_running:
        for name, new in (("bn.running_mean", mean), ("bn.running_var", variance * count / (count - 1))):
            buffers[name] = (1 - BN_MOMENTUM) * buffers[name] + BN_MOMENTUM * new
    column = (1, -1, 1, 1)
    inverse = 1 / np.sqrt(variance + BN_EPS).reshape(column)
    normal = (x - mean.reshape(column)) * inverse
    return normal * parameters["bn.weight"].reshape(column) + parameters["bn.bias"].reshape(column), (normal, inverse)


def batch_norm_backward(parameters, saved, dy):
    normal, inverse = saved
    axes = (0, 2, 3)
    gradients = {"bn.weight": (dy * normal).sum(axis=axes), "bn.bias": dy.sum(axis=axes)}
    d = dy * parameters["bn.weight"].reshape(1, -1, 1, 1)
    mean = lambda v: v.mean(axis=axes, keepdims=True)
    return inverse * (d - mean(d) - normal * mean(d * normal)), gradients


def cross_entropy(logits, labels):
    """(sum of the losses, gradient of that sum)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    hits = np.eye(logits.shape[1])[labels]
    return -(hits * log_probabilities).sum(), np.exp(log_probabilities) - hits


# ---- The network ----


@dataclass
class Evaluation:
    """The mean loss over a step's images, its gradients, and what the weighted layers saw, per micro-batch."""

    loss: float
    gradients: dict
    inputs: list  # of {layer name: rows a}
    output_gradients: list  # of {layer name: rows g}: the gradient of the mean over the whole step


def evaluate(parameters, buffers, micro_batches, update_running=True):
    samples = sum(len(labels) for _, labels in micro_batches)
    total = Evaluation(0.0, {name: np.zeros_like(p) for name, p in parameters.items()}, [], [])
    for images, labels in micro_batches:
        loss, gradients, a, g = forward_backward(parameters, buffers, images, labels, 1 / samples, update_running)
        total.loss += loss
        for name in parameters:
            total.gradients[name] += gradients[name]
        total.inputs.append(a)
        total.output_gradients.append(g)
    return total


def forward_backward(parameters, buffers, images, labels, factor, update_running):
    """(loss, gradients, inputs a, output gradients g) of `factor` times the sum of the losses."""
    a, g, gradients, shapes = {}, {}, {}, {}

    def layer_forward(layer, x):
        shapes[layer.name] = x.shape
        y, a[layer.name] = layer.forward(parameters, x)
        return y

    def layer_backward(layer, dy):
        dx, g[layer.name], own = layer.backward(parameters, a[layer.name], shapes[layer.name], dy)
        gradients.update(own)
        return dx

    z1 = layer_forward(CONV1, images)
    z2, saved = batch_norm(parameters, buffers, layer_forward(CONV2, np.maximum(z1, 0)), update_running)
    z3 = layer_forward(CONV3, np.maximum(z2, 0))
    z4 = layer_forward(FC1, np.maximum(z3, 0).reshape(len(labels), -1))
    loss, d = cross_entropy(layer_forward(FC2, np.maximum(z4, 0)), labels)

    d = layer_backward(FC2, factor * d) * (z4 > 0)
    d = layer_backward(FC1, d).reshape(z3.shape) * (z3 > 0)
    d, own = batch_norm_backward(parameters, saved, layer_backward(CONV3, d) * (z2 > 0))
    gradients.update(own)
    layer_backward(CONV1, layer_backward(CONV2, d) * (z1 > 0))
    return factor * loss, gradients, a, g


def largest_gradient_error():
    """Against central differences, as a share of each tensor's largest gradient; micro-batches of 4 and 2 images."""
    parameters, worst = initial_parameters(), 0.0
    images, labels = batches(1, 6)[0]
    micro_batches = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    exact = evaluate(parameters, initial_buffers(), micro_batches).gradients
    for name, parameter in parameters.items():
        numeric = np.zeros_like(parameter)
        for index in np.ndindex(parameter.shape):
            for sign in (1, -1):
                moved = dict(parameters)
                moved[name] = parameter.copy()
                moved[name][index] += sign * 1e-5
                numeric[index] += sign * evaluate(moved, initial_buffers(), micro_batches).loss / 2e-5
        worst = max(worst, np.abs(numeric - exact[name]).max() / np.abs(exact[name]).max())
    return worst
