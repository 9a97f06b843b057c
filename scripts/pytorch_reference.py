"""The models and optimizers of actgrad once more, in plain PyTorch, for compare_with_pytorch and bench_vs_pytorch.

Parameter names and layouts are those of actgrad's safetensors files, so state dictionaries go back and forth.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)


# ---- Models ----------------------------------------------------------------------------------------------------------


class LeNet5(nn.Module):
    """(N, channels, size, size) to 10 logits, with ReLU and max pooling; 28 x 28 images are not padded."""

    def __init__(self, channels=3, size=32, classes=10):
        super().__init__()
        side = ((size - 4) // 2 - 4) // 2  # after two 5x5 convolutions without padding and two poolings
        self.conv1 = nn.Conv2d(channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class SubsamplePad(nn.Module):
    """Option A's shortcut (He et al. 2016, section 3.3): every second pixel, zeros for the new channels."""

    def __init__(self, pad):
        super().__init__()
        self.pad = pad

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; `project` chooses option B, 1x1 convolutions, where the shape changes."""

    def __init__(self, in_planes, planes, stride, project):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            if project:
                self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False),
                                              nn.BatchNorm2d(planes))
            else:
                self.shortcut = SubsamplePad(planes // 4)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """Stages of basic blocks; the first has `planes` planes, each further one twice as many at half the resolution."""

    def __init__(self, blocks, planes, project, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, planes, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        stages = []
        in_planes, stride = planes, 1
        for count in blocks:
            first = BasicBlock(in_planes, planes, stride, project)
            others = (BasicBlock(planes, planes, 1, project) for _ in range(count - 1))
            stages.append(nn.Sequential(first, *others))
            self.add_module(f"layer{len(stages)}", stages[-1])
            in_planes, planes, stride = planes, 2 * planes, 2
        self.depth = len(stages)
        self.linear = nn.Linear(in_planes, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for i in range(self.depth):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.linear(x.mean((2, 3)))


def cifar_resnet(blocks):
    """ResNet-(6*blocks + 2) (He et al. 2016, section 4.2): option A, Kaiming normal weights."""
    model = ResNet((blocks,) * 3, planes=16, project=False)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
    return model


def imagenet_resnet(blocks, classes=10):
    """ImageNet's ResNet (He et al. 2016, Table 1) for small images, as in kuangliu/pytorch-cifar: default weights."""
    return ResNet(blocks, planes=64, project=True, classes=classes)


class DenseLayer(nn.Module):
    """BN, ReLU, 1x1 convolution to four times the growth, the same and 3x3 to the growth; put in front of the input."""

    def __init__(self, planes, growth):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv1 = nn.Conv2d(planes, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        return torch.cat((y, x), 1)


class DenseTransition(nn.Module):
    """BN, ReLU, 1x1 convolution to half the planes, the mean of each 2x2 pixels."""

    def __init__(self, planes):
        super().__init__()
        self.bn = nn.BatchNorm2d(planes)
        self.conv = nn.Conv2d(planes, planes // 2, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    """DenseNet-BC (Huang et al. 2017) for small images: no stride and no pooling in front."""

    def __init__(self, blocks=(6, 12, 24, 16), growth=32, classes=10):
        super().__init__()
        planes = 2 * growth
        self.conv1 = nn.Conv2d(3, planes, 3, padding=1, bias=False)
        self.stages = []
        for b, count in enumerate(blocks, 1):
            layers = [DenseLayer(planes + i * growth, growth) for i in range(count)]
            self.add_module(f"dense{b}", nn.Sequential(*layers))
            self.stages.append(f"dense{b}")
            planes += count * growth
            if b < len(blocks):
                self.add_module(f"trans{b}", DenseTransition(planes))
                self.stages.append(f"trans{b}")
                planes //= 2
        self.bn = nn.BatchNorm2d(planes)
        self.linear = nn.Linear(planes, classes)

    def forward(self, x):
        x = self.conv1(x)
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return self.linear(F.relu(self.bn(x)).mean((2, 3)))


class Mlp(nn.Module):
    """Fully connected layers fc1, fc2, ... with ReLU between them; images enter in (c, h, w) order."""

    def __init__(self, inputs=3 * 32 * 32, hidden=(256, 128), classes=10):
        super().__init__()
        sizes = (inputs, *hidden, classes)
        self.depth = len(sizes) - 1
        for i in range(self.depth):
            self.add_module(f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        x = torch.flatten(x, 1)
        for i in range(1, self.depth):
            x = F.relu(self.get_submodule(f"fc{i}")(x))
        return self.get_submodule(f"fc{self.depth}")(x)


# name -> (what makes it, its parameters)
MODELS = {
    "lenet5": (LeNet5, 62_006),
    "lenet5-28": (lambda: LeNet5(channels=1, size=28), 44_426),
    "resnet20": (lambda: cifar_resnet(3), 269_722),
    "resnet32": (lambda: cifar_resnet(5), 464_154),
    "resnet44": (lambda: cifar_resnet(7), 658_586),
    "resnet56": (lambda: cifar_resnet(9), 853_018),
    "resnet110": (lambda: cifar_resnet(18), 1_727_962),
    "resnet18": (lambda: imagenet_resnet((2, 2, 2, 2)), 11_173_962),
    "resnet34": (lambda: imagenet_resnet((3, 4, 6, 3)), 21_282_122),
    "densenet121": (DenseNet, 6_956_298),
    "resnet34-100": (lambda: imagenet_resnet((3, 4, 6, 3), classes=100), 21_328_292),
    "mlp": (Mlp, 820_874),
}


def make_model(name):
    """A model for CIFAR-10 by its name, float32, initialised from torch's seed. lenet5-28 is for 1 x 28 x 28 images,
    resnet34-100 for CIFAR-100."""
    if name not in MODELS:
        raise ValueError(f"unknown model '{name}'")
    make, _ = MODELS[name]
    return make()


def parameter_count(model):
    return sum(p.numel() for p in model.parameters())


# ---- Optimizers ------------------------------------------------------------------------------------------------------


def second_moment_by_unfold(layer, x):
    """The mean of squares of each im2col column, by its definition (and the published code); padded zeros count."""
    patches = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)  # (N, c*kh*kw, positions)
    return patches.square().mean((0, 2))


def second_moment_by_sum(layer, x):
    """The same numbers with im2col of one image instead of N: squares are summed over the batch first."""
    q = x.square().sum(0, keepdim=True)
    patches = F.unfold(q, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    return patches[0].mean(1) / x.shape[0]


class AdaAct(torch.optim.Optimizer):
    """AdaAct (arXiv 2506.08353, Algorithm 1): Adam's form, but the second moment is that of a layer's inputs.

    Convolution and linear layers move by M_hat / (sqrt(V_hat) + eps), column by column of [W | b]; every other
    parameter takes a plain gradient step. The average V advances once per step, over all forward passes since the last.
    """

    def __init__(self, model, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.002,
                 conv_statistic=second_moment_by_unfold):
        super().__init__(model.parameters(), dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))
        self.conv_statistic = conv_statistic
        self.steps = 0
        self.layers = [m for m in model.modules() if type(m) in (nn.Linear, nn.Conv2d)]
        self.sums = {}  # layer -> [sum of rows * A, rows] since the last step
        self.V, self.M = {}, {}
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d) and layer.groups != 1:
                raise NotImplementedError("grouped convolution")
            layer.register_forward_pre_hook(self.on_input)

    @torch.no_grad()
    def on_input(self, layer, inputs):
        if not layer.training or not layer.weight.requires_grad:
            return
        x = inputs[0].detach()
        if isinstance(layer, nn.Conv2d):
            A, rows = self.conv_statistic(layer, x), x.shape[0]  # the number of positions is the same for every image
        else:
            x = x.flatten(0, -2)
            A, rows = x.square().mean(0), x.shape[0]
        if layer.bias is not None:
            A = torch.cat([A, A.new_ones(1)])
        total = self.sums.setdefault(layer, [0, 0])
        total[0] = total[0] + rows * A
        total[1] += rows

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        lr, (b1, b2), eps, wd = group["lr"], group["betas"], group["eps"], group["weight_decay"]
        self.steps += 1
        bc1, bc2 = 1 - b1**self.steps, 1 - b2**self.steps

        updates = {p: p.grad for p in group["params"] if p.grad is not None}
        for layer in self.layers:
            if layer.weight.grad is None:
                continue
            total, rows = self.sums.pop(layer)
            A = total / rows
            G = layer.weight.grad.flatten(1)
            if layer.bias is not None:
                G = torch.cat([G, layer.bias.grad[:, None]], 1)
            V = self.V.setdefault(layer, torch.zeros_like(A))
            M = self.M.setdefault(layer, torch.zeros_like(G))
            V.mul_(b2).add_(A, alpha=1 - b2)  # line 5
            M.mul_(b1).add_(G, alpha=1 - b1)
            U = (M / bc1) / ((V / bc2).sqrt() + eps)  # line 12
            if layer.bias is not None:
                updates[layer.bias] = U[:, -1]
                U = U[:, :-1]
            updates[layer.weight] = U.reshape(layer.weight.shape)

        for p, update in updates.items():
            p.mul_(1 - lr * wd).sub_(update, alpha=lr)
        return loss


def make_optimizer(name, model, lr=None, fused=None):
    """sgd, sgd-nesterov, adam, adamw, adaact (im2col statistic) or adaact-sum, with the options of recipe()."""
    o = recipe(name)
    lr = lr or o["lr"]
    decay = o["weight-decay"]
    if name.startswith("sgd"):
        return torch.optim.SGD(model.parameters(), lr, o["momentum"], weight_decay=decay,
                               nesterov=o.get("nesterov", False), fused=fused)
    betas = (o["beta1"], o["beta2"])
    if name in ("adam", "adamw"):
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        return kind(model.parameters(), lr, betas, o["eps"], decay, fused=fused)
    statistic = second_moment_by_sum if name == "adaact-sum" else second_moment_by_unfold
    return AdaAct(model, lr, betas, o["eps"], decay, statistic)


def recipe(name):
    """CIFAR-10's options under actgrad's names (AdaAct paper, Appendix E; weight decay as in AdaBelief's runs)."""
    betas = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    if name.startswith("sgd"):
        options = {"lr": 0.1, "momentum": 0.9, "weight-decay": 5e-4}
        return options | ({"nesterov": True} if name == "sgd-nesterov" else {})
    if name == "adam":
        return {"lr": 1e-3, **betas, "weight-decay": 5e-4}
    if name == "adamw":
        return {"lr": 1e-3, **betas, "weight-decay": 1e-2}
    if name in ("adaact", "adaact-sum"):
        return {"lr": 0.1, **betas, "weight-decay": 2e-3}
    raise ValueError(f"unknown optimizer '{name}'")


# ---- Data ------------------------------------------------------------------------------------------------------------


def read_cifar10(directory, split, count=None):
    """The first `count` images of CIFAR-10's binary files: (N, 3, 32, 32) uint8 and (N) int64, in file order."""
    directory = Path(directory)
    if (directory / "cifar-10-batches-bin").is_dir():
        directory = directory / "cifar-10-batches-bin"
    names = ["test_batch.bin"] if split == "test" else [f"data_batch_{i}.bin" for i in range(1, 6)]
    records = np.concatenate([np.fromfile(directory / name, np.uint8).reshape(-1, 3073) for name in names])[:count]
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32)), torch.from_numpy(records[:, 0].astype(np.int64))


def normalise(images, dtype):
    """(pixel / 255 - mean) / std per channel, computed in double and rounded once to `dtype`."""
    mean = torch.tensor(CIFAR10_MEAN, dtype=torch.float64)[:, None, None]
    std = torch.tensor(CIFAR10_STD, dtype=torch.float64)[:, None, None]
    return ((images.double() / 255 - mean) / std).to(dtype)


def train_steps(model, optimizer, x, labels, batch_size):
    """One pass over (x, labels) in order; returns the mean loss."""
    model.train()
    total = 0.0
    for xs, ys in zip(x.split(batch_size), labels.split(batch_size)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xs), ys)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(ys)
    return total / len(x)


@torch.no_grad()
def evaluate(model, x, batch_size=500):
    """The logits of all images, in evaluation mode."""
    model.eval()
    return torch.cat([model(xs) for xs in x.split(batch_size)])
