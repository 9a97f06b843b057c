"""train: real runs of a few epochs; stopped and resumed they must give the same bits."""

import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from .running import FAILED, NOT_RUN, PASSED, Failed, last_line, row


def has_cifar10(folder):
    return any((place / "data_batch_1.bin").is_file() for place in (folder, folder / "cifar-10-batches-bin"))


def metrics(folder):
    """The lines of metrics.csv as dictionaries."""
    lines = (folder / "metrics.csv").read_text().splitlines()
    return [dict(zip(lines[0].split(","), line.split(","))) for line in lines[1:]]


def stop_after_epoch(check, command, folder):
    """Starts a run and stops it by SIGINT after its first epoch. None, or why this did not work."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*map(str, command), "--out", str(folder)], stdout=output, stderr=output,
                                   env=check.environment())
        try:
            # The summary is what an epoch writes last; a checkpoint is there before the first step.
            while not (folder / "summary.json").is_file() and process.poll() is None and check.left() > 10:
                time.sleep(0.002)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(max(check.left(), 1))
        except subprocess.TimeoutExpired:
            return "out of time"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return "the run had ended before it could be stopped" if process.returncode == 0 else None


def resume(check, folder):
    """None, or why this did not work."""
    code, text = check.run([check.programs / "train", "--resume", folder])
    return None if code == 0 else "out of time" if code is None else f"--resume failed: {last_line(text)}"


def same_bits_row(what, reason, folder, other):
    if reason:
        return row(what, "tf32", reason, FAILED if reason.startswith("--resume") else NOT_RUN)
    same = (folder / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    return row(what, "tf32", "the same bits" if same else "other weights", PASSED if same else FAILED)


def tuned_row(check, command, folder, what):
    """Two runs may tune differently; but both halves of one that was stopped use the same algorithms."""
    first, second = folder / "tuned", folder / "tuned-again"
    reason = stop_after_epoch(check, [*command, "--autotune"], first)
    if not reason:
        shutil.copytree(first, second)
        reason = resume(check, first) or resume(check, second)
    return same_bits_row(what, reason, first, second)


def stage_train(check):
    check.need("train")
    data_folder = check.options.data_dir
    if check.rehearse:
        model, epochs = "lenet5", 3
        data, data_name = ["--data", "synthetic", "--train-samples", 90, "--test-samples", 20, "--batch-size", 8,
                           "--threads", check.threads], "synthetic images, 90"
    else:
        model, epochs = "resnet20", 3
        if has_cifar10(data_folder):
            data, data_name = ["--data", "cifar10", "--data-dir", data_folder], "CIFAR-10"
        else:
            data, data_name = ["--data", "synthetic"], "synthetic images (CIFAR-10 is not there)"
    command = [check.programs / "train", "--model", model, "--optim", "adaact", "--seed", 0, *data]
    on_gpu = [*command, "--device", "cuda", "--precision", "tf32", "--epochs", epochs]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        code, output = check.run([*on_gpu, "--out", folder / "whole"])
        what = f"{model}, adaact, {data_name}, {epochs} epochs"
        if code != 0:
            raise Failed(f"{what}: " + ("out of time" if code is None else last_line(output)))
        epoch_rows = metrics(folder / "whole")
        seconds = [float(epoch["train_seconds"]) for epoch in epoch_rows]
        accuracy = float(epoch_rows[-1]["test_accuracy"])
        rows.append(row(what, "tf32", f"test accuracy {accuracy:.2f} %, {statistics.median(seconds[1:]):.3f} s per epoch "
                        f"(the first {seconds[0]:.3f} s)", epochs=epoch_rows, data=data_name,
                        seconds_per_epoch=statistics.median(seconds[1:]), test_accuracy=accuracy))

        stopped = folder / "stopped"
        reason = stop_after_epoch(check, on_gpu, stopped) or resume(check, stopped)
        rows.append(same_bits_row(f"{model}, stopped after an epoch and resumed", reason, stopped, folder / "whole"))
        rows.append(tuned_row(check, on_gpu, folder, f"{model}, tuned, stopped after an epoch and resumed twice"))

        what = f"{model}, adaact, {data_name}, 1 epoch on the CPU"
        code, output = check.run([*command, "--device", "cpu", "--epochs", 1, "--out", folder / "cpu"])
        if code == 0:
            first = metrics(folder / "cpu")[0]
            rows.append(row(what, "fp32", f"test accuracy {float(first['test_accuracy']):.2f} %, "
                            f"{float(first['train_seconds']):.2f} s per epoch", epochs=[first]))
        else:
            rows.append(row(what, "fp32", "out of time" if code is None else last_line(output),
                            NOT_RUN if code is None else FAILED))
    return rows
