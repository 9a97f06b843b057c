"""What all pictures share: a paper's size and letters, a colour for each optimizer, titles and notes."""

import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

WIDTH = 7.0  # inches: the text width of a two-column page
GREY = "#606060"

# Distinguishable with any colour vision: Okabe and Ito's palette, https://jfly.uni-koeln.de/color/; then Paul Tol's.
COLOURS = {
    "adaact": "#D55E00", "sgd": "#0072B2", "adam": "#009E73", "adamw": "#56B4E9", "adan": "#CC79A7", "kfac": "#000000",
    "foof": "#E69F00", "eva": "#882255", "lamb": "#999933", "sam": "#44AA99", "hyperadam": "#332288",
}
OTHER_COLOURS = ("#117733", "#88CCEE", "#AA4499", "#7A7A7A", "#661100")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))

pyplot.rcParams.update({
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 220,
    "svg.hashsalt": "actgrad",  # the same picture gives the same file
})


def optimizer_of(group):
    return group.labels.get("optimizer") or str(group.option("optim") or "")


def looks(groups):
    """Colour and dashes of each group's lines: an optimizer has one colour everywhere, variants differ in dashes."""
    variants, result = {}, []
    for group in groups:
        key = "".join(filter(str.isalpha, str(group.option("optim") or optimizer_of(group)).lower()))
        colour = COLOURS.setdefault(key, OTHER_COLOURS[len(COLOURS) % len(OTHER_COLOURS)])
        variant = variants[key] = variants.get(key, -1) + 1
        result.append({"color": colour, "linestyle": DASHES[variant % len(DASHES)]})
    return result


def panels(count, columns, height, legend=()):
    """A figure with `count` panels of this height (inches) and, if there are legend texts, a place for them: the free
    cell at the end or, if there is none, rows above the panels."""
    rows = -(-count // columns)
    above = bool(legend) and count % columns == 0
    ratios = [0.06 + 0.16 * -(-len(legend) // legend_columns(legend))] * above + [height] * rows
    figure = pyplot.figure(figsize=(WIDTH, sum(ratios) + 0.45))
    grid = figure.add_gridspec(len(ratios), columns, height_ratios=ratios)
    axes = [figure.add_subplot(grid[above + i // columns, i % columns]) for i in range(count)]
    if not legend:
        return figure, axes
    place = figure.add_subplot(grid[0, :] if above else grid[rows - 1, count % columns])
    place.axis("off")
    return figure, axes, place


def legend_columns(texts):
    """As many as fit side by side into the page's width: letters of 7 points are about 0.06 inches wide."""
    return max(1, min(len(texts), int(WIDTH / (0.45 + 0.06 * max(map(len, texts), default=0)))))


def legend(place, texts, looks):
    """A legend of lines in the place that `panels` made."""
    handles = [Line2D([], [], **look) for look in looks]
    whole_row = len(place.get_subplotspec().colspan) == place.get_gridspec().ncols
    box = place.legend(handles, texts, loc="center", ncol=legend_columns(texts) if whole_row else 1, columnspacing=1.2,
                       borderaxespad=0)
    box.set_in_layout(False)  # its place has the room that it needs


def label_figure(figure, experiment, note):
    """The title, below it in red what keeps this from being the paper's experiment, and at the foot what is drawn."""
    title = f"{experiment.title}\n[{experiment.mark}]" if experiment.mark else experiment.title
    figure.suptitle(title, fontsize=9, fontweight="bold", color="#A00000" if experiment.mark else "black")
    figure.supxlabel("\n".join(textwrap.fill(line, 125) for line in note.split("\n")), fontsize=7, color=GREY)


def line_with_band(axes, x, mean, low, high, **look):
    axes.plot(x, mean, **look)
    axes.fill_between(x, low, high, color=look["color"], alpha=0.18, linewidth=0)


def epochs(axes):
    """The horizontal axis counts epochs: in whole numbers."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def log_ticks(axes):
    """A logarithmic vertical axis of few decades needs more numbers than the powers of ten; one of many has room for
    them alone, and no small ticks, which would stand in some panels and not in others."""
    low, high = axes.get_ylim()
    if high > 1e4 * low:
        axes.yaxis.set_minor_locator(NullLocator())
    if high < 200 * low:
        numbers = (1, 2, 3, 4, 6) if high < 12 * low else (1, 2, 5) if high < 30 * low else (1, 3)
        axes.yaxis.set_major_locator(LogLocator(subs=numbers))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def room_above(axes, share):
    """Leaves the upper `share` of a panel free of curves, whatever its vertical scale: for words."""
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(axes.get_ylim())
    axes.set_ylim(top=scale.inverted().transform(high + (high - low) * share / (1 - share)))


def in_thousands(axis):
    """50,000 → 50k."""
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"))
