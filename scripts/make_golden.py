#!/usr/bin/env python3
"""Golden training trajectories of every optimizer and option, from an independent implementation in NumPy, in double.

    make_golden.py            writes test/optim/golden/trajectories.json
    make_golden.py --verify   compares that file with what this script computes
    make_golden.py --check    compares this script's optimizers with PyTorch's, timm's and pytorch_optimizer's
    make_golden.py --show CASE [--step N]   prints all parameters after a step, to look for a difference

The parts lie in scripts/golden/. Each mode first checks the network's gradients against finite differences and the
optimizers against values that can be computed by hand. Exit codes: 0 right, 1 wrong, 77 a Python package is missing.
"""

import argparse
import json
import sys
from pathlib import Path

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

from golden import by_hand, cases, network

FILE = Path(__file__).resolve().parent.parent / "test/optim/golden/trajectories.json"
CHECKSUM_STEPS = (1, 2, 5, 10)
GRADIENT_TOLERANCE = 1e-8
VERIFY_TOLERANCE = 1e-11  # of a tensor's largest number: other NumPy versions sum in another order
DISTURBANCE, DISTURBED = 1e-13, 1e-11
VISIBLE = 1e-3  # the least change of each tensor over the run, as a share of its largest number
DIFFERENT = 1e-6  # the least distance between two cases of one optimizer, likewise

ABOUT = """Training trajectories in double, written by scripts/make_golden.py, which is independent of the C++ code.
Network, orders and initial values: scripts/golden/network.py. Options: scripts/golden/cases.py.
Numbers u in [-1, 1): x = x * 6364136223846793005 + 1442695040888963407 mod 2^64; u = (x >> 11) * 2^-52 - 1; x starts
at the seed. Seed 1: initial parameters in the order of "parameters": weights sqrt(6 / fan_in) * u, biases 0.1 * u,
bn.weight 1 + 0.2 * u, bn.bias 0.2 * u. Seed 2: images, (step, image, channel, row, column). Seed 3: labels,
int((u + 1) / 2 * 3), (step, image).
Seed 4: the factors of "checksums": sums over a tensor of factor * value, one stream over all tensors in order.
Learning rate of step s = 0, 1, ...: lr * (1 - s / 40). Loss: the mean over the step's 6 images before the update.
"defaults": the options that a case does not name. "micro-batches": how many images each forward and backward pass of
a step takes; gradients are of the mean over all.
"clip-norm": the gradient's global norm is bounded before the optimizer, as torch.nn.utils.clip_grad_norm_ does.
"final": parameters and buffers after the last step, in PyTorch's layouts, flattened.""".split("\n")


class Report:
    def __init__(self):
        self.failed = 0

    def line(self, what, figure, passed):
        self.failed += not passed
        print(f"{'PASS' if passed else 'FAIL'}  {what}: {figure}", flush=True)


def distance(found, expected):
    """The largest difference as a share of each tensor's largest number."""
    worst = 0.0
    for name, tensor in expected.items():
        difference = np.abs(np.asarray(found[name]).reshape(-1) - np.asarray(tensor).reshape(-1)).max()
        worst = max(worst, difference / max(np.abs(tensor).max(), 1e-300))
    return worst


def trajectory(case):
    """What the file says about one case."""
    factors = network.Numbers(4)
    factors = {name: factors.array(p.shape) for name, p in network.initial_parameters().items()}
    checksums = {}

    def each_step(step, parameters):
        if step in CHECKSUM_STEPS:
            checksums[str(step)] = {name: float((factors[name] * p).sum()) for name, p in parameters.items()}

    losses, parameters, buffers = cases.follow(case, each_step=each_step)
    final = {name: tensor.reshape(-1).tolist() for name, tensor in {**parameters, **buffers}.items()}
    entry = {"name": case.name, "optimizer": case.optimizer, "options": case.options}
    entry |= {"defaults": cases.defaults(case), "lr": case.lr}
    entry |= {"micro-batches": list(case.micro_batches), "clip-norm": case.clip_norm}
    return entry | {"losses": [float(loss) for loss in losses], "checksums": checksums, "final": final}


def self_test(report):
    error = network.largest_gradient_error()
    report.line("gradients against finite differences", f"{error:.1e}", error < GRADIENT_TOLERANCE)
    for what, error, tolerance in by_hand.errors():
        report.line(f"by hand: {what}", f"{error:.1e}", error < tolerance)


def check_conditioning(report, entries):
    """Rounding must stay small, all parameters must move, and every option must matter."""
    first = {}
    for case, entry in zip(cases.all_cases(), entries):
        initial, numbers = network.initial_parameters(), network.Numbers(5)
        disturbed = {name: p + DISTURBANCE * numbers.array(p.shape) for name, p in initial.items()}
        _, parameters, _ = cases.follow(case, start=disturbed)
        final = {name: np.array(entry["final"][name]) for name in parameters}
        spread = max(np.abs(parameters[name].reshape(-1) - p).max() for name, p in final.items())
        moved = min(distance(final, {name: p}) for name, p in initial.items())
        others = [distance(final, other) for other in first.get(case.optimizer, [])]
        first.setdefault(case.optimizer, []).append(final)
        figure = f"a change of {DISTURBANCE} grows to {spread:.0e}, parameters move by {moved:.0e} of themselves"
        if others:
            figure += f", nearest other case {min(others):.0e}"
        report.line(case.name, figure, spread < DISTURBED and moved > VISIBLE and min(others, default=1) > DIFFERENT)


def write(entries):
    """One line per array, so that a change shows what changed."""
    compact = lambda value: json.dumps(value, ensure_ascii=False)
    lines = ["{", '"about": [', ",\n".join(compact(line) for line in ABOUT), "],"]
    order = {name: list(p.shape) for name, p in network.initial_parameters().items()}
    lines += [f'"parameters": {compact(order)},', '"cases": [']
    for i, entry in enumerate(entries):
        head = {key: value for key, value in entry.items() if key not in ("losses", "checksums", "final")}
        lines += [compact(head)[:-1] + ",", f'"losses": {compact(entry["losses"])},', '"checksums": {']
        lines += [",\n".join(f'"{step}": {compact(sums)}' for step, sums in entry["checksums"].items())]
        lines += ["},", '"final": {']
        lines += [",\n".join(f'"{name}": {compact(values)}' for name, values in entry["final"].items())]
        lines += ["}}" + ("," if i + 1 < len(entries) else "")]
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("\n".join(lines + ["]", "}", ""]), encoding="utf-8")
    print(f"{FILE}: {len(entries)} trajectories, {FILE.stat().st_size} bytes")


def verify(report, entries):
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    report.line("the file's description", "", stored["about"] == ABOUT)
    names = [entry["name"] for entry in stored["cases"]]
    report.line("the file's cases", len(names), names == [entry["name"] for entry in entries])
    numbers = ("losses", "checksums", "final")
    plain = lambda entry: {key: value for key, value in entry.items() if key not in numbers}
    for found, expected in zip(stored["cases"], entries):
        error = distance(found["final"], expected["final"])
        error = max(error, distance({"": found["losses"]}, {"": expected["losses"]}))
        for step, sums in expected["checksums"].items():
            error = max(error, *(abs(found["checksums"][step][name] - value) for name, value in sums.items()))
        report.line(expected["name"], f"{error:.1e}", error < VERIFY_TOLERANCE and plain(found) == plain(expected))


def show(name, step):
    case = next((case for case in cases.all_cases() if case.name == name), None)
    if case is None:
        sys.exit(f"no case '{name}': " + ", ".join(case.name for case in cases.all_cases()))
    np.set_printoptions(precision=17, linewidth=120)

    def each_step(at, parameters):
        if at == (step or case.steps):
            for key, value in parameters.items():
                print(f"{key} {value.shape}\n{value}")

    cases.follow(case, each_step=each_step)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verify", action="store_true", help="compare the file with what this script computes")
    parser.add_argument("--check", action="store_true", help="compare the optimizers with published libraries")
    parser.add_argument("--show", metavar="CASE", help="print the parameters after a step")
    parser.add_argument("--step", type=int, help="of --show; default: the last one")
    arguments = parser.parse_args()
    if arguments.show:
        return show(arguments.show, arguments.step)
    report = Report()
    self_test(report)
    if arguments.check:
        from golden import libraries

        libraries.check(report)
    else:
        entries = [trajectory(case) for case in cases.all_cases()]
        if arguments.verify:
            verify(report, entries)
        else:
            check_conditioning(report, entries)
            if not report.failed:
                write(entries)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
