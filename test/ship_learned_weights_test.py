#!/usr/bin/env python3
"""scripts/ship_learned_weights on runs of the real metatrain: ship_learned_weights_test.py METATRAIN"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

METATRAIN = sys.argv.pop()
SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "ship_learned_weights"
SMALL = ("--task synthetic --hidden 2 --train-samples 64 --batch-size 16 --meta-iterations 2 --steps 4 --segment 2 "
         "--evaluations 1 --threads 1").split()


class ShipLearnedWeights(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.to = self.folder / "weights"

    def meta_train(self, *options):
        subprocess.run([METATRAIN, *options], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def ship(self, *runs):
        return subprocess.run([SCRIPT, *runs, "--to", self.to], cwd=self.folder, capture_output=True, text=True)

    def test_two_runs_of_which_one_begins_where_the_other_was_best(self):
        self.meta_train(*SMALL, "--epochs", "3", "--out", "first")
        self.meta_train(*SMALL, "--epochs", "2", "--seed", "5", "--init", "first/best.safetensors", "--out", "second")

        missing = self.ship("second")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("first/best.safetensors is from is missing", missing.stderr)
        self.assertFalse(self.to.exists())

        done = self.ship("second", "first")
        self.assertEqual(done.returncode, 0, done.stderr)
        shipped = (self.to / "hyperadam.safetensors").read_bytes()
        self.assertEqual(shipped, (self.folder / "second/best.safetensors").read_bytes())
        text = (self.to / "hyperadam.provenance.json").read_text()
        self.assertNotIn(str(self.folder), text)
        provenance = json.loads(text)
        self.assertEqual(provenance["seed"], 5)
        self.assertIn("--init FILE", provenance["command"])
        (first,) = provenance["began_with"]
        self.assertEqual((first["seed"], first["epochs_run"]), (0, 3))
        best = min(first["learning_curve"], key=lambda row: row[2])
        self.assertEqual(first["meta_steps"], best[0])

        # What is kept goes on without the file that it began with.
        (self.folder / "first").rename(self.folder / "elsewhere")
        self.meta_train("--resume", str(self.to / "hyperadam-run"), "--epochs", "3")


if __name__ == "__main__":
    unittest.main()
