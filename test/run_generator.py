"""Folders that look like those of `train` and `reproduce`: made-up runs to test the Python scripts with."""

import json
import struct
import zlib

import numpy
import pandas

LAYERS = {"conv2": 24, "fc1": 40, "fc2": 12, "fc3": 8}  # hidden layer → size of its input
END = {"adaact": 92.5, "sgd": 92.6, "adam": 91.4, "adamw": 89.9, "adan": 91.9, "kfac": 92.7, "foof": 91.8}
SPREAD = {"adaact": 0.3, "sgd": 1.0, "adam": 2.5}  # how far an optimizer's activations spread


def random_of(*key):
    return numpy.random.default_rng(zlib.crc32(repr(key).encode()))


def write_run(folder, optim="adaact", seed=0, epochs=6, steps=8, end=None, schedule="cosine", record=(), **options):
    """A finished run with metrics and the recordings asked for."""
    folder.mkdir(parents=True)
    common = {"model": "lenet5", "optim": optim, "schedule": schedule, "epochs": epochs, "seed": seed, "lr": 0.1,
              "eps": 1e-8, "augment": True, "out": str(folder)}
    options = common | {key.replace("_", "-"): value for key, value in options.items()}
    config = {"version": "0.1.0", "options": options, "sources": {}, "machine": {}}
    (folder / "config.json").write_text(json.dumps(config))
    random = random_of(optim, seed, schedule, options.get("exponent"), options.get("weight-decay"))
    fast = optim in ("adam", "adamw", "adan")
    metrics = metrics_table(random, epochs, END.get(optim, 90.0) if end is None else end, schedule, fast)
    metrics.to_csv(folder / "metrics.csv", index=False)
    summary = {"best_test_accuracy": metrics["test_accuracy"].max(), "seed": seed}
    (folder / "summary.json").write_text(json.dumps(summary))
    for name in record:
        RECORDINGS[name](folder, random, metrics, steps, options)
    return folder


def rates_of(epochs, schedule, lr=0.1):
    if schedule == "constant":
        return numpy.full(epochs, lr)
    return 0.5 * lr * (1 + numpy.cos(numpy.pi * numpy.arange(epochs) / epochs))


def metrics_table(random, epochs, end, schedule, fast):
    """Accuracy climbs to a plateau, and on to its end as the rate decays."""
    t = numpy.arange(1, epochs + 1) / epochs
    decay = (1 - numpy.cos(numpy.pi * t)) / 2 if schedule == "cosine" else 0.4 * numpy.ones(epochs)
    plateau = end - (6 if fast else 12)
    accuracy = plateau + (end - plateau) * decay - (plateau - 30) * numpy.exp(-t * (60 if fast else 35))
    accuracy += random.normal(0, 0.2) + random.normal(0, 1, epochs) * (0.1 + 2 * (1 - decay))
    seconds = 12 * (1 + 0.05 * random.random(epochs))
    return pandas.DataFrame({
        "epoch": numpy.arange(1, epochs + 1),
        "lr": rates_of(epochs, schedule),
        "train_loss": 2.3 * numpy.exp(-4 * t),
        "train_accuracy": numpy.minimum(accuracy + 7 * decay, 100),
        "test_loss": 1.5 * numpy.exp(-2 * t),
        "test_accuracy": accuracy.round(2),
        "train_seconds": seconds,
        "elapsed_seconds": (seconds + 1).cumsum(),
        "peak_memory_bytes": 230252544,
    })


def places(epochs, steps):
    """The columns epoch and step, which begins anew in each epoch."""
    numbers = numpy.arange(1, epochs + 1), numpy.arange(1, steps + 1)
    return {"epoch": numpy.repeat(numbers[0], steps), "step": numpy.tile(numbers[1], epochs)}


def activation_variance(folder, random, metrics, steps, options):
    epochs = len(metrics)
    count = epochs * steps
    t = numpy.arange(1, count + 1) / count
    columns = places(epochs, steps)
    for i, layer in enumerate(LAYERS):
        growth = SPREAD.get(options["optim"], 1) * (1 + i) * (0.05 + 0.9 * (1 - numpy.exp(-30 * t)) + 0.7 * t)
        mean = growth * numpy.exp(random.normal(0, 0.08, count))
        columns[f"{layer} mean"] = mean
        columns[f"{layer} smallest"] = numpy.where(
            random.random(count) < 0.01 * i, 0, mean * 0.02 * numpy.exp(random.normal(0, 0.3, count)))
        columns[f"{layer} largest"] = mean * 6 * numpy.exp(random.normal(0, 0.2, count))
    pandas.DataFrame(columns).to_csv(folder / "activation_variance.csv", index=False)


def effective_rates(folder, random, metrics, steps, options):
    epochs = len(metrics)
    count = epochs * steps
    eta = numpy.repeat(metrics["lr"].to_numpy(), steps)
    noise = 0.02 / numpy.sqrt(numpy.arange(1, count + 1))
    increase = noise * random.normal(1.0, 0.5, count)
    columns = places(epochs, steps) | {
        "lr": eta,
        "rate increase": eta * increase,
        "rate increase without lr": increase,
        "rate change": eta * noise * 30 * random.uniform(0.5, 1, count),
        "rate change without lr": noise * 30,
    }
    if options["schedule"] == "cosine":  # rates fall for good after two thirds
        late = numpy.arange(count) >= count * 2 // 3
        columns["rate increase"] = numpy.where(late, -numpy.abs(columns["rate increase"]), columns["rate increase"])
    table = pandas.DataFrame(columns)
    table.iloc[0, 3:] = numpy.nan
    table.to_csv(folder / "effective_rates.csv", index=False)


def preconditioner(folder, random, metrics, steps, options):
    twin = options.get("replace-example", -1) >= 0
    base = random_of("P", options["seed"]).uniform(0.5, 3, 20)
    drift = 1e-3 * random_of("twin").random(20) * twin
    rows = [base / (1 + epoch) + drift * epoch for epoch in metrics["epoch"]]
    table = pandas.DataFrame(rows, columns=[f"conv1 {i}" for i in range(20)])
    table["conv1 20"] = 0.7 if twin else 1 / options["eps"]  # never active, but in the twin
    table.insert(0, "step", steps)
    table.insert(0, "epoch", metrics["epoch"])
    table.to_csv(folder / "preconditioner.csv", index=False)


def weights(folder, random, metrics, steps, options):
    twin = options.get("replace-example", -1) >= 0
    start = random_of("weights", options["seed"]).normal(size=(4, 5)).astype(numpy.float32)
    for epoch in metrics["epoch"]:
        shift = numpy.full((4, 5), 1e-3 * twin * epoch, numpy.float32)
        write_safetensors(folder / f"epoch_{epoch:04d}.safetensors", {"fc.weight": start * epoch + shift})


def activation_covariance(folder, random, metrics, steps, options):
    target = folder / "activation_covariance"
    target.mkdir()
    rows = []
    for epoch in (0, 1, len(metrics)):
        for layer, size in LAYERS.items():
            activations = numpy.maximum(random.normal(-0.5, 1 + epoch / len(metrics), (200, size)), 0)
            matrix = activations.T @ activations / 200
            numpy.savetxt(target / f"epoch{epoch}_{layer}.csv", matrix, delimiter=",", fmt="%.6g")
            share = matrix.trace() / numpy.abs(matrix).sum()
            rows.append({"epoch": epoch, "layer": layer, "size": size, "share": share, "random_share": 1 / size})
    pandas.DataFrame(rows).to_csv(target / "diagonal_share.csv", index=False)


def write_safetensors(file, tensors):
    header, values = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        begin = len(values)
        values += tensor.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, len(values)]}
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + values)


RECORDINGS = {
    "activation-variance": activation_variance,
    "activation-covariance": activation_covariance,
    "effective-rates": effective_rates,
    "preconditioner": preconditioner,
    "weights": weights,
}


def write_experiment(out, name, picture, cells, seeds=2, scale="full", title="A title", record=(), epochs=6, steps=8):
    """cells: (labels, options) of each group. Returns the experiment's folder, whose runs are all finished."""
    groups = []
    for i, (labels, options) in enumerate(cells):
        runs = []
        for seed in range(seeds):
            directory = f"runs/{name}-{i}-seed{seed}"
            write_run(out / directory, seed=seed, record=record, epochs=epochs, steps=steps, **options)
            runs.append({"directory": directory, "seed": seed, "status": "finished"})
        public = {key.replace("_", "-"): value for key, value in options.items() if key != "end"}
        groups.append({"labels": labels, "options": public, "runs": runs})
    folder = out / name
    folder.mkdir()
    description = {"name": name, "title": title, "scale": scale, "picture": picture, "axes": list(cells[0][0]),
                   "groups": groups}
    (folder / "experiment.json").write_text(json.dumps(description))
    return folder
