"""Figures 6 and 7: test accuracy per epoch and per second of training, a panel per setting, a curve per group."""

from . import style
from .curves import METRIC, accuracy_table, ceiling_view, draw_accuracy, final_facts
from .experiment import Picture


def draw(experiment):
    axis = experiment.picture.get("panels")
    panels = {}
    for group in experiment.groups:
        panels.setdefault(group.labels.get(axis, ""), []).append(group)
    with_seconds = bool(experiment.picture.get("seconds"))
    columns = len(panels) if len(panels) <= 4 else 4
    figure, axes, above = style.panels(len(panels) * (1 + with_seconds), columns, height=2.0 if columns > 2 else 2.4, legend=True)

    curve_names = unique(experiment.legend_label(group, without=[axis]) for group in experiment.groups)
    looks = dict(zip(curve_names, style.looks([first_called(experiment, name, axis) for name in curve_names])))
    for column, (title, groups) in enumerate(panels.items()):
        below = axes[len(panels) + column] if with_seconds else None
        for group in groups:
            look = looks[experiment.legend_label(group, without=[axis])]
            draw_accuracy(axes[column], group, look)
            if below:
                draw_accuracy(below, group, look, seconds=True)
        for panel in filter(None, (axes[column], below)):
            ceiling_view(panel, [group.curve(METRIC)["mean"] for group in groups])
            panel.set_xlim(left=0)
        axes[column].set(title=title, xlabel="epoch")
        if below:
            below.set_xlabel("training time (s)")
            style.in_thousands(below.xaxis)
    for i in range(0, len(axes), columns):
        axes[i].set_ylabel("test accuracy (%)")
    style.legend(above, list(looks.items()))
    style.label_figure(figure, experiment, experiment.note("mean over runs"))
    return Picture(figure, {"": accuracy_table(experiment)}, final_facts(experiment))


def unique(names):
    return list(dict.fromkeys(names))


def first_called(experiment, name, axis):
    return next(group for group in experiment.groups if experiment.legend_label(group, without=[axis]) == name)
