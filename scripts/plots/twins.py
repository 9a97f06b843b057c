"""Pairs of runs that differ in one training example: how far their preconditioners and weights are apart."""

import numpy
import pandas

from actgrad_runs import RunError

from . import condensed, style
from .experiment import fact, mean_and_error

# Options in which twins may differ: the example itself, and what has no influence on the arithmetic.
FREE = {"replace-example", "out", "data-dir", "device", "threads", "graph", "record", "save-every"}
COLUMNS = ("preconditioner", "preconditioner_relative", "preconditioner_typical", "preconditioner_with_lr", "weights",
           "weights_relative")


def options_of(run):
    return {key: value for key, value in run.options.items() if key not in FREE}


def of(group, twin_groups):
    """Pairs (run, its twin)."""
    candidates = [run for other in twin_groups for run in other.runs.values()]
    return [(run, twin) for run in group.runs.values() for twin in candidates if options_of(run) == options_of(twin)]


def distances(pairs):
    """A row per pair and epoch; `pair` counts from 0."""
    tables = []
    for i, (run, twin) in enumerate(pairs):
        tables.append(distance(run, twin).assign(pair=i))
    return pandas.concat(tables, ignore_index=True) if tables else pandas.DataFrame(columns=["epoch", *COLUMNS, "pair"])


def condensed_name(twin):
    """Of the file with the distances from this twin, in its sibling's folder."""
    return f"distance_from_twin_{twin.options['replace-example']}"


def distance(run, twin):
    """A row per epoch."""
    return condensed.kept(
        run, condensed_name(twin),
        lambda: preconditioner_distances(run, twin).merge(weight_distances(run, twin), on="epoch", how="outer"))


def preconditioner_distances(run, twin):
    """‖P_t − P'_t‖₁ behind each epoch, also divided by ‖P_t‖₁, and multiplied by the epoch's η; typical: the median of
    |P_j − P'_j| / P_j. An input that was never active has P = 1/ε, which moves nothing but outweighs all others: it is
    left out."""
    ours, theirs = (one.statistic("preconditioner").set_index("epoch").drop(columns="step", errors="ignore")
                    for one in (run, twin))
    if list(ours.columns) != list(theirs.columns):
        raise RunError(f"{twin.directory}: its preconditioner has other inputs than that of {run.directory}")
    for one, table in ((run, ours), (twin, theirs)):
        if table.index.has_duplicates:
            raise RunError(f"{one.directory / 'preconditioner.csv'}: has an epoch twice")
    epochs = ours.index.intersection(theirs.index)
    ours, theirs = ours.loc[epochs], theirs.loc[epochs]
    epsilon = run.options.get("eps", 0)
    active = (ours * epsilon < 0.5) & (theirs * epsilon < 0.5)
    ours, difference = ours[active], (ours - theirs)[active].abs()
    distance = difference.sum(axis=1)
    return pandas.DataFrame({
        "preconditioner": distance,
        "preconditioner_relative": distance / ours.sum(axis=1),
        "preconditioner_typical": (difference / ours).median(axis=1),
        "preconditioner_with_lr": distance * run.metrics.set_index("epoch")["lr"].reindex(epochs),
        "inputs": active.sum(axis=1),
        "inputs_left_out": (~active).sum(axis=1),
    }).reset_index()


def weight_distances(run, twin):
    """‖θ_t − θ'_t‖₂ behind each epoch that both kept, also divided by ‖θ_t‖₂."""
    rows = []
    for epoch in sorted(set(run.saved_epochs()) & set(twin.saved_epochs())):
        ours, theirs = run.weights(epoch), twin.weights(epoch)
        if ours.keys() != theirs.keys():
            raise RunError(f"{twin.directory}: epoch {epoch} has other weights than {run.directory}")
        names = [name for name in ours if numpy.issubdtype(ours[name].dtype, numpy.floating)]
        norm = numpy.sqrt(sum(numpy.square(ours[name], dtype=float).sum() for name in names))
        distance = numpy.sqrt(sum(numpy.square(ours[name].astype(float) - theirs[name]).sum() for name in names))
        rows.append({"epoch": epoch, "weights": distance, "weights_relative": distance / norm})
    return pandas.DataFrame(rows, columns=["epoch", "weights", "weights_relative"])


def draw(preconditioners, weights, table, look):
    """Solid: the distance; dashed: relative to the norm."""
    for axes, name, symbol in ((preconditioners, "preconditioner", "P"), (weights, "weights", "\\theta")):
        for column, dashes in ((name, "-"), (f"{name}_relative", style.DASHES[1])):
            by_epoch = table.groupby("epoch")[column]
            if by_epoch.ngroups and by_epoch.max().max() > 0:
                mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
                style.line_with_band(axes, mean.index, mean, low, high,
                                     **(look | {"linestyle": dashes, "linewidth": 1.0}))
                axes.set_yscale("log")
        if len(table) and not axes.get_legend_handles_labels()[0]:
            axes.plot([], [], color=style.GREY, label=f"$\\Vert {symbol} - {symbol}'\\Vert $")
            axes.plot([], [], color=style.GREY, linestyle=style.DASHES[1], label=f"divided by $\\Vert {symbol}\\Vert $")


def facts(name, table):
    """Distances behind the last epoch."""
    if table.empty:
        return {}
    last = table[table["epoch"] == table["epoch"].max()]
    found = {}
    for column in COLUMNS:
        mean, error = mean_and_error(last[column])
        key = f"twins, {column.replace('_', ' ')}, last epoch: {name}"
        found[key] = fact(mean, len(last), se=error, largest=table[column].max())
    return found
