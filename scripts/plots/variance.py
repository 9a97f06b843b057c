"""The recording `activation-variance` over an experiment's runs: one row per step, three columns per hidden layer."""

import functools

import numpy
import pandas

from actgrad_runs import RunError

from .experiment import fact

NAME = "activation_variance"
PARTS = ("mean", "smallest", "largest")


@functools.lru_cache(maxsize=64)
def _read(run):
    table = run.statistic(NAME)
    if table.empty or layers_of(table) == []:
        raise RunError(f"{run.directory / (NAME + '.csv')}: holds no activation variances")
    return table


def layers_of(table):
    """Weighted layers whose input was recorded, in the order of the network."""
    return [column.removesuffix(" mean") for column in table.columns if column.endswith(" mean")]


def layers(experiment):
    """The layers of every run of the experiment."""
    found = [layers_of(_read(run)) for group in experiment.groups for run in group.runs.values()]
    if any(other != found[0] for other in found):
        raise RunError(f"{experiment.name}: its runs recorded different layers")
    return found[0]


def run_means(group, layer):
    """Seed → the layer's variance, averaged over its units and all steps."""
    return {seed: _read(run)[f"{layer} mean"].mean() for seed, run in group.runs.items()}


def series(group, layer, part):
    """(runs, steps): a column of the recording; runs of different length are cut to the shortest."""
    columns = [_read(run)[f"{layer} {part}"].to_numpy() for run in group.runs.values()]
    shortest = min(map(len, columns))
    return numpy.stack([column[:shortest] for column in columns])


def layers_mean(group, names):
    """(runs, steps): the mean over the hidden layers, each of which counts the same."""
    return numpy.mean([series(group, layer, "mean") for layer in names], axis=0)


def thinned(values, points, reduce):
    """(steps,) → at most `points` values, each of a piece of equal length; and the last step of each piece."""
    length = max(1, -(-len(values) // points))
    starts = numpy.arange(0, len(values), length)
    ends = numpy.minimum(starts + length, len(values))
    reduced = [reduce(values[begin:end]) for begin, end in zip(starts, ends)]
    return ends, numpy.array(reduced)


def per_epoch(experiment, names):
    """The table behind the pictures: per group, layer and epoch the mean, the smallest and the largest unit."""
    rows = []
    for group in experiment.groups:
        tables = pandas.concat([_read(run) for run in group.runs.values()])
        by_epoch = tables.groupby("epoch")
        for layer in names:
            table = pandas.DataFrame({
                "group": experiment.label(group),
                "layer": layer,
                "mean": by_epoch[f"{layer} mean"].mean(),
                "smallest": by_epoch[f"{layer} smallest"].min(),
                "largest": by_epoch[f"{layer} largest"].max(),
                "n": group.n,
            })
            rows.append(table.reset_index())
    return pandas.concat(rows, ignore_index=True)


def smallest_shares(experiment, names, hero="adaact"):
    """For the claim that AdaAct's variances are the smallest: in which share of the steps, over the common seeds."""
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
        facts[f"share of steps with {experiment.label(ours)} smallest: {layer}"] = fact(numpy.mean(below), len(seeds))
    return facts
