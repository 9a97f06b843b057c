#!/usr/bin/env python3
"""scripts/actgrad_runs.py and scripts/plot on made-up runs (run_generator.py). Skipped, code 77, without pandas or
matplotlib."""

import importlib
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
for package in ("pandas", "matplotlib"):
    try:
        importlib.import_module(package)
    except ImportError:
        print(f"skipped: {package} is not installed")
        sys.exit(77)

import matplotlib.figure
import numpy
import pandas

import actgrad_runs
import run_generator as generator
from plots import accuracy_curves, activation_bars, activation_series, archive, condensed, covariance, heat_map
from plots import loss_curves, stability, style, twins
from plots.curves import view_of
from plots.experiment import Experiment, mean_and_error

loader = importlib.machinery.SourceFileLoader("plot", str(ROOT / "scripts/plot"))
plot = importlib.util.module_from_spec(importlib.util.spec_from_loader("plot", loader))
loader.exec_module(plot)


def run_plot(*arguments):
    return subprocess.run([sys.executable, str(ROOT / "scripts/plot"), *map(str, arguments)], capture_output=True,
                          text=True)


def cells(*optimizers, **options):
    return [({"optimizer": name}, {"optim": name.lower()} | options) for name in optimizers]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name)

    def drawn(self, folder):
        """Draws the folder's picture; returns its table and its facts."""
        plot.draw(folder, ["png", "svg"])
        name = folder.name
        png = (folder / f"{name}.png").read_bytes()
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        self.assertGreaterEqual(struct.unpack(">I", png[16:20])[0], 7 * 150)  # 150 dots per inch of a page's width
        self.assertTrue(xml.etree.ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg"))
        for file in folder.glob("*.csv"):
            self.assertGreater(len(pandas.read_csv(file)), 0)
        facts = json.loads((folder / f"{name}_facts.json").read_text())
        self.assertEqual(facts["experiment"], name)
        return pandas.read_csv(folder / f"{name}.csv"), facts["facts"]


class Runs(Case):
    def test_a_run(self):
        folder = generator.write_run(self.out / "a", epochs=3, steps=5, record=["activation-variance", "weights"])
        run = actgrad_runs.load(folder)
        self.assertEqual(list(run.metrics["epoch"]), [1, 2, 3])
        self.assertEqual(run.options["optim"], "adaact")
        self.assertEqual(run.summary["best_test_accuracy"], run.metrics["test_accuracy"].max())
        self.assertEqual(run.statistics, ["activation_variance"])
        self.assertEqual(run.statistic("activation_variance").shape, (15, 14))
        self.assertEqual(run.saved_epochs(), [1, 2, 3])
        self.assertTrue((run.weights(2)["fc.weight"] == 2 * run.weights(1)["fc.weight"]).all())

    def test_a_line_that_is_being_written_is_left_out(self):
        folder = generator.write_run(self.out / "a", epochs=3, record=["activation-variance"])
        with open(folder / "activation_variance.csv", "a") as file:
            file.write("3,9,0.1234,0.0")
        self.assertEqual(len(actgrad_runs.load(folder).statistic("activation_variance")), 24)

    def test_many_runs(self):
        generator.write_run(self.out / "x/a", seed=0, epochs=2)
        generator.write_run(self.out / "x/b", seed=1, epochs=3, optim="sgd", momentum=0.9)
        table = actgrad_runs.load_many(self.out)
        self.assertEqual(list(table["run"]), ["x/a"] * 2 + ["x/b"] * 3)
        self.assertEqual(list(table["seed"]), [0] * 2 + [1] * 3)
        self.assertTrue((table["lr_option"] == 0.1).all())
        self.assertLess(table["lr"].min(), 0.1)
        self.assertEqual(table["momentum"].count(), 3)

    def test_what_is_no_run_is_said_in_one_line(self):
        (self.out / "empty").mkdir()
        (self.out / "bad").mkdir()
        (self.out / "bad/config.json").write_text("{")
        for call in (lambda: actgrad_runs.load(self.out / "empty"), lambda: actgrad_runs.load(self.out / "bad"),
                     lambda: actgrad_runs.load_many(self.out), lambda: actgrad_runs.load_many(self.out / "nowhere"),
                     lambda: actgrad_runs.read_csv(self.out / "nothing.csv")):
            with self.assertRaises(actgrad_runs.RunError) as caught:
                call()
            self.assertNotIn("\n", str(caught.exception))
        result = subprocess.run(
            [sys.executable, str(ROOT / "scripts/actgrad_runs.py"),
             str(self.out / "nowhere")], capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1))

    def list_runs(self, *arguments, python=()):
        return subprocess.run([sys.executable, *python, str(ROOT / "scripts/actgrad_runs.py"), *map(str, arguments)],
                              capture_output=True, text=True, env=os.environ | {"ACTGRAD_PLOT_RETRIED": "1"})

    def test_runs_of_metatrain_are_not_listed(self):
        learned = self.out / "learned"
        learned.mkdir()
        (learned / "config.json").write_text('{"options": {"optim": "hyperadam"}}')
        header = "epoch,meta_steps,loss,final_loss,train_seconds,elapsed_seconds"
        (learned / "metrics.csv").write_text(f"{header}\n1,5,2,1,3,4\n")
        result = self.list_runs(self.out)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), result.stderr)
        generator.write_run(self.out / "a")
        result = self.list_runs(self.out)
        self.assertEqual((result.returncode, result.stdout.count("\n")), (0, 2), result.stderr)

    def test_without_pandas_it_says_what_is_missing(self):
        result = self.list_runs(self.out, python=["-S"])  # without the folders of installed packages
        self.assertEqual((result.returncode, result.stderr.count("\n")), (77, 1), result.stderr)

    def test_damaged_safetensors(self):
        file = self.out / "a.safetensors"
        generator.write_safetensors(file, {"a": numpy.arange(6, dtype=numpy.float32).reshape(2, 3)})
        self.assertEqual(actgrad_runs.read_safetensors(file)["a"].tolist(), [[0, 1, 2], [3, 4, 5]])
        whole = file.read_bytes()
        for damaged in (whole[:-1], whole[:20], b"", whole.replace(b"F32", b"F99")):
            file.write_bytes(damaged)
            with self.assertRaises(actgrad_runs.RunError):
                actgrad_runs.read_safetensors(file)

    def test_tensorboard(self):
        try:
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        except ImportError:
            self.skipTest("tensorboard is not installed")
        folder = generator.write_run(self.out / "a", epochs=3, record=["activation-variance"])
        for _ in range(2):  # the second replaces the first's
            logdir = actgrad_runs.to_tensorboard(self.out)
        self.assertEqual(logdir, self.out / "tensorboard")
        events = EventAccumulator(str(logdir / "a"))
        events.Reload()
        accuracy = events.Scalars("accuracy/test")
        self.assertEqual([event.step for event in accuracy], [1, 2, 3])
        self.assertTrue(
            numpy.allclose([event.value for event in accuracy],
                           actgrad_runs.load(folder).metrics["test_accuracy"]))
        self.assertEqual(len(events.Scalars("activation_variance/fc1 mean")), 24)

    def test_without_tensorboard_it_says_how_to_install_it(self):
        generator.write_run(self.out / "a")
        with mock.patch.dict(sys.modules, {"tensorboard.summary.writer.event_file_writer": None}):
            with self.assertRaisesRegex(actgrad_runs.RunError, "pip install"):
                actgrad_runs.to_tensorboard(self.out)
        self.assertFalse((self.out / "tensorboard").exists())

    def test_long_series_are_thinned_out(self):
        table = pandas.DataFrame({"x": numpy.arange(2501.0)})
        thin = actgrad_runs.thin_out(table, 1000)
        self.assertEqual(len(thin), 834)
        self.assertEqual((thin.index[0], thin["x"].iloc[0], thin.index[-1], thin["x"].iloc[-1]), (3, 1.0, 2501, 2499.5))

    def test_the_example_of_the_documentation(self):
        generator.write_run(self.out / "runs/lenet5-adaact", record=["activation-variance"])
        generator.write_run(self.out / "runs/lenet5-sgd", optim="sgd")
        examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)
        self.assertTrue(examples)
        result = subprocess.run(
            [sys.executable, "-c", "".join(examples)], capture_output=True, text=True, cwd=self.out,
            env={"PYTHONPATH": str(ROOT / "scripts"), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(self.out)})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue((self.out / "variance.png").stat().st_size > 0)


class Usage(Case):
    def refused(self, *arguments):
        result = run_plot(*arguments)
        self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (2, "", 1), result.stderr)
        return result.stderr

    def test_bad_usage_ends_with_one_line(self):
        self.refused()
        self.refused("--format", "gif", self.out)
        self.refused(self.out / "nowhere")

    def test_nothing_to_draw_writes_nothing(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "accuracy-curves"}, cells("SGD"), seeds=1)
        description = json.loads((folder / "experiment.json").read_text())
        description["groups"][0]["runs"][0]["status"] = "running"
        (folder / "experiment.json").write_text(json.dumps(description))
        self.assertIn("no run is finished", self.refused(folder))
        description["picture"]["kind"] = "painting"
        description["groups"][0]["runs"][0]["status"] = "finished"
        (folder / "experiment.json").write_text(json.dumps(description))
        self.assertIn("painting", self.refused(folder))
        (folder / "experiment.json").write_text('{"name": "f"}')
        self.refused(folder)
        self.assertEqual([file.name for file in folder.iterdir()], ["experiment.json"])

    def test_what_cannot_be_drawn_or_written_is_said_in_one_line(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "heat-map", "x": "lr"}, cells("SGD"), seeds=1)
        self.assertIn("its picture has no 'y'", self.refused(folder))
        folder = generator.write_experiment(self.out, "g", {"kind": "accuracy-curves"}, cells("SGD"), seeds=1)
        (folder / ".g.png.new").mkdir()
        self.assertIn("Is a directory", self.refused(folder))
        metrics = self.out / "runs/g-0-seed0/metrics.csv"
        metrics.write_text(metrics.read_text().replace("train_seconds", "seconds"))
        self.assertIn("have no 'train_seconds'", self.refused(folder))

    def test_the_same_runs_give_the_same_files(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "accuracy-curves"}, cells("SGD", "Adam"))
        self.drawn(folder)
        first = {file.name: file.read_bytes() for file in folder.iterdir()}
        self.drawn(folder)
        self.assertEqual(first, {file.name: file.read_bytes() for file in folder.iterdir()})

    def test_formats(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "accuracy-curves"}, cells("SGD"), seeds=1)
        result = run_plot(folder, "--format", "pdf")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual({file.suffix for file in folder.iterdir()}, {".pdf", ".csv", ".json"})
        self.assertEqual(sorted(result.stdout.split()),
                         sorted(str(file) for file in folder.iterdir() if file.name != "experiment.json"))


class Figures(Case):
    def variances(self, group):
        """The recordings of both seeds."""
        runs = [actgrad_runs.load(self.out / f"runs/{group}-seed{seed}") for seed in (0, 1)]
        return [run.statistic("activation_variance") for run in runs]

    def test_unfinished_runs_are_left_out_and_counted(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "accuracy-curves"}, cells("SGD", "Adam", "Adan"),
                                            seeds=3)
        description = json.loads((folder / "experiment.json").read_text())
        description["groups"][0]["runs"][1]["status"] = "failed"
        for run in description["groups"][2]["runs"]:
            run["status"] = "missing"
        (folder / "experiment.json").write_text(json.dumps(description))
        table, facts = self.drawn(folder)
        self.assertEqual(dict(table.groupby("group")["n"].max()), {"SGD": 2, "Adam": 3})
        experiment = Experiment(folder)
        self.assertEqual([experiment.legend_label(group) for group in experiment.groups],
                         ["SGD (n = 2)", "Adam (n = 3)"])
        self.assertIn("(Adam: 3); no finished run: Adan", experiment.note("mean"))
        accuracy = [run.metrics["test_accuracy"].iloc[-1] for run in experiment.groups[0].runs.values()]
        self.assertAlmostEqual(facts["last accuracy: SGD"]["value"], numpy.mean(accuracy), 3)
        self.assertAlmostEqual(facts["last accuracy: SGD"]["se"], abs(accuracy[0] - accuracy[1]) / 2, 3)
        self.assertEqual(facts["last accuracy: SGD"]["n"], 2)

    def test_standard_error(self):
        self.assertEqual(mean_and_error([1, 2, 3, 6]), (3, (14 / 3)**0.5 / 2))
        self.assertTrue(numpy.isnan(mean_and_error([1])[1]))

    def test_other_scales_are_marked_in_the_title(self):
        for scale, mark in (("full", "A title"), ("short", "[short: "), ("smoke", "[smoke: ")):
            folder = generator.write_experiment(self.out, scale, {"kind": "activation-bars"}, cells("AdaAct", "SGD"),
                                                seeds=1, scale=scale, record=["activation-variance"])
            self.assertIn(mark, activation_bars.draw(Experiment(folder)).figure._suptitle.get_text())

    def test_an_optimizer_has_one_colour(self):
        group = lambda optim, name: mock.Mock(labels={"optimizer": name}, option=lambda key: optim)
        looks = style.looks(
            [group("foof", "FOOF"),
             group("adaact", "AdaAct"),
             group("foof", "FOOF, canonical"),
             group("new", "New")])
        self.assertEqual(looks[0]["color"], looks[2]["color"])
        self.assertNotEqual(looks[0]["linestyle"], looks[2]["linestyle"])
        self.assertEqual(len({look["color"] for look in looks}), 3)
        self.assertEqual(looks[3]["color"], style.looks([group("new", "New")])[0]["color"])

    def test_activation_bars(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "activation-bars"}, cells("AdaAct", "SGD", "Adam"),
                                            record=["activation-variance"])
        table, facts = self.drawn(folder)
        ours = [run["fc1 mean"] for run in self.variances("f-0")]
        row = table[(table["group"] == "AdaAct") & (table["layer"] == "fc1")].iloc[0]
        self.assertAlmostEqual(row["mean"], (ours[0].mean() + ours[1].mean()) / 2, 5)
        self.assertAlmostEqual(row["se"], abs(ours[0].mean() - ours[1].mean()) / 2, 5)
        self.assertEqual(facts["smallest variance: fc1"]["value"], "AdaAct")
        theirs = [run["fc1 mean"] for run in self.variances("f-1")]
        share = numpy.mean([(a < b).mean() for a, b in zip(ours, theirs)])  # Adam's are larger still
        self.assertAlmostEqual(facts["share of the training with AdaAct smallest: fc1"]["value"], share, 5)

    def test_activation_series(self):
        for name, picture in (("f4", {"band": "units"}), ("f8", {"layers_mean": True})):
            picture["kind"] = "activation-series"
            folder = generator.write_experiment(self.out, name, picture, cells("AdaAct", "SGD"),
                                                record=["activation-variance"])
            table, facts = self.drawn(folder)
            self.assertEqual(len(table), 2 * len(generator.LAYERS) * 6)
            runs = self.variances(f"{name}-1")
            self.assertAlmostEqual(facts["largest unit: SGD, conv2"]["value"],
                                   max(run["conv2 largest"].max() for run in runs), 4)
            row = table[(table["group"] == "SGD") & (table["layer"] == "fc3") & (table["epoch"] == 2)].iloc[0]
            second = [run[run["epoch"] == 2] for run in runs]
            self.assertAlmostEqual(row["mean"], numpy.mean([run["fc3 mean"].mean() for run in second]), 4)
            self.assertAlmostEqual(row["smallest"], min(run["fc3 smallest"].min() for run in second), 5)

    def test_panels_of_many_decades_are_alike(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "activation-series", "band": "units"},
                                            cells("AdaAct", "SGD"), record=["activation-variance"])
        axes = activation_series.draw(Experiment(folder)).figure.axes
        self.assertEqual(axes[len(generator.LAYERS)].get_ylabel(), "SGD\nactivation variance")
        axes[0].set_ylim(1e-3, 1e2)
        style.log_ticks(axes[0])
        self.assertEqual(len(axes[0].yaxis.get_minorticklocs()), 0)
        axes[0].set_ylim(0.28, 2.6)
        style.log_ticks(axes[0])
        self.assertEqual([round(tick, 6) for tick in axes[0].yaxis.get_majorticklocs() if 0.28 < tick < 0.5], [0.3, 0.4])

    def test_shares_have_two_digits(self):
        self.assertEqual([covariance.percent(share) for share in (0.0025, 0.005, 0.0481, 0.127, 1)],
                         ["0.25%", "0.50%", "4.8%", "13%", "100%"])

    def test_covariance(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "covariance"}, cells("AdaAct"),
                                            record=["activation-covariance"])
        table, facts = self.drawn(folder)
        self.assertEqual(len(table), 2 * 3 * len(generator.LAYERS))
        matrix = actgrad_runs.load(self.out / "runs/f-0-seed0").covariance(1, "fc2")
        row = table[(table["seed"] == 0) & (table["epoch"] == 1) & (table["layer"] == "fc2")].iloc[0]
        self.assertAlmostEqual(row["share"], matrix.trace() / numpy.abs(matrix).sum(), 4)
        self.assertEqual(facts["share of the diagonal: epoch 1, fc2"]["n"], 2)

    def test_accuracy_by_option(self):
        groups = [({"exponent": text}, {"optim": "adaact", "exponent": p, "covariance": "diagonal", "end": end})
                  for text, p, end in (("1", 1.0, 60), ("1/2", 0.5, 70), ("1/3", 1 / 3, 65))]
        full = {"optim": "adaact", "exponent": 0.5, "covariance": "full", "end": 66}
        groups.append(({"exponent": "full covariance"}, full))
        folder = generator.write_experiment(self.out, "f", {"kind": "accuracy-by-option", "option": "exponent"}, groups)
        table, facts = self.drawn(folder)
        self.assertEqual(list(table["exponent"]), ["1/3", "1/2", "1", "full covariance"])
        self.assertEqual(facts["best exponent by last accuracy"]["value"], "1/2")
        last = {text: table["last"][table["exponent"] == text].iloc[0] for text in table["exponent"]}
        gain = facts["last accuracy of 1/2 minus that of full covariance"]
        self.assertAlmostEqual(gain["value"], last["1/2"] - last["full covariance"], 2)

    def test_what_is_missing_in_few_words(self):
        def labels(optimizer, model):
            return {"optimizer": optimizer, "model": model}

        groups = [(labels(optimizer, model), {"optim": optimizer})
                  for optimizer in ("sgd", "adam") for model in ("small", "large", "wide")]
        folder = generator.write_experiment(self.out, "f", {"kind": "accuracy-curves", "panels": "model"}, groups, seeds=1)
        file = folder / "experiment.json"
        description = json.loads(file.read_text())
        for group in description["groups"]:
            if group["labels"] in (labels("adam", "small"), labels("sgd", "large"), labels("adam", "large")):
                for run in group["runs"]:
                    run["status"] = "waiting"
        file.write_text(json.dumps(description))
        self.assertEqual(Experiment(folder).missing, ["large", "adam, small"])

    def test_view_of_accuracies(self):
        short = pandas.Series(numpy.linspace(40, 80, 10))
        long = pandas.Series(numpy.concatenate([numpy.linspace(10, 70, 10), numpy.linspace(70, 90, 190)]))
        bottom, top = view_of([short])
        self.assertLess(bottom, 40)
        self.assertGreater(top, 80)
        bottom, top = view_of([long], marks=[95])
        self.assertGreater(bottom, 60)
        self.assertLess(bottom, 75)
        self.assertGreater(top, 95)

    def test_stability(self):
        groups = [({"schedule": schedule, "data": data},
                   {"optim": "adaact", "schedule": schedule, "replace_example": example})
                  for schedule in ("cosine", "constant") for data, example in (("S", -1), ("S'", 7))]
        folder = generator.write_experiment(self.out, "f", {"kind": "stability"}, groups, epochs=6, steps=10,
                                            record=["effective-rates", "preconditioner", "weights"])
        table, facts = self.drawn(folder)
        # The generator's cosine rates fall from step 41 of 60 on.
        self.assertEqual(facts["last step with a rising rate: cosine"],
                         {"value": 40.0, "runs_that_stop": 2, "of_steps": 60, "n": 2})
        self.assertEqual(facts["last step with a rising rate: constant"]["runs_that_stop"], 0)
        self.assertIsNone(facts["last step with a rising rate: constant"]["value"])
        self.assertEqual(set(table["group"]), {"cosine", "constant"})
        apart = pandas.read_csv(folder / "f_twins.csv")
        self.assertEqual(len(apart), 2 * 2 * 6)
        self.assertTrue(numpy.allclose(apart["weights"], 1e-3 * apart["epoch"] * 20**0.5, rtol=1e-3))
        drift = 1e-3 * generator.random_of("twin").random(20).sum()
        self.assertTrue(numpy.allclose(apart["preconditioner"], drift * apart["epoch"], rtol=1e-3))
        self.assertTrue((apart["inputs_left_out"] == 1).all())

    def test_twins_differ_in_their_example_alone(self):
        groups = [({"data": str(example)}, {"optim": "adaact", "replace_example": example, "momentum": momentum})
                  for example, momentum in ((-1, 0.9), (7, 0.9), (8, 0.5))]
        folder = generator.write_experiment(self.out, "f", {"kind": "stability"}, groups, seeds=3)
        plain, *others = Experiment(folder).groups
        pairs = twins.of(plain, others)
        self.assertEqual([(run.options["seed"], twin.options["seed"], twin.options["replace-example"])
                          for run, twin in pairs], [(0, 0, 7), (1, 1, 7), (2, 2, 7)])

    def test_a_preconditioner_with_an_epoch_twice(self):
        run, twin = (actgrad_runs.load(generator.write_run(self.out / str(example), record=["preconditioner"],
                                                           replace_example=example)) for example in (-1, 7))
        self.assertEqual(len(twins.preconditioner_distances(run, twin)), 6)
        file = twin.directory / "preconditioner.csv"
        file.write_text(file.read_text() + file.read_text().splitlines()[-1] + "\n")
        with self.assertRaisesRegex(actgrad_runs.RunError, "7/preconditioner.csv: has an epoch twice"):
            twins.preconditioner_distances(run, twin)

    def test_last_rise(self):
        def last_rise(*increases):
            rows = {"epoch": 1, "step": range(1, len(increases) + 2), "lr": 0.1, "rate change": 0.0}
            table = pandas.DataFrame(rows | {"rate increase": [numpy.nan, *increases]})
            for column in ("rate increase", "rate change"):
                table[f"{column} without lr"] = table[column]
            return stability.last_rise(condensed.parts_of_rates(table))

        self.assertEqual(last_rise(1, -1, 2, 0, -1), 4)
        self.assertEqual(last_rise(-1, -1), 1)
        self.assertIsNone(last_rise(-1, 1e-9))

    def test_room_for_words_above_the_curves(self):
        for scale in ("linear", "log", "symlog"):
            axes = matplotlib.figure.Figure().subplots()
            axes.set(yscale=scale, ylim=(0.5, 2000))
            style.room_above(axes, 0.2)
            bottom, top = axes.transAxes.inverted().transform(axes.transData.transform([(0, 0.5), (0, 2000)]))[:, 1]
            self.assertAlmostEqual(bottom, 0)
            self.assertAlmostEqual(top, 0.8)

    def test_accuracy_curves_in_panels(self):
        groups = [({"setting": setting, "optimizer": name}, {"optim": name.lower(), "end": end})
                  for setting, end in (("CIFAR-10, ResNet-20", 92), ("CIFAR-100, ResNet-34", 78))
                  for name in ("AdaAct", "SGD")]
        folder = generator.write_experiment(self.out, "f",
                                            {"kind": "accuracy-curves", "panels": "setting", "seconds": True}, groups)
        table, facts = self.drawn(folder)
        self.assertEqual(len(table), 4 * 6)
        seconds = numpy.mean(
            [actgrad_runs.load(self.out / f"runs/f-0-seed{seed}").metrics["train_seconds"].sum() for seed in (0, 1)])
        self.assertAlmostEqual(table["train_seconds"].iloc[5], seconds, 2)
        self.assertIn("last accuracy: CIFAR-100, ResNet-34, SGD", facts)
        loss = facts["last accuracy, CIFAR-10, ResNet-20 minus CIFAR-100, ResNet-34: SGD"]
        last = [facts[f"last accuracy: {name}, SGD"] for name in ("CIFAR-10, ResNet-20", "CIFAR-100, ResNet-34")]
        self.assertAlmostEqual(loss["value"], last[0]["value"] - last[1]["value"], 2)
        self.assertAlmostEqual(loss["se"], numpy.hypot(last[0]["se"], last[1]["se"]), 3)

    def test_times_of_different_machines_are_marked(self):
        def note(threads):
            folder = generator.write_experiment(
                self.out / f"threads{threads}", "f", {"kind": "accuracy-curves", "seconds": True},
                [({"optimizer": "AdaAct"}, {"optim": "adaact", "threads": 2}),
                 ({"optimizer": "SGD"}, {"optim": "sgd", "threads": threads})])
            figure = accuracy_curves.draw(Experiment(folder)).figure
            return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")

        self.assertIn("do not compare", note(threads=1))
        self.assertNotIn("do not compare", note(threads=2))

    def loss_curves(self, panels="task", n=10, **steps_of):
        """An experiment with a panel per task, each of so many steps."""
        entries = []
        for task, steps in steps_of.items():
            for optim, factor in (("Adam", 1.0), ("HyperAdam", 0.5)):
                folder = self.out / f"runs/{task}-{optim}"
                folder.mkdir(parents=True)
                (folder / "config.json").write_text(json.dumps({"options": {"task": task, "optim": optim.lower()}}))
                step = numpy.arange(steps)
                curve = pandas.DataFrame({"step": step, "mean": factor * 2.3 * 0.9**(step / steps * 20),
                                          "se": 0.01 if n > 1 else 0, "n": n})
                curve.to_csv(folder / "curve.csv", index=False)
                for metric in ("last_loss", "top1"):  # two numbers of the same run: one curve
                    entries.append({
                        "labels": {"optimizer": optim, "measure": f"{task.upper()} {metric}"}, "metric": metric,
                        "options": {"task": task, "optim": optim.lower()}, "paper": {"mean": 0.3},
                        "runs": [{"seed": 0, "status": "finished", "directory": f"runs/{folder.name}"}]})
        folder = self.out / "f"
        folder.mkdir()
        picture = {"kind": "loss-curves", "panels": panels, "curves": "optimizer"}
        (folder / "experiment.json").write_text(json.dumps(
            {"name": "f", "title": "T", "scale": "full", "mark": "", "program": "optimise", "picture": picture,
             "axes": ["optimizer", "measure"], "groups": entries}))
        return folder

    def test_loss_curves(self):
        folder = self.loss_curves(sigmoid=20, relu=20)
        table, facts = self.drawn(folder)
        self.assertEqual(len(table), 4 * 20)
        last = facts["loss at the last step: HyperAdam, RELU"]
        self.assertAlmostEqual(last["value"], 0.5 * 2.3 * 0.9**19, 5)
        self.assertEqual((last["se"], last["n"]), (0.01, 10))
        panels = [panel for panel in loss_curves.draw(Experiment(folder)).figure.axes if panel.lines]
        self.assertEqual([panel.get_title("left") for panel in panels], ["SIGMOID", "RELU"])
        self.assertEqual(panels[0].get_ylabel(), "loss of the training batch")
        dashes = {line.get_linestyle() for line in panels[0].lines if len(line.get_xdata()) > 1}
        self.assertEqual(dashes, {"-", "--"})  # matplotlib's word for any dashes

    def test_a_panel_says_over_how_many_steps_it_has_means(self):
        figure = loss_curves.draw(Experiment(self.loss_curves(long=2000, short=100))).figure
        panels = [panel for panel in figure.axes if panel.lines]
        self.assertEqual([panel.get_xlabel() for panel in panels], ["step (means of 10)", "step"])
        self.assertEqual([len(panel.lines[0].get_xdata()) for panel in panels], [200, 100])

    def test_one_start_has_no_standard_error(self):
        table, facts = self.drawn(self.loss_curves(n=1, relu=20))
        self.assertEqual(table["se"].count(), 0)
        self.assertIsNone(facts["loss at the last step: Adam, RELU"]["se"])

    def test_titles_stay_apart(self):
        groups = [mock.Mock(labels={"optimizer": "Adam", "measure": "loss"})]
        self.assertEqual(list(loss_curves.titled({"a": groups, "b": groups}, "task", "optimizer")), ["a", "b"])
        self.assertEqual(list(loss_curves.titled({"loss": groups}, "measure", "optimizer")), ["loss"])

    def test_triangles_that_would_cover_each_other_stand_side_by_side(self):
        axes = matplotlib.figure.Figure().subplots()
        axes.set(yscale="log", ylim=(0.1, 10))
        accuracy_curves.mark_papers(axes, [(value, {"color": "black"}) for value in (0.31, 2, 0.31, 0.32)])
        first, size = accuracy_curves.MARK, accuracy_curves.MARK_SIZE
        self.assertEqual([round((line.get_xdata()[0] - first) / size) for line in axes.lines], [0, 0, 1, 2])

    def test_heat_map(self):
        groups = [({"optimizer": "AdaAct", "exponent": str(p), "decay": str(decay)
                    }, {"optim": "adaact", "exponent": p, "weight_decay": decay, "end": 60 + 10 * p + 1000 * decay})
                  for p in (0.25, 0.5)
                  for decay in (2e-4, 2e-3)] + [({"optimizer": "SGD"}, {"optim": "sgd", "weight_decay": 5e-4})]
        folder = generator.write_experiment(self.out, "f", {"kind": "heat-map", "x": "weight-decay", "y": "exponent"},
                                            groups)
        table, facts = self.drawn(folder)
        self.assertEqual(len(table), 5)
        self.assertEqual(table["exponent"].count(), 4)
        self.assertEqual(facts["highest last accuracy"]["n"], 2)
        curves = [group.curve("test_accuracy")["mean"] for group in Experiment(folder).groups]
        self.assertAlmostEqual(table["distance_to_SGD"].iloc[0], (curves[0] - curves[-1]).abs().mean(), 3)
        self.assertEqual(table["distance_to_SGD"].iloc[-1], 0)


    def test_a_heat_map_shows_what_lies_below_its_colours(self):
        def bar_of(low):
            name = f"f{low}"
            groups = [({"exponent": str(p), "decay": str(decay)},
                       {"optim": "adaact", "exponent": p, "weight_decay": decay, "end": low if p == 1 else 60 + 10 * p})
                      for p in (0.25, 0.5, 1) for decay in (0, 2e-3, 2e-2)]
            folder = generator.write_experiment(self.out, name, {"kind": "heat-map", "x": "weight-decay",
                                                                 "y": "exponent"}, groups)
            axes, bar = heat_map.draw(Experiment(folder)).figure.axes
            self.assertEqual([tick.get_text() for tick in axes.get_xticklabels()], ["0", "2e-3", "2e-2"])
            return bar._colorbar.extend

        self.assertEqual(bar_of(10), "min")
        self.assertEqual(bar_of(60), "neither")


class Collected(Case):
    def collect(self, *arguments):
        return subprocess.run([sys.executable, str(ROOT / "scripts/collect_results"), *map(str, arguments)],
                              capture_output=True, text=True)

    def test_pictures_of_collected_runs_are_those_of_the_runs(self):
        recorded = ["activation-variance", "effective-rates", "preconditioner", "weights", "activation-covariance"]
        twins_of = [({"data": data}, {"optim": "adaact", "replace_example": example})
                    for data, example in (("S", -1), ("S'", 7))]
        for name, kind, groups in (("bars", "activation-bars", cells("AdaAct", "SGD")),
                                   ("series", "activation-series", cells("AdaAct", "SGD")),
                                   ("stability", "stability", twins_of)):
            # More steps than parts: what is kept is not what was recorded.
            self.drawn_with_table(generator.write_experiment(self.out, name, {"kind": kind}, groups, epochs=3,
                                                             steps=150, record=recorded))
        results, again = self.out / "results", self.out / "again"
        for _ in range(2):
            self.assertEqual(self.collect(self.out, results).returncode, 0)
        self.assertEqual(self.collect("--restore", again, results).stdout, f"12 runs unpacked into {again / 'runs'}\n")
        self.assertEqual(self.collect("--restore", again, results).stdout, f"0 runs unpacked into {again / 'runs'}\n")
        self.assertEqual(list(again.rglob("*.safetensors")), [])
        for folder in (self.out / name for name in ("bars", "series", "stability")):
            shutil.copytree(folder, again / folder.name, ignore=shutil.ignore_patterns(f"{folder.name}*"))
            self.drawn(again / folder.name)
            for file in folder.glob(f"{folder.name}*"):
                if file.suffix == ".svg":
                    continue
                self.assertEqual(file.read_bytes(), (results / folder.name / file.name).read_bytes(), file.name)
                if file.suffix == ".json":
                    self.assert_same_facts(file, again / folder.name / file.name)
                else:
                    self.assertEqual(file.read_bytes(), (again / folder.name / file.name).read_bytes(), file.name)

        # What was collected before stays when the next collection comes from another folder, or from what was restored.
        before = (results / "runs.tar.xz").read_bytes()
        self.assertEqual(self.collect(again, results).returncode, 0)
        self.assertEqual((results / "runs.tar.xz").read_bytes(), before)
        shutil.rmtree(again / "stability")
        shutil.rmtree(again / "bars")
        self.assertIn("12 runs", self.collect(again, results).stdout)

    def test_collected_tables_do_not_name_the_folder_that_they_come_from(self):
        folder = generator.write_experiment(self.out, "f", {"kind": "accuracy-curves"}, cells("SGD"))
        self.drawn_with_table(folder)
        (folder / "table.md").write_text(f"failed: see {self.out.resolve()}/runs/a/checkpoint.safetensors")
        self.assertEqual(self.collect(self.out, self.out / "results").returncode, 0)
        self.assertEqual((self.out / "results/f/table.md").read_text(), "failed: see OUT/runs/a/checkpoint.safetensors")

    def test_collected_runs_do_not_name_their_machine_s_folders_and_keep_all_else(self):
        self.drawn_with_table(generator.write_experiment(self.out, "f", {"kind": "accuracy-curves"},
                                                         cells("SGD", data_dir="/home/me/data")))
        self.assertEqual(self.collect(self.out, self.out / "results").returncode, 0)
        files = archive.read_archive(self.out / "results/runs.tar.xz")
        configs = {name: json.loads(content) for name, content in files.items() if name.endswith("/config.json")}
        self.assertEqual(len(configs), 2)
        for name, config in configs.items():
            expected = json.loads((self.out / name).read_text())
            expected["options"] |= {"out": f"OUT/{Path(name).parent.as_posix()}", "data-dir": "DIR"}
            self.assertEqual(config, expected)

    def test_an_interrupted_restoring_is_completed_by_the_next(self):
        generator.write_experiment(self.out, "f", {"kind": "accuracy-curves"}, cells("SGD"))
        results, again = self.out / "results", self.out / "again"
        self.assertEqual(self.collect(self.out, results).returncode, 0)
        write, left = os.replace, [4]

        def full_disk(source, target):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, "No space left on device")
            write(source, target)

        with mock.patch.object(os, "replace", full_disk), self.assertRaises(OSError):
            archive.restore_runs(results / "runs.tar.xz", again)
        self.assertEqual(len(list((again / "runs").iterdir())), 2)
        self.assertEqual(list(again.rglob("config.json")), [])
        self.assertEqual(archive.restore_runs(results / "runs.tar.xz", again), 2)
        for folder in (again / "runs").iterdir():
            self.assertEqual({file.name for file in folder.iterdir()}, {"config.json", "metrics.csv", "summary.json"})

    def assert_same_facts(self, file, other):
        """Up to the rounding of what was kept."""
        ours, theirs = (json.loads(one.read_text())["facts"] for one in (file, other))
        self.assertEqual(ours.keys(), theirs.keys())
        for key, entry in ours.items():
            for name, value in entry.items():
                if isinstance(value, float):
                    self.assertAlmostEqual(value, theirs[key][name], delta=1e-6 * abs(value) + 1e-9, msg=key)
                else:
                    self.assertEqual(value, theirs[key][name], key)

    def drawn_with_table(self, folder):
        self.drawn(folder)
        for name in ("table.md", "table.csv"):
            (folder / name).write_text("a table\n1\n")

    def test_mistakes_are_said_in_one_line(self):
        (self.out / "runs.tar.xz").write_bytes(b"no archive")
        for arguments in ([], ["--what"], [self.out / "nowhere"], ["--restore", self.out, self.out / "nowhere"],
                          ["--restore", self.out, self.out]):
            result = self.collect(*arguments)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), result.stderr)
        self.assertEqual([file.name for file in self.out.iterdir()], ["runs.tar.xz"])


class LongCurves(unittest.TestCase):
    @staticmethod
    def curve(steps):
        step = numpy.arange(steps)
        return pandas.DataFrame({"step": step, "mean": 2.0 * step, "se": 0.5, "n": 3})

    def test_means_over_windows(self):
        whole = self.curve(10007)
        window = loss_curves.window_of(whole)
        self.assertEqual(window, 50)
        means = loss_curves.window_means(whole, window)
        self.assertEqual(len(means), 201)
        self.assertEqual(list(means.iloc[1]), [74.5, 149.0, 0.5, 3])
        self.assertEqual(means["step"].iloc[-1], 10003)  # of the seven that remain

    def test_a_short_curve_stays(self):
        whole = self.curve(1000)
        self.assertEqual(loss_curves.window_of(whole), 1)
        self.assertIs(loss_curves.window_means(whole, 1), whole)


if __name__ == "__main__":
    unittest.main()
