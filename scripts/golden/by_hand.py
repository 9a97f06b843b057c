"""Steps so small that a pocket calculator can follow them; the expected digits were computed apart from this script."""

import numpy as np

from .curvature import FOOF, KFAC, AdaAct, Eva
from .network import Evaluation, Layer
from .optimizers import LAMB, SAM, SGD, Adam, AdamW, Adan

SCALAR_GRADIENTS = (0.5, -0.2, 0.3)
SCALAR = [  # parameter 1 at first, its value after each step
    ("SGD", SGD(momentum=0.9, weight_decay=5e-4), 0.1, (0.949950000, 0.924857502, 0.872228012)),
    ("SGD, Nesterov", SGD(momentum=0.9, weight_decay=5e-4, nesterov=True), 0.1, (0.904905, 0.902278534, 0.824869719)),
    ("Adam", Adam(weight_decay=5e-4), 1e-3, (0.999, 0.998653261, 0.998107848)),
    ("AdamW", AdamW(weight_decay=1e-2), 1e-3, (0.99899, 0.998634404, 0.998079978)),
    ("Adan", Adan(weight_decay=0.02), 0.01, (0.989802040, 0.992324268, 0.990023822)),
    ("Adan, not proximal", Adan(weight_decay=0.02, proximal=False), 0.01, (0.9898, 0.992322733, 0.990021828)),
]


def scalar_error(optimizer, lr, expected):
    parameters, error = {"p": np.array([1.0])}, 0.0
    for g, value in zip(SCALAR_GRADIENTS, expected):
        optimizer.update(parameters, Evaluation(0.0, {"p": np.array([g])}, [], []), lr)
        error = max(error, abs(parameters["p"][0] - value))
    return error


def linear(weight, bias, gradient, inputs, output_gradients=None):
    """(layer, parameters, evaluation) of one linear layer; rows of inputs and output gradients are images."""
    layer = Layer("fc", np.shape(weight), bias=bias is not None)
    parameters = {"fc.weight": np.array(weight, float)} | ({} if bias is None else {"fc.bias": np.array(bias, float)})
    rows = lambda values: {"fc": np.array(values, float)[:, None, None, :]}
    g = [] if output_gradients is None else [rows(output_gradients)]
    return layer, parameters, Evaluation(0.0, layer.split(np.array([gradient], float)), [rows(inputs)], g)


def adaact_error():
    """Two steps of a linear layer 2 → 1 with bias."""
    optimizer = AdaAct()
    inputs = [[(1, 2), (3, 0)], [(0.5, -1), (2, 1)]]
    gradients = [(0.2, -0.4, 0.1), (-0.1, 0.3, 0.05)]
    expected = [(0.490955728, -0.271655729, 0.089980000), (0.488626520, -0.269022773, 0.082593583)]
    weight, bias, error = [[0.5, -0.3]], [0.1], 0.0
    for t in range(2):
        layer, parameters, evaluation = linear(weight, bias, [gradients[t]], inputs[t])
        optimizer.layers = [layer]
        optimizer.update(parameters, evaluation, 0.1)
        weight, bias = parameters["fc.weight"], parameters["fc.bias"]
        error = max(error, np.abs(layer.matrix(parameters).reshape(-1) - expected[t]).max())
    return error


def one_update(optimizer, gradient, inputs, output_gradients=None):
    """What a layer's weight, zero at first, loses in a step with rate 1."""
    shape = np.shape(gradient)
    layer, parameters, evaluation = linear(np.zeros(shape), None, gradient, inputs, output_gradients)
    optimizer.layers = [layer]
    optimizer.update(parameters, evaluation, 1.0)
    return -parameters["fc.weight"]


def curvature_errors():
    inputs = [(1, 0), (3, 0), (0, 2)]  # mean of a aᵀ: diag(10/3, 4/3)
    found = one_update(FOOF(weight_decay=0.0), [(0.2, -0.4)], [(3, 0), (1, 2)])  # A = [[5, 1], [1, 2]]
    yield "FOOF", np.abs(found - [(0.058823529, -0.152941176)]).max()

    # The mean of g gᵀ is diag(3, 12). Half of that and half an identity: A = diag(13/6, 7/6), G = diag(2, 6.5).
    g = [(3, 0), (0, 6), (0, 0)]
    options = {"weight_decay": 0.0, "kl_clip": 0.0, "factor_decay": 0.5, "damping": 0.25}
    gradient = np.array([(1.0, 2.0), (-3.0, 4.0)])
    A, G = np.array([13 / 6, 7 / 6]), np.array([2, 6.5])
    expected = gradient / (np.outer(G, A) + 0.25)
    yield "KFAC, eigenvalues", np.abs(one_update(KFAC(**options), gradient, inputs, g) - expected).max()
    expected = gradient / np.outer(G + 0.25, A + 0.25)
    found = one_update(KFAC(solver="cholesky", **options), gradient, inputs, g)
    yield "KFAC, inverses", np.abs(found - expected).max()
    pi = np.sqrt((10 / 6) / 4.25)  # traces 10/3 and 8.5 over dimension 2
    expected = gradient / np.outer(G + 0.5 / pi, A + 0.5 * pi)
    found = one_update(KFAC(solver="cholesky", split="pi", **options), gradient, inputs, g)
    yield "KFAC, split damping", np.abs(found - expected).max()

    # a = (1, 0), b = (0, 2): b aᵀ has one entry. (λ + aᵀa·bᵀb) = 4.5 divides what lies along it, λ = 0.5 the rest.
    options = {"weight_decay": 0.0, "kl_clip": 0.0, "damping": 0.5}
    expected = gradient / np.array([(0.5, 0.5), (4.5, 0.5)])
    found = one_update(Eva(**options), gradient, [(1, 0)], [(0, 2)])
    yield "Eva, joint", np.abs(found - expected).max()
    expected = gradient / np.outer((0.5, 4.5), (1.5, 0.5))
    found = one_update(Eva(form="separate", **options), gradient, [(1, 0)], [(0, 2)])
    yield "Eva, separate", np.abs(found - expected).max()
    # With vectors of zero and damping 1, R = Grad, and lr²·ΣR·Grad = 30: ν = √(0.3/30) = 0.1.
    found = one_update(Eva(weight_decay=0.0, kl_clip=0.3, damping=1.0), gradient, [(0, 0)], [(0, 0)])
    yield "KL clip", np.abs(found - 0.1 * gradient).max()


def lamb_error():
    """One step of p = (3, 4), g = (1, -1): u = (1, -1) + 0.1 p = (1.3, -0.6), r = 5/√2.05; eps 0, no clip."""
    optimizer = LAMB(eps=0.0, weight_decay=0.1, max_grad_norm=0.0)
    parameters = {"p": np.array([3.0, 4.0])}
    optimizer.update(parameters, Evaluation(0.0, {"p": np.array([1.0, -1.0])}, [], []), 0.1)
    return np.abs(parameters["p"] - (3 - 0.453979692, 4 + 0.209529089)).max()


def sam_error():
    """Loss p²/2 at p = 2: the first gradient is 2, the nearby point 2.05, the step 2 - 0.1·2.05."""
    parameters = {"p": np.array([2.0])}
    evaluate = lambda values, update_running=True: Evaluation(0.0, {"p": values["p"].copy()}, [], [])
    SAM(SGD()).step(parameters, evaluate, 0.1)
    return abs(parameters["p"][0] - 1.795)


def errors():
    """(what, largest error, tolerance); tables have nine decimals."""
    for what, optimizer, lr, expected in SCALAR:
        yield what, scalar_error(optimizer, lr, expected), 1e-9
    yield "AdaAct", adaact_error(), 1e-9
    yield "LAMB", lamb_error(), 1e-9
    yield "SAM", sam_error(), 1e-12
    for what, error in curvature_errors():
        yield what, error, 1e-9
