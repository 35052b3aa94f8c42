"""A picture of the report's page, after a training on forces of which 20 % have the wrong sign; some two minutes.

python benchmarks/causes/page.py     # writes page.png; needs chromium
"""

import shutil
import subprocess
import sys
from pathlib import Path

import _causes_paths  # noqa: F401 (first)
from real_cells import Cell

HERE = Path(__file__).resolve().parent
WORK = HERE.parent.parent / "build" / "causes"
EPOCHS, WIDTH, HEIGHT = 16, 1180, 1290


def main() -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("chromium is not there: install it to take the picture")
    training = Cell("acac", "flip", "forces", 1).training("ema_robust", WORK, EPOCHS)
    if not list(training.folder.glob("results/*_outliers.json")):
        training.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(training.command(), check=True)
    page = WORK / "page.html"
    subprocess.run([sys.executable, "-m", "mace_outlier", "report", training.folder, "--out", page], check=True)
    picture = [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={HERE / 'page.png'}", f"file://{page}"]
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1"]
    subprocess.run([browser, *flags, *picture], check=True, capture_output=True)
    print(HERE / "page.png")


if __name__ == "__main__":
    main()
