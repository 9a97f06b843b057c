"""Figures 6 and 7: test accuracy per epoch and per second of training, a panel per setting, a curve per group."""

import numpy

from . import style
from .curves import METRIC, accuracy_table, draw_accuracy, final_facts, view_of
from .experiment import Picture, fact

MARK, MARK_SIZE = 1.025, 0.035  # of the paper's triangles: place and size, as shares of a panel
SMOOTH = 5  # epochs around each that are averaged where many long curves would hide each other


def draw(experiment):
    axis = experiment.picture.get("panels")
    panels = {}
    for group in experiment.groups:
        panels.setdefault(group.labels.get(axis, ""), []).append(group)
    with_seconds = bool(experiment.picture.get("seconds"))
    columns = min(len(panels), 4)
    height = {1: 3.2, 2: 2.4}.get(columns, 2.0)
    names = {}  # legend text → the first group with it; the same text has the same look in every panel
    for group in experiment.groups:
        names.setdefault(experiment.label(group, without=[axis]), group)
    looks = dict(zip(names, style.looks(names.values())))
    figure, axes, place = style.panels(len(panels) * (1 + with_seconds), columns, height, legend=names)
    longest = max(len(group.curve(METRIC)) for group in experiment.groups)
    smooth = SMOOTH if longest >= 100 and max(map(len, panels.values())) > 3 else 1

    papers = experiment.scale == "full" and any(group.paper for group in experiment.groups)
    views = common_views([view_of([group.curve(METRIC)["mean"] for group in groups],
                                  [group.paper["mean"] for group in groups if papers and group.paper])
                          for groups in panels.values()])
    for i, (title, groups) in enumerate(panels.items()):
        # The first group, the method itself, is drawn last: above the others.
        for group in reversed(groups):
            name = experiment.label(group, without=[axis])
            look = looks[name] | {"linewidth": 0.9 if len(groups) > 3 else 1.2}
            draw_accuracy(axes[i], group, look, smooth=smooth)
            if with_seconds:
                draw_accuracy(axes[len(panels) + i], group, look, seconds=True, smooth=smooth)
        style.epochs(axes[i])
        axes[i].set(title=panel_title(title, axis, columns), ylim=views[i], xlim=(0, None))
        if papers:
            mark_papers(axes[i], [(group.paper["mean"], looks[experiment.label(group, without=[axis])])
                                  for group in groups if group.paper])
        if with_seconds:
            axes[len(panels) + i].set(xlabel="training time (s)", ylim=views[i], xlim=(0, None))
            style.in_thousands(axes[len(panels) + i].xaxis)
    for i in range(0, len(axes), columns):
        axes[i].set_ylabel("test accuracy (%)")
    style.legend(place, list(looks), looks.values())
    what = "mean over runs" + (f", smoothed over {SMOOTH} epochs" if smooth > 1 else "")
    note = experiment.note(what) + "; triangle: the paper's value" * papers
    if with_seconds and not experiment.timed_alike():
        note += "; times are of different machines or numbers of threads and do not compare"
    style.label_figure(figure, experiment, note)
    facts = final_facts(experiment) | panel_facts(experiment, panels, axis)
    return Picture(figure, {"": accuracy_table(experiment)}, facts)


def panel_facts(experiment, panels, axis):
    """Of two panels, such as with and without batch normalisation: what each curve loses from one to the other."""
    if len(panels) != 2:
        return {}
    (first, before), (second, after) = panels.items()
    facts = {}
    for group in before:
        name = experiment.label(group, without=[axis])
        other = next((one for one in after if experiment.label(one, without=[axis]) == name), None)
        if other:
            (mean, error), (other_mean, other_error) = group.final(METRIC), other.final(METRIC)
            facts[f"last accuracy, {first} minus {second}: {name}"] = fact(
                mean - other_mean, min(group.n, other.n), se=numpy.hypot(error, other_error))
    return facts


def panel_title(label, axis, columns):
    """with, batch normalisation → with batch normalisation; in narrow panels the last word goes to a second line."""
    if label in ("with", "without"):
        return f"{label} {axis}"
    return "\n".join(label.rsplit(" ", 1)) if columns > 2 else label


def common_views(views):
    """One axis for all panels if they reach about the same, so that they can be compared by eye."""
    tops = [top for _, top in views]
    if max(tops) - min(tops) > 0.5 * min(top - bottom for bottom, top in views):
        return views
    return [(min(bottom for bottom, _ in views), max(tops))] * len(views)


def mark_papers(axes, marks):
    """Right of the panel, what the paper reached at this length: the (value, look) of each curve. Triangles that would
    cover each other stand side by side."""
    lines = [axes.plot([MARK], [value], marker="<", markersize=3, color=look["color"], clip_on=False,
                       transform=axes.get_yaxis_transform())[0] for value, look in marks]
    axes.get_ylim()  # scales the axis, so that heights are known
    to_panel = axes.transData + axes.transAxes.inverted()
    placed = []  # (column, height) in the panel
    for line in lines:
        height = to_panel.transform((0, line.get_ydata()[0]))[1]
        near = {column for column, other in placed if abs(height - other) < MARK_SIZE}
        column = next(column for column in range(len(lines)) if column not in near)
        placed.append((column, height))
        line.set_xdata([MARK + column * MARK_SIZE])
