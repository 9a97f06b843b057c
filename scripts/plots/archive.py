"""Finished runs in one file: what tables and pictures need of them, without weights and without a row per step."""

import io
import json
import lzma
import tarfile
from pathlib import Path

from actgrad_runs import Run, RunError, read_json

from . import condensed, stability, twins
from .experiment import Experiment
from .output import write_files

FILES = ("summary.json", "metrics.csv", "curve.csv", "activation_covariance/diagonal_share.csv")
RECORDINGS = {"activation_variance": condensed.activation_variance, "effective_rates": condensed.effective_rates}


def add_runs(experiments, archive):
    """Adds the finished runs of the experiments in these folders; one that is there already is replaced, the others
    stay. Returns how many runs the archive holds then."""
    files = read_archive(archive) if archive.exists() else {}
    new = {}
    for folder in experiments:
        for directory in finished_runs(folder):
            if directory not in new:  # experiments share runs
                new[directory] = kept_files(Run(folder.parent / directory))
        for run, name, table in twin_tables(folder):
            directory = run.directory.relative_to(folder.parent).as_posix()
            new[directory][f"{condensed.FOLDER}/{name}.csv"] = text_of(table)
    for directory, contents in new.items():
        files = {name: content for name, content in files.items() if not name.startswith(f"{directory}/")}
        files |= {f"{directory}/{name}": content for name, content in contents.items()}
    write_archive(archive, files)
    return len({Path(name).parts[1] for name in files})


def finished_runs(folder):
    """The directories, "runs/NAME", of an experiment's finished runs."""
    groups = read_json(folder / "experiment.json").get("groups", [])
    return [run["directory"] for group in groups for run in group["runs"] if run["status"] == "finished"]


def kept_files(run):
    """Name → content."""
    files = {name: (run.directory / name).read_bytes() for name in FILES if (run.directory / name).is_file()}
    files["config.json"] = config_without_places(run)
    for name, parts in RECORDINGS.items():
        if any((run.directory / folder / f"{name}.csv").is_file() for folder in (".", condensed.FOLDER)):
            files[f"{condensed.FOLDER}/{name}.csv"] = text_of(parts(run))
    return files


def config_without_places(run):
    """config.json without the folders that its machine had for runs and data: nobody else has them."""
    places = {"out": f"OUT/runs/{run.directory.name}", "data-dir": "DIR"}
    options = run.options | {option: place for option, place in places.items() if run.options.get(option)}
    return (json.dumps(run.config | {"options": options}, indent=2, ensure_ascii=False) + "\n").encode()


def twin_tables(folder):
    """(run, file's name, table) of every pair of twins."""
    kind = (read_json(folder / "experiment.json").get("picture") or {}).get("kind")
    if kind != "stability" or not finished_runs(folder):
        return
    experiment = Experiment(folder)
    for group in experiment.groups:
        if not stability.is_twin(group):
            for run, twin in stability.pairs_of(experiment, group):
                yield run, twins.condensed_name(twin), twins.distance(run, twin)


def text_of(table):
    return table.to_csv(index=False, float_format="%.9g").encode()


def write_archive(archive, files):
    """The same files give the same bytes. An interrupted write leaves the old archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))
    archive.parent.mkdir(parents=True, exist_ok=True)
    write_files(archive.parent, {archive.name: lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME)})


def read_archive(archive):
    """Name → content of its files, "runs/NAME/…"."""
    try:
        with tarfile.open(archive, mode="r:xz") as tar:
            entries = [entry for entry in tar if entry.isfile() and is_ours(entry.name)]
            return {entry.name: tar.extractfile(entry).read() for entry in entries}
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise RunError(f"{archive}: not an archive of runs ({error})") from None


def is_ours(name):
    parts = Path(name).parts
    return len(parts) > 2 and parts[0] == "runs" and ".." not in parts


def restore_runs(archive, out):
    """Writes the runs that `out` does not have. Returns their number."""
    files = read_archive(archive)
    names = {Path(file).parts[1] for file in files}
    missing = {name for name in names if not (out / "runs" / name / "config.json").exists()}
    # config.json comes last, and whole: a folder without it is no run yet, and the next call completes it.
    for name in sorted(files, key=lambda name: (Path(name).name == "config.json", name)):
        if Path(name).parts[1] in missing:
            file = out / name
            file.parent.mkdir(parents=True, exist_ok=True)
            write_files(file.parent, {file.name: files[name]})
    return len(missing)
