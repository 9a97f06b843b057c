#!/usr/bin/env python3
"""Run directories of `train` and `reproduce` as pandas DataFrames, and for TensorBoard.

    import actgrad_runs
    run = actgrad_runs.load("runs/lenet5-adaact")
    run.metrics                              # one row per epoch: test_accuracy, train_loss, …
    run.options["lr"]                        # every option, defaults included
    run.statistic("activation_variance")     # what `train --record` wrote
    actgrad_runs.load_many("runs")           # all runs below a folder, one row per run and epoch, options as columns
    actgrad_runs.to_tensorboard("runs")      # then: tensorboard --logdir runs/tensorboard

From a shell: `actgrad_runs.py DIR` lists the runs of `train` below a folder, `actgrad_runs.py --tensorboard DIR [LOGDIR]`
is to_tensorboard. Exit codes: 0, 2 bad usage or nothing that can be read, 77 when pandas is missing (Debian:
python3-pandas).
"""

import functools
import io
import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":  # before the packages are needed below
    sys.dont_write_bytecode = True
    from plots.program import PACKAGES_MISSING, has_packages
    if not has_packages("actgrad_runs", "numpy", "pandas"):
        sys.exit(PACKAGES_MISSING)

import numpy
import pandas

LONGEST_SERIES = 1000  # points per curve that TensorBoard gets of a statistic with one row per step
MOST_CURVES = 100  # a statistic with more columns, such as a value per input, would bury TensorBoard's page


class RunError(Exception):
    """A folder or file that cannot be read as what it should be; the text is one line for the user."""


class Run:
    """One run directory. Files are read when they are first asked for."""

    def __init__(self, directory):
        self.directory = Path(directory)
        if not (self.directory / "config.json").is_file():
            raise RunError(f"{directory}: not a run directory (there is no config.json)")
        self.config = read_json(self.directory / "config.json")
        if not isinstance(self.config, dict) or not isinstance(self.config.get("options"), dict):
            raise RunError(f"{self.directory / 'config.json'}: has no options")

    @property
    def options(self):
        """Option → value, defaults included."""
        return self.config["options"]

    @functools.cached_property
    def metrics(self):
        """One row per finished epoch; columns as in metrics.csv."""
        return read_csv(self.directory / "metrics.csv")

    @functools.cached_property
    def curve(self):
        """Of a run of optimise, one row per step: mean loss over the starts, standard error, n."""
        return read_csv(self.directory / "curve.csv")

    @functools.cached_property
    def summary(self):
        """summary.json, or {} while the run is not finished."""
        file = self.directory / "summary.json"
        return read_json(file) if file.is_file() else {}

    @property
    def statistics(self):
        """Names of what was recorded beside the metrics: its CSV files that have a header, without their ending."""
        found = {file.relative_to(self.directory).with_suffix("").as_posix() for file in self.directory.rglob("*.csv")}
        unlisted = ("activation_covariance/epoch", "condensed/")  # matrices; what scripts/plot makes of the others
        return sorted(name for name in found - {"metrics"} if not name.startswith(unlisted))

    def statistic(self, name, columns=None):
        """A recorded statistic, e.g. "activation_variance": a row per step or per epoch; all or the given columns."""
        return read_csv(self.directory / f"{name}.csv", columns)

    def covariance(self, epoch, layer):
        """The (d, d) second moments of a layer's inputs that `--record activation-covariance` saved."""
        return read_csv(self.directory / f"activation_covariance/epoch{epoch}_{layer}.csv", header=None).to_numpy()

    def weights(self, epoch=None):
        """Name → array: the weights at the end, or behind an epoch that `--save-every` kept."""
        name = "model.safetensors" if epoch is None else f"epoch_{epoch:04d}.safetensors"
        return read_safetensors(self.directory / name)

    def saved_epochs(self):
        """The epochs whose weights were kept, in order."""
        return sorted(int(file.stem[len("epoch_"):]) for file in self.directory.glob("epoch_*.safetensors"))


def load(directory):
    """The run in this directory."""
    return Run(directory)


def find_runs(directory):
    """All run directories at or below a folder, in the order of their names."""
    if not Path(directory).is_dir():
        raise RunError(f"{directory}: there is no such folder")
    folders = [file.parent for file in sorted(Path(directory).rglob("config.json"))]
    found = [Run(folder) for folder in folders if (folder / "metrics.csv").is_file()]
    if not found:
        raise RunError(f"{directory}: holds no runs")
    return found


def load_many(directory):
    """All runs at or below a folder: a row per run and epoch with `run` (its path there), its options, its metrics.

    An option called like a metric gets `_option` behind its name: `lr` is the epoch's rate, `lr_option` the run's.
    """
    tables = []
    for run in find_runs(directory):
        metrics = run.metrics
        name = run.directory.relative_to(directory).as_posix()
        options = {f"{key}_option" if key in metrics else key: value for key, value in run.options.items()}
        columns = pandas.DataFrame({"run": name} | options, index=metrics.index)
        tables.append(pandas.concat([columns, metrics], axis=1))
    return pandas.concat(tables, ignore_index=True)


def read_json(file):
    try:
        return json.loads(Path(file).read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: {error}") from None


def read_csv(file, columns=None, header="infer"):
    """A CSV file, without a last line that is still being written."""
    try:
        content = Path(file).read_bytes()
        whole = content[:content.rfind(b"\n") + 1]
        return pandas.read_csv(io.BytesIO(whole), usecols=columns, header=header)
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: {getattr(error, 'strerror', None) or error}") from None


SAFETENSORS_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}


def read_safetensors(file):
    """Name → array. The format: the header's length (u64), the header (JSON), then the values, all little-endian."""
    try:
        content = Path(file).read_bytes()
        header_end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:header_end])
        tensors = {}
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                values = numpy.frombuffer(content[header_end + begin:header_end + end],
                                          SAFETENSORS_TYPES[entry["dtype"]])
                tensors[name] = values.reshape(entry["shape"])
        return tensors
    except OSError as error:
        raise RunError(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{file}: not a safetensors file ({error})") from None


def to_tensorboard(directory, logdir=None):
    """Writes the metrics, options and recorded statistics of the run, or of all runs below the folder, as TensorBoard's
    event files; a second call replaces them. logdir: `tensorboard` in the folder unless told. Returns it."""
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise RunError("tensorboard is not installed: pip install tensorboard") from None
    runs = find_runs(directory)
    logdir = Path(logdir or Path(directory) / "tensorboard")
    for run in runs:
        target = logdir / run.directory.relative_to(directory)
        for old in target.glob("events.out.tfevents.*.actgrad"):
            old.unlink()
        writer = EventFileWriter(str(target), filename_suffix=".actgrad")
        for event in events_of(run):
            writer.add_event(event)
        writer.close()
    return logdir


def events_of(run):
    """TensorBoard's events of a run: its options, then a scalar for each metric and statistic."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import summary_v2 as hparams

    begin = os.path.getmtime(run.directory / "config.json")
    # TensorBoard's page of hyper-parameters knows numbers, texts and truth values.
    options = {
        key: value if isinstance(value, (bool, int, float, str)) else json.dumps(value)
        for key, value in run.options.items()
    }
    yield Event(wall_time=begin, summary=hparams.hparams_pb(options, trial_id=str(run.directory)))

    metrics = run.metrics
    seconds = dict(zip(metrics["epoch"], metrics["elapsed_seconds"]))
    for row in metrics.drop(columns=["elapsed_seconds"]).to_dict("records"):
        epoch = int(row.pop("epoch"))
        scalars = [Summary.Value(tag=tag_of(name), simple_value=value) for name, value in row.items()]
        yield Event(wall_time=begin + seconds[epoch], step=epoch, summary=Summary(value=scalars))
    for statistic in run.statistics:
        table = run.statistic(statistic)
        if "epoch" not in table or len(table.columns) > MOST_CURVES:
            continue
        table = thin_out(table.select_dtypes("number"), LONGEST_SERIES)
        for step, row in table.drop(columns=["step"], errors="ignore").iterrows():
            epoch = int(row.pop("epoch"))
            scalars = [
                Summary.Value(tag=f"{statistic}/{name}", simple_value=value)
                for name, value in row.items()
                if value == value
            ]
            yield Event(wall_time=begin + seconds.get(epoch, 0), step=int(step), summary=Summary(value=scalars))


def tag_of(metric):
    """train_loss → loss/train: TensorBoard draws the two losses and the two accuracies side by side."""
    part, _, rest = metric.partition("_")
    return f"{rest}/{part}" if part in ("train", "test") and rest in ("loss", "accuracy") else f"run/{metric}"


def thin_out(table, longest):
    """The means of equally long pieces of a table, at most `longest`; indexed by the piece's last row, from 1."""
    length = max(1, -(-len(table) // longest))
    piece = numpy.arange(len(table)) // length
    means = table.groupby(piece).mean()
    means.index = numpy.minimum((means.index + 1) * length, len(table))
    return means


def overview(directory):
    """A row per run: what it was and what it reached. Runs of metatrain, which have no accuracy, are left out."""
    rows = []
    for run in find_runs(directory):
        if "test_accuracy" not in run.metrics:
            continue
        accuracy = run.metrics["test_accuracy"]
        options = {name: run.options.get(name) for name in ("model", "optim", "data", "seed")}
        rows.append({"run": run.directory.relative_to(directory).as_posix()} | options | {
            "epochs": f"{len(accuracy)}/{run.options.get('epochs')}",
            "best": accuracy.max(),
            "last": accuracy.iloc[-1] if len(accuracy) else None,
        })
    if not rows:
        raise RunError(f"{directory}: holds no runs of train")
    return pandas.DataFrame(rows)


def main(arguments):
    from plots.program import error_text

    usage = "usage: actgrad_runs.py DIR | --tensorboard DIR [LOGDIR]"
    if arguments in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    try:
        if arguments[:1] == ["--tensorboard"] and len(arguments) in (2, 3):
            print(f"tensorboard --logdir {to_tensorboard(*arguments[1:])}")
        elif len(arguments) == 1 and not arguments[0].startswith("-"):
            print(overview(arguments[0]).to_string(index=False))
        else:
            raise RunError(usage)
    except (OSError, RunError) as error:
        print(f"actgrad_runs: {error_text(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
