"""bench: training steps beside PyTorch on the same GPU, in turns, at the same precision."""

import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile

from .machine import ROOT
from .running import FAILED, NOT_RUN, Failed, last_line, row


class PyTorch:
    """scripts/gpu_check_pytorch.py in a process of its own: one model at one precision, several contestants."""

    def __init__(self, check, model, batch, precision):
        command = [sys.executable, ROOT / "scripts/gpu_check_pytorch.py", model, batch, precision,
                   "cpu" if check.rehearse else "cuda", check.threads]
        self.log = tempfile.TemporaryFile("w+")
        environment = dict(os.environ)
        if check.rehearse:
            environment["OMP_NUM_THREADS"] = str(check.threads)
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, env=environment)
        self.check = check

    def ask(self, limit, **question):
        """The answer to one question; Failed when it takes too long or the process ends."""
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except OSError:
            raise Failed(f"PyTorch ended: {self.last_error()}") from None

        def late(*_):
            raise TimeoutError

        previous = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, max(1, min(limit, self.check.left())))
        try:
            line = self.process.stdout.readline()
        except TimeoutError:
            self.process.kill()  # its late answer would be taken for the next one
            reason = "out of time" if self.check.left() < 2 else f"not finished in {limit:.0f} s"
            raise Failed(reason) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        if not line:
            raise Failed(f"PyTorch ended: {self.last_error()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def last_error(self):
        self.log.seek(0)
        return last_line(self.log.read())

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def bench_ours(check, case, engine, graph, steps):
    """The results of `bench step` by optimizer. `engine`: what stands behind --conv, with further options."""
    device = "cuda"
    command = [check.programs / "bench", "step", "--device", device, "--model", case["model"], "--optim",
               ",".join(case["optimizers"]), "--batch-size", case["batch"], "--precision", case["precision"], "--conv",
               *engine.split(), "--steps", steps, "--warmup", 3 if check.rehearse else 20, "--json"]
    if check.rehearse:
        command += ["--threads", check.threads]
    code, output = check.run([*command, *([] if graph else ["--no-graph"])], limit=180)
    if code != 0:
        raise Failed("out of time" if code is None else last_line(output))
    answer = json.loads(output[output.index("{"):])
    return {result["optim"]: result for result in answer.get("results", [answer])}


def bench_cases(check):
    """In order of importance."""
    optimizers = ("sgd", "adam", "adamw", "adaact")
    if check.rehearse:
        return [{"model": "lenet5", "batch": 2, "precision": "tf32", "optimizers": optimizers}]
    return [{"model": model, "batch": 128, "precision": precision, "optimizers": optimizers}
            for precision in check.options.precisions for model in check.options.models]


def bench_case(check, case):
    """The rows of one model at one precision: all programs in turns, for several rounds."""
    rounds, steps = (1, 4) if check.rehearse else (3, 100)
    settings = [("auto", True), ("auto --autotune", True)]
    if not check.rehearse:
        settings += [("im2col", True), ("auto", False), ("im2col", False), ("auto --fast-nondeterministic", True)]
    names = ["eager sgd", "compile sgd", "eager adam", "eager adamw", "eager adaact", "eager adaact-sum"]
    ours, theirs, notes, engine_failures = {}, {}, {}, {}
    worker = None
    if importlib.util.find_spec("torch") is None:
        notes["PyTorch"] = "torch is not installed"
    else:
        try:
            worker = PyTorch(check, case["model"], case["batch"], case["precision"])
            for name in list(names):
                try:
                    worker.ask(200, make=name)
                except Failed as failure:
                    notes[f"PyTorch {name}"] = str(failure)
                    names.remove(name)
        except Failed as failure:
            notes["PyTorch"] = str(failure)
    try:
        for number in range(rounds):
            for name in list(names) if worker else []:
                try:
                    theirs.setdefault(name, []).append(worker.ask(100, run=name, steps=steps)["ms"])
                except Failed as failure:
                    notes[f"PyTorch {name}"] = str(failure)
                    names.remove(name)
            for engine, graph in settings:
                if (engine, graph) in engine_failures or (number > 0 and (engine, graph) != settings[0]):
                    continue  # the others only show how much the first one gains: one round
                try:
                    for name, result in bench_ours(check, case, engine, graph, steps).items():
                        ours.setdefault((name, engine, graph), []).append(result)
                except Failed as failure:
                    engine_failures[engine, graph] = str(failure)
    finally:
        if worker:
            worker.close()

    rows = []
    label = f"{case['model']}, batch {case['batch']}"
    for (name, engine, graph), results in ours.items():
        times = [result["median_ms"] for result in results]
        figures = {"model": case["model"], "batch": case["batch"], "optimizer": name, "engine": engine, "graph": graph,
                   "ms": statistics.median(times), "rounds_ms": times, "raw": results,
                   "images_per_second": case["batch"] * 1e3 / statistics.median(times),
                   "ratio_to_sgd": statistics.median(result["ratio_to_first"] for result in results)}
        for kind in ("eager", "compile", "eager-sum"):
            worker_name = f"eager {name}-sum" if kind == "eager-sum" else f"{kind} {name}"
            if rounds_of := theirs.get(worker_name):
                figures[kind] = {"ms": statistics.median(rounds_of), "rounds_ms": rounds_of,
                                 "ratio": statistics.median(a / b for a, b in zip(rounds_of, times))}  # round by round
        result = f"{figures['ms']:.3f} ms ({min(times):.3f}–{max(times):.3f}); {figures['ratio_to_sgd']:.3f} × SGD"
        figures |= {key: results[0][key] for key in ("launches", "bytes_moved", "flops", "roofline_ms")}
        figures["times_roofline"] = figures["ms"] / figures["roofline_ms"]
        result += f"; {figures['times_roofline']:.2f} × roofline, {figures['launches']:.0f} launches"
        rows.append(row(f"{label}, {name}, --conv {engine}, {'graph' if graph else 'no graph'}", case["precision"],
                        result, **figures))
    for (engine, graph), reason in engine_failures.items():
        late = reason == "out of time"
        rows.append(row(f"{label}, --conv {engine}, {'graph' if graph else 'no graph'}", case["precision"], reason,
                        NOT_RUN if late else FAILED, model=case["model"], batch=case["batch"]))
    for what, reason in notes.items():
        rows.append(row(f"{label}, {what}", case["precision"], reason, NOT_RUN, model=case["model"],
                        batch=case["batch"]))
    return rows


def stage_bench(check, done=()):
    """`done`: rows of an earlier call; complete cases among them are kept, the others are measured."""
    check.need("bench")
    rows = []
    for case in bench_cases(check):
        label = f"{case['model']}, batch {case['batch']}"
        earlier = [old for old in done if old["what"].startswith(label) and old["precision"] == case["precision"]]
        if earlier and not check.options.again and all(old["result"] != "out of time" for old in earlier):
            rows += earlier
        elif check.left() < (5 if check.rehearse else 75):
            rows.append(row(label, case["precision"], "out of time", NOT_RUN))
        else:
            print(f"gpu_check: bench {label}, {case['precision']}", file=sys.stderr, flush=True)
            rows += bench_case(check, case)
    kept = {(entry["what"], entry["precision"]) for entry in rows}
    labels = {(f"{case['model']}, batch {case['batch']}", case["precision"]) for case in bench_cases(check)}
    return [old for old in done if (old["what"], old["precision"]) not in kept
            and not any(old["what"].startswith(label) and old["precision"] == p for label, p in labels)] + rows
