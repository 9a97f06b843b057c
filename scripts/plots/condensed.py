"""Recordings with a row per step, reduced to parts of the training: what pictures are drawn from.

The parts are also what is kept of a run where its recordings, tens of megabytes, have no place: scripts/collect_results
writes them into a folder `condensed` of the run's copy, and the functions here read that folder where there is one.
"""

import numpy
import pandas

from actgrad_runs import read_csv

FOLDER = "condensed"
PARTS = 200  # at least so many, if there are as many steps; each lies within an epoch


def activation_variance(run):
    """A row per part: epoch, iteration (its last step, from 1), steps, and for each layer the mean of the means, the
    smallest and the largest unit, and `dead`, the share of steps with a unit of variance 0."""
    return kept(run, "activation_variance", lambda: parts_of_variances(run.statistic("activation_variance")))


def effective_rates(run):
    """A row per part: epoch, iteration, steps, lr; the largest and the median rise of a rate, also without lr; `rises`,
    the share of steps with a rise, and `last rise`, the last of them; the median changes from step to step."""
    return kept(run, "effective_rates", lambda: parts_of_rates(run.statistic("effective_rates")))


def kept(run, name, compute):
    """The table that was kept of the run under this name or, where nothing was, the computed one."""
    file = run.directory / FOLDER / f"{name}.csv"
    return read_csv(file) if file.is_file() else compute()


def part_of(table):
    """The part, from 0, of each row (epoch and step within it, both from 1)."""
    epochs, steps = table["epoch"].max(), table["step"].max()
    per_epoch = min(steps, -(-PARTS // epochs))
    return (table["epoch"] - 1) * per_epoch + (table["step"] - 1) * per_epoch // steps


def iteration_of(table):
    """The step of each row, from 1, counted over all epochs."""
    return (table["epoch"] - 1) * table["step"].max() + table["step"]


def frame(table, part):
    """epoch, iteration, steps: what every reduced recording begins with."""
    groups = table.assign(iteration=iteration_of(table)).groupby(part)
    return pandas.DataFrame({
        "epoch": groups["epoch"].last(),
        "iteration": groups["iteration"].last(),
        "steps": groups.size(),
    })


def layers_of(table):
    """Weighted layers whose input was recorded, in the order of the network."""
    return [column.removesuffix(" mean") for column in table.columns if column.endswith(" mean")]


def parts_of_variances(table):
    part = part_of(table)
    groups, parts = table.groupby(part), frame(table, part)
    for layer in layers_of(table):
        parts[f"{layer} mean"] = groups[f"{layer} mean"].mean()
        parts[f"{layer} smallest"] = groups[f"{layer} smallest"].min()
        parts[f"{layer} largest"] = groups[f"{layer} largest"].max()
        parts[f"{layer} dead"] = (table[f"{layer} smallest"] == 0).groupby(part).mean()
    return parts.reset_index(drop=True)


def parts_of_rates(table):
    """The first step has no rates to be compared with: it counts in no part."""
    part = part_of(table)
    parts = frame(table, part)
    rows = table["rate increase"].notna()
    rises = table["rate increase"] > 0
    parts["steps"] = rows.groupby(part).sum()
    groups = table[rows].groupby(part[rows])
    parts["lr"] = groups["lr"].mean()
    parts["rate increase"] = groups["rate increase"].max()
    parts["rate increase median"] = groups["rate increase"].median()
    parts["rate increase without lr"] = groups["rate increase without lr"].max()
    parts["rises"] = rises[rows].groupby(part[rows]).mean()
    parts["last rise"] = iteration_of(table)[rises].groupby(part[rises]).last()
    parts["rate change"] = groups["rate change"].median()
    parts["rate change without lr"] = groups["rate change without lr"].median()
    return parts[parts["steps"] > 0].reset_index(drop=True)


def weighted_mean(parts, column):
    """Over all steps of the parts."""
    return numpy.average(parts[column], weights=parts["steps"])
