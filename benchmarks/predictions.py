"""What a trained model predicts for whole files."""

from pathlib import Path

from mace_outlier.mace.models import Predictor
from mace_outlier.run.sample import Evaluated, evaluate
from mace_outlier.weights.features import Features

KEYS = {"energy_key": "REF_energy", "forces_key": "REF_forces", "stress_key": "REF_stress"}
BATCH, MOST_FEATURES = 10, 100_000  # all


def predictions(model: Path, files: list[Path], output_args: dict[str, bool]) -> Evaluated:
    """Evaluate a model on the frames of some files, in their order."""
    predictor = Predictor(model, "cpu")
    read = [predictor.read(path, KEYS) for path in files]
    samples = [predictor.sample(file, place) for file in read for place in range(len(file))]
    batches = (predictor.batch(samples[i : i + BATCH]) for i in range(0, len(samples), BATCH))
    features = Features(0, predictor.scalars, most=MOST_FEATURES)
    return evaluate(predictor.model, batches, predictor.device, output_args, features)
