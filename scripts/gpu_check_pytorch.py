"""PyTorch's half of `gpu_check bench`: one model at one precision, several contestants, in a process of its own.

    gpu_check_pytorch.py MODEL BATCH fp32|tf32|bf16 cuda|cpu THREADS

Questions come as lines of JSON, and so go the answers:
    {"make": "eager sgd"}                 {"torch": "2.11.0"}
    {"run": "eager sgd", "steps": 100}    {"ms": 5.4}
    anything that goes wrong              {"error": "one line"}

A contestant is "eager" or "compile" and an optimizer of pytorch_reference. Images and labels lie on the device,
channels_last; "compile" is torch.compile with CUDA graphs. As in actgrad's `bench step`, the host waits for the device
once in five steps, and the figure is the median over these blocks.
"""

import json
import os
import statistics
import sys
import time

# What libraries print must not come between the answers.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import torch
import torch.nn.functional as F

import pytorch_reference as reference

BLOCK = 5
WARMUP = 20


def make_contestant(name, model_name, batch, precision, device):
    """A function that does one training step."""
    kind, optimizer_name = name.split()
    torch.manual_seed(1)
    model = reference.make_model(model_name).to(device, memory_format=torch.channels_last)
    x = torch.randn(batch, 3, 32, 32).to(device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,)).to(device)
    # The fastest form of each: one kernel for all parameters.
    fused = None if optimizer_name.startswith("adaact") else True
    optimizer = reference.make_optimizer(optimizer_name, model, lr=1e-5, fused=fused)

    def loss_of(x, labels):
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            return F.cross_entropy(model(x), labels)

    compiled = kind == "compile"
    if not compiled:
        loss_function = loss_of
    elif device == "cuda":
        loss_function = torch.compile(loss_of, mode="reduce-overhead")
    else:
        loss_function = torch.compile(loss_of)

    def step():
        if compiled:
            torch.compiler.cudagraph_mark_step_begin()
        optimizer.zero_grad()
        loss_function(x, labels).backward()
        optimizer.step()

    return step


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def time_steps(step, steps, device):
    for _ in range(2):  # the first find cold caches
        step()
    blocks = []
    for done in range(0, steps, BLOCK):
        count = min(BLOCK, steps - done)
        synchronize(device)
        start = time.perf_counter()
        for _ in range(count):
            step()
        synchronize(device)
        blocks.append((time.perf_counter() - start) * 1e3 / count)
    return statistics.median(blocks)


def main():
    model_name, batch, precision, device, threads = sys.argv[1:]
    if device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
        torch.backends.cudnn.allow_tf32 = precision != "fp32"
        torch.backends.cudnn.benchmark = True  # takes the fastest algorithms
    else:
        torch.set_num_threads(int(threads))
    contestants = {}
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if name := question.get("make"):
                step = make_contestant(name, model_name, int(batch), precision, device)
                for _ in range(WARMUP if device == "cuda" else 2):
                    step()
                synchronize(device)
                contestants[name] = step
                answer = {"torch": torch.__version__}
            else:
                answer = {"ms": time_steps(contestants[question["run"]], question["steps"], device)}
        except Exception as error:  # whatever it is belongs into the report
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
        print(json.dumps(answer), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
