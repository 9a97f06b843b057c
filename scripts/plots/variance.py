"""The recording `activation-variance` over an experiment's runs, in parts (condensed.py)."""

import functools

import numpy
import pandas

from actgrad_runs import RunError

from . import condensed
from .condensed import layers_of, weighted_mean
from .experiment import fact


@functools.lru_cache(maxsize=64)
def _read(run):
    table = condensed.activation_variance(run)
    if table.empty or layers_of(table) == []:
        raise RunError(f"{run.directory}: holds no activation variances")
    return table


def layers(experiment):
    """The layers of every run of the experiment."""
    found = [layers_of(_read(run)) for group in experiment.groups for run in group.runs.values()]
    if any(other != found[0] for other in found):
        raise RunError(f"{experiment.name}: its runs recorded different layers")
    return found[0]


def run_means(group, layer):
    """Seed → the layer's variance, averaged over its units and all steps."""
    return {seed: weighted_mean(_read(run), f"{layer} mean") for seed, run in group.runs.items()}


def dead_share(group, layer):
    """The share of steps in which a unit has variance 0, mean over the runs."""
    return numpy.mean([weighted_mean(_read(run), f"{layer} dead") for run in group.runs.values()])


def series(group, layer, what):
    """(runs, parts): a column of the parts; runs of different length are cut to the shortest."""
    columns = [_read(run)[f"{layer} {what}"].to_numpy() for run in group.runs.values()]
    shortest = min(map(len, columns))
    return numpy.stack([column[:shortest] for column in columns])


def iterations(group):
    """The last step of each part."""
    return min((_read(run)["iteration"].to_numpy() for run in group.runs.values()), key=len)


def layers_mean(group, names):
    """(runs, parts): the mean over the hidden layers, each of which counts the same."""
    return numpy.mean([series(group, layer, "mean") for layer in names], axis=0)


def per_epoch(experiment, names):
    """The table behind the pictures: per group, layer and epoch the mean, the smallest and the largest unit."""
    rows = []
    for group in experiment.groups:
        parts = pandas.concat([_read(run) for run in group.runs.values()])
        by_epoch, steps = parts.groupby("epoch"), parts["steps"].groupby(parts["epoch"]).sum()
        for layer in names:
            table = pandas.DataFrame({
                "group": experiment.label(group),
                "layer": layer,
                "mean": (parts[f"{layer} mean"] * parts["steps"]).groupby(parts["epoch"]).sum() / steps,
                "smallest": by_epoch[f"{layer} smallest"].min(),
                "largest": by_epoch[f"{layer} largest"].max(),
                "n": group.n,
            })
            rows.append(table.reset_index())
    return pandas.concat(rows, ignore_index=True)


def smallest_shares(experiment, names, hero="adaact"):
    """For the claim that AdaAct's variances are the smallest: in which share of the training, part by part, over the
    common seeds."""
    ours = next((group for group in experiment.groups if group.option("optim") == hero), None)
    others = [group for group in experiment.groups if group is not ours]
    if ours is None or not others:
        return {}
    seeds = sorted(set(ours.runs).intersection(*(group.runs for group in others)))
    facts = {}
    for layer in names if seeds else []:
        below = []
        for seed in seeds:
            columns = [_read(group.runs[seed])[f"{layer} mean"].to_numpy() for group in (ours, *others)]
            shortest = min(map(len, columns))
            rest = numpy.min([column[:shortest] for column in columns[1:]], axis=0)
            below.append((columns[0][:shortest] < rest).mean())
        name = f"share of the training with {experiment.label(ours)} smallest: {layer}"
        facts[name] = fact(numpy.mean(below), len(seeds))
    return facts
