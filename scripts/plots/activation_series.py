"""Figures 4 and 8: activation variance over the iterations, per hidden layer; optionally the mean over the layers."""

import numpy

from . import style, variance
from .experiment import Picture, fact

NOTHING = 1e-30  # what a variance of 0 is drawn as


def draw(experiment):
    names = variance.layers(experiment)
    with_units = experiment.picture.get("band") == "units"
    draw_panels = draw_unit_ranges if with_units and len(experiment.groups) > 1 else draw_layers
    figure = draw_panels(experiment, names, with_units)
    band = "unit of any run (dead ones: down to the axis)" if with_units else "run"
    note = experiment.note(f"line: mean over units and runs; band: smallest to largest {band}", error="")
    style.label_figure(figure, experiment, note)
    facts = bounds_facts(experiment, names) | variance.smallest_shares(experiment, names)
    return Picture(figure, {"": variance.per_epoch(experiment, names)}, facts)


def draw_layers(experiment, names, with_units):
    """A panel per layer, and one for their mean, in which the groups are compared."""
    titles = [f"input of {name}" for name in names]
    if experiment.picture.get("layers_mean"):
        titles.append("mean over the hidden layers")
    columns = 2 if len(titles) <= 4 else 3 if len(titles) <= 6 else 4
    texts = [experiment.legend_label(group) for group in experiment.groups] if len(experiment.groups) > 1 else []
    figure, axes, *place = style.panels(len(titles), columns, height=1.75, legend=texts)
    looks = style.looks(experiment.groups)
    for group, look in zip(experiment.groups, looks):
        for panel, layer in zip(axes, names):
            bounds = with_units and layer_bounds(group, layer)
            draw_series(panel, variance.iterations(group), variance.series(group, layer, "mean"), look, bounds)
        if len(titles) > len(names):
            draw_series(axes[-1], variance.iterations(group), variance.layers_mean(group, names), look, None)
    label_panels(axes, titles, columns, ["activation variance"] * len(titles))
    for panel in axes:
        panel.set_ylim(visible_range([panel]))
        style.log_ticks(panel)
    if texts:
        style.legend(*place, texts, looks)
    return figure


def draw_unit_ranges(experiment, names, _):
    """A row per group and a column per layer, with one axis for the column: bands in one panel would hide each
    other."""
    rows, columns = len(experiment.groups), len(names)
    figure, axes = style.panels(rows * columns, columns, height=1.45)
    for row, (group, look) in enumerate(zip(experiment.groups, style.looks(experiment.groups))):
        for panel, layer in zip(axes[row * columns:], names):
            means, bounds = variance.series(group, layer, "mean"), layer_bounds(group, layer)
            draw_series(panel, variance.iterations(group), means, look, bounds)
    labels = [f"{experiment.legend_label(group)}\nactivation variance" for group in experiment.groups for _ in names]
    label_panels(axes, [f"input of {name}" for name in names] + [""] * (rows - 1) * columns, columns, labels)
    for column in range(columns):
        for panel in axes[column::columns]:
            panel.set_ylim(visible_range(axes[column::columns]))
            style.log_ticks(panel)
    return figure


def label_panels(axes, titles, columns, labels):
    """Titles, the vertical axis' label on the left, the horizontal one's in the last row."""
    for i, (panel, title, label) in enumerate(zip(axes, titles, labels)):
        panel.set(title=title, yscale="log")
        if i >= (len(axes) - 1) // columns * columns:
            panel.set_xlabel("iteration")
        if i % columns == 0:
            panel.set_ylabel(label)
        style.in_thousands(panel.xaxis)


def layer_bounds(group, layer):
    """(smallest, largest) unit in each part, over the runs."""
    return variance.series(group, layer, "smallest").min(axis=0), variance.series(group, layer, "largest").max(axis=0)


def draw_series(axes, iterations, runs, look, bounds):
    """runs (runs, parts): their mean, in a band of the given bounds or else of the single runs."""
    low, high = bounds or (runs.min(axis=0), runs.max(axis=0))
    # A unit that is dead in a batch has variance 0, which a logarithmic axis cannot show: the band then goes down to
    # its edge.
    style.line_with_band(axes, iterations, runs.mean(axis=0), numpy.maximum(low, NOTHING), high,
                         **(look | {"linewidth": 0.9}))


def visible_range(panels):
    """Three decades below the lowest line are enough: units next to dead would stretch the axis without end."""
    lines = numpy.concatenate([line.get_ydata() for panel in panels for line in panel.get_lines()])
    bands = numpy.concatenate([band.get_paths()[0].vertices[:, 1] for panel in panels for band in panel.collections])
    lines, bands = lines[lines > NOTHING], bands[bands > NOTHING]
    if not len(lines) or not len(bands):
        return None
    return 0.7 * max(min(bands.min(), lines.min()), lines.min() * 1e-3), 1.4 * max(bands.max(), lines.max())


def bounds_facts(experiment, names):
    """For assumption A4: the range of single units, how often one is dead, and whether the mean still grows at the
    end."""
    facts = {}
    for group in experiment.groups:
        for layer in names:
            name = f"{experiment.label(group)}, {layer}"
            smallest, largest = layer_bounds(group, layer)
            means = variance.series(group, layer, "mean").mean(axis=0)
            tenth = max(1, len(means) // 10)
            facts[f"largest unit: {name}"] = fact(largest.max(), group.n)
            facts[f"smallest unit: {name}"] = fact(smallest.min(), group.n)
            facts[f"share of steps with a unit at 0: {name}"] = fact(variance.dead_share(group, layer), group.n)
            facts[f"mean of the last tenth / of the tenth before: {name}"] = fact(
                means[-tenth:].mean() / means[-2 * tenth:-tenth].mean() if len(means) > 1 else numpy.nan, group.n)
    return facts
