"""Figure 1: how far activations spread, per hidden layer and optimizer, and the test accuracy beside it."""

import numpy
import pandas

from . import style, variance
from .curves import accuracy_table, draw_accuracy
from .experiment import Picture, fact, mean_and_error

LOG_FROM = 20  # ratio of the largest to the smallest bar from which the axis is logarithmic


def draw(experiment):
    names = variance.layers(experiment)
    looks = style.looks(experiment.groups)
    figure, (left, right) = style.panels(2, 2, height=2.5)

    rows = []
    for i, (group, look) in enumerate(zip(experiment.groups, looks)):
        bars = [mean_and_error(list(variance.run_means(group, layer).values())) for layer in names]
        width = 0.8 / len(experiment.groups)
        at = numpy.arange(len(names)) + (i - (len(experiment.groups) - 1) / 2) * width
        means, errors = zip(*bars)
        left.bar(at, means, width * 0.92, color=look["color"], label=experiment.legend_label(group))
        if group.n > 1:
            left.errorbar(at, means, errors, fmt="none", ecolor="black", elinewidth=0.7, capsize=1.5)
        rows += [{"group": experiment.label(group), "layer": layer, "mean": mean, "se": error, "n": group.n}
                 for layer, (mean, error) in zip(names, bars)]
        draw_accuracy(right, group, look)
    table = pandas.DataFrame(rows)

    if table["mean"].max() > LOG_FROM * table["mean"].min() > 0:
        left.set_yscale("log")
    left.set_xticks(range(len(names)), names)
    left.tick_params(axis="x", length=0)
    left.grid(axis="x", visible=False)
    left.set(xlabel="hidden activations: input of", ylabel="variance per unit",
             title="Activation variance, all iterations")
    left.legend(loc="upper left", ncol=1)
    headroom(left)
    if left.get_yscale() == "log":
        style.log_ticks(left)
    style.epochs(right)
    right.set(ylabel="test accuracy (%)", title="Test accuracy")
    style.label_figure(figure, experiment,
                       experiment.note("mean over runs", "bar and band: standard error", "per bar and curve"))

    facts = variance.smallest_shares(experiment, names)
    for layer, bars in table.groupby("layer", sort=False):
        best = bars.loc[bars["mean"].idxmin()]
        facts[f"smallest variance: {layer}"] = fact(best["group"], bars["n"].min(), variance=best["mean"])
    return Picture(figure, {"": table, "_accuracy": accuracy_table(experiment)}, facts)


def headroom(axes):
    """Room for the legend above the bars."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.3 if axes.get_yscale() == "log" else high * 1.3)
