"""Accuracy over the epochs: what several pictures draw and write the same way."""

import numpy
import pandas

from . import style
from .experiment import fact

METRIC = "test_accuracy"
LONG = 50  # epochs from which on the first climb says little


def draw_accuracy(axes, group, look, seconds=False, smooth=1):
    """Mean and standard error over the epochs, or over the mean training time that the runs had spent behind each;
    averaged over `smooth` epochs around each."""
    curve = group.curve(METRIC)[["mean", "se"]].rolling(smooth, center=True, min_periods=1).mean()
    x = curve.index
    if seconds:
        x = group.curve("train_seconds")["mean"].cumsum()
    error = curve["se"].fillna(0)
    style.line_with_band(axes, x, curve["mean"], curve["mean"] - error, curve["mean"] + error, **look)


def accuracy_table(experiment):
    """Per group and epoch: mean accuracy, standard error, n, and the training seconds until then."""
    tables = []
    for group in experiment.groups:
        table = group.curve(METRIC).reset_index()
        table["train_seconds"] = group.curve("train_seconds")["mean"].cumsum().to_numpy()
        table.insert(0, "group", experiment.label(group))
        tables.append(table)
    return pandas.concat(tables, ignore_index=True)


def final_facts(experiment):
    """Last and best accuracy of each group, the accuracy on the way, and the training seconds of an epoch."""
    facts = {}
    for group in experiment.groups:
        name = experiment.label(group)
        for which, choose in (("last", lambda values: values.iloc[-1]), ("best", max)):
            mean, error = group.final(METRIC, choose)
            facts[f"{which} accuracy: {name}"] = fact(mean, group.n, se=error)
        curve = group.curve(METRIC)["mean"]
        for part in (0.1, 0.25, 0.5, 0.75):
            epoch = curve.index[max(0, round(part * len(curve)) - 1)]
            facts[f"accuracy at {part:.0%} of the epochs: {name}"] = fact(curve[epoch], group.n, epoch=int(epoch))
        facts[f"train seconds per epoch: {name}"] = fact(group.curve("train_seconds")["mean"].mean(), group.n)
    return facts


def view_of(curves, marks=()):
    """(bottom, top) of an accuracy axis: all of short curves; of long ones not the first climb, but where curves end, and
    most are after a tenth. marks: single values that must be in it too."""
    top = max([curve.max() for curve in curves] + list(marks))
    if max(map(len, curves)) < LONG:
        low = min(curve.min() for curve in curves)
    else:
        low = numpy.quantile([curve.iloc[len(curve) // 10:].quantile(0.05) for curve in curves], 0.25)
    bottom = min([curve.iloc[-1] for curve in curves] + list(marks) + [low])
    space = 0.05 * (top - bottom) or 1.0
    return bottom - space, top + space
