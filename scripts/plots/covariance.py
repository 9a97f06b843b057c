"""Figure 2: second moments of each hidden layer's activations (Eq. 4), and how much of them lies on the diagonal."""

import numpy
import pandas
from matplotlib.colors import PowerNorm

from actgrad_runs import RunError

from . import style
from .experiment import Picture, fact, mean_and_error

SHARES = "activation_covariance/diagonal_share"


def draw(experiment):
    group = experiment.groups[0]
    seed = first_with_matrices(group)
    run = group.runs[seed]
    shares = run.statistic(SHARES)
    epochs, layers = list(shares["epoch"].unique()), list(shares["layer"].unique())
    if shares.empty:
        raise RunError(f"{run.directory}: recorded no activation covariance")
    figure, axes = style.panels(len(epochs) * len(layers), len(layers), height=1.75)
    image = None
    for panel, (epoch, layer) in zip(axes, [(epoch, layer) for epoch in epochs for layer in layers]):
        row = shares[(shares["epoch"] == epoch) & (shares["layer"] == layer)]
        if row.empty:
            panel.axis("off")
            continue
        image = heat_map(panel, run.covariance(epoch, layer))
        share, random_share = row["share"].iloc[0], row["random_share"].iloc[0]
        above = f"input of {layer}, d = {row['size'].iloc[0]}\n" if epoch == epochs[0] else ""
        panel.set_title(f"{above}diagonal {percent(share)}, 1/d {percent(random_share)}", fontsize=7)
        if layer == layers[0]:
            panel.set_ylabel(f"epoch {epoch}")
    if image:
        bar = figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, aspect=40)
        bar.set_label("|A$_{ij}$| / largest diagonal entry")
        bar.outline.set_visible(False)
    name = experiment.label(group)
    what = "diagonal: Σ|A$_{ii}$| / Σ|A$_{ij}$|, which is 1/d if all entries are alike"
    style.label_figure(figure, experiment, f"{name + ', ' if name else ''}n = 1 (seed {seed}); {what}")
    table = all_shares(experiment)
    return Picture(figure, {"": table}, share_facts(experiment, table))


def percent(share):
    """With two significant digits."""
    return numpy.format_float_positional(100 * share, precision=2, min_digits=2, fractional=False).rstrip(".") + "%"


def first_with_matrices(group):
    """The lowest seed whose run still has the matrices, of which scripts/collect_results keeps the shares alone."""
    seeds = [seed for seed, run in sorted(group.runs.items())
             if any(run.directory.glob("activation_covariance/epoch*"))]
    if not seeds:
        raise RunError("no run has its activations' covariance matrices: condensed runs do not keep them")
    return seeds[0]


def heat_map(axes, matrix):
    """|A_ij| relative to the largest diagonal entry; the square root lets small entries be seen."""
    magnitude = numpy.abs(matrix)
    largest = magnitude.diagonal().max()
    image = axes.imshow(magnitude / (largest if largest > 0 else 1), cmap="magma_r", norm=PowerNorm(0.5, 0, 1),
                        interpolation="antialiased")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return image


def all_shares(experiment):
    """The shares of every run, not only of the one drawn."""
    tables = []
    for group in experiment.groups:
        for seed, run in group.runs.items():
            table = run.statistic(SHARES)
            table.insert(0, "seed", seed)
            table.insert(0, "group", experiment.label(group))
            tables.append(table)
    return pandas.concat(tables, ignore_index=True)


def share_facts(experiment, table):
    facts = {}
    for (group, epoch, layer), rows in table.groupby(["group", "epoch", "layer"], sort=False):
        mean, error = mean_and_error(rows["share"])
        name = ", ".join(filter(None, (group if len(experiment.groups) > 1 else "", f"epoch {epoch}", layer)))
        random_share = rows["random_share"].mean()
        facts[f"share of the diagonal: {name}"] = fact(mean, len(rows), se=error, random_share=random_share)
    return facts
