"""Figures 4 and 8: activation variance over the iterations, per hidden layer; optionally the mean over the layers."""

import numpy

from . import style, variance
from .experiment import Picture, fact

POINTS = 500
NOTHING = 1e-30  # what a variance of 0 is drawn as


def draw(experiment):
    names = variance.layers(experiment)
    titles = [f"input of {name}" for name in names]
    with_units = experiment.picture.get("band") == "units"
    if experiment.picture.get("layers_mean"):
        titles.append("mean over the hidden layers")
    columns = 2 if len(titles) <= 4 else 3 if len(titles) <= 6 else 4
    several = len(experiment.groups) > 1
    figure, axes, *place = style.panels(len(titles), columns, height=1.75, legend=several)
    looks = style.looks(experiment.groups)
    for group, look in zip(experiment.groups, looks):
        for panel, layer in zip(axes, names):
            draw_series(panel, variance.series(group, layer, "mean"), look, with_units and layer_bounds(group, layer))
        if len(titles) > len(names):
            draw_series(axes[-1], variance.layers_mean(group, names), look, None)
    for i, (panel, title) in enumerate(zip(axes, titles)):
        panel.set(title=title, yscale="log")
        if i >= (len(titles) - 1) // columns * columns:
            panel.set_xlabel("iteration")
        if i % columns == 0:
            panel.set_ylabel("activation variance")
        style.in_thousands(panel.xaxis)
        visible_range(panel)
    if several:
        style.legend(*place, [(experiment.legend_label(group), look) for group, look in zip(experiment.groups, looks)])
    what = "line: mean over units and runs; band: smallest to largest unit of any run" if with_units \
        else "line: mean over units and runs; band: smallest to largest run"
    style.label_figure(figure, experiment, experiment.note(what, error=""))
    return Picture(figure, {"": variance.per_epoch(experiment, names)}, bounds_facts(experiment, names)
                   | variance.smallest_shares(experiment, names))


def layer_bounds(group, layer):
    """(smallest, largest) unit at each step, over the runs."""
    return variance.series(group, layer, "smallest").min(axis=0), variance.series(group, layer, "largest").max(axis=0)


def draw_series(axes, runs, look, bounds):
    """runs (runs, steps): their mean, in a band of the given bounds or else of the single runs, each smoothed alike."""
    steps, mean = variance.thinned(runs.mean(axis=0), POINTS, numpy.mean)
    if bounds:
        _, low = variance.thinned(bounds[0], POINTS, numpy.min)
        _, high = variance.thinned(bounds[1], POINTS, numpy.max)
    else:
        smooth = [variance.thinned(run, POINTS, numpy.mean)[1] for run in runs]
        low, high = numpy.min(smooth, axis=0), numpy.max(smooth, axis=0)
    # A unit that is dead in a batch has variance 0, which a logarithmic axis cannot show: the band then goes down to its edge.
    style.line_with_band(axes, steps, mean, numpy.maximum(low, NOTHING), high, **(look | {"linewidth": 0.9}))


def visible_range(axes):
    """Three decades below the lowest line are enough: units next to dead would stretch the axis without end."""
    lines = numpy.concatenate([line.get_ydata() for line in axes.get_lines()])
    bands = numpy.concatenate([band.get_paths()[0].vertices[:, 1] for band in axes.collections])
    lines, bands = lines[lines > 0], bands[bands > NOTHING]
    if len(lines) and len(bands):
        axes.set_ylim(0.7 * max(min(bands.min(), lines.min()), lines.min() * 1e-3), 1.4 * bands.max())


def bounds_facts(experiment, names):
    """For assumption A4: the range of single units, how often one is dead, and whether the mean still grows at the end."""
    facts = {}
    for group in experiment.groups:
        for layer in names:
            name = f"{experiment.label(group)}, {layer}"
            smallest, largest = layer_bounds(group, layer)
            means = variance.series(group, layer, "mean").mean(axis=0)
            tenth = max(1, len(means) // 10)
            facts[f"largest unit: {name}"] = fact(largest.max(), group.n)
            facts[f"smallest unit: {name}"] = fact(smallest.min(), group.n)
            facts[f"share of steps with a unit at 0: {name}"] = fact((smallest == 0).mean(), group.n)
            facts[f"mean of the last tenth of steps / of the tenth before: {name}"] = fact(
                means[-tenth:].mean() / means[-2 * tenth:-tenth].mean() if len(means) > 1 else numpy.nan, group.n)
    return facts
