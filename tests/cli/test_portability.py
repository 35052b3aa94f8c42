"""Files are read and written alike whatever the locale: as on Windows, where Python's own choice isn't UTF-8."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import ase.io
from frames import row, save
from structures import molecules

ROOT = Path(__file__).parents[2]
WATER = "水, ünïcode"
FILES = sorted(path for folder in ("mace_outlier", "scripts") for path in (ROOT / folder).rglob("*.py"))
NO_FILES = ("Image", "os", "h5d", "tarfile", "webbrowser", "parts")  # whose `open` takes no encoding


def of_locale(path: Path) -> list[int]:
    """Lines of a source that open a text file without naming an encoding; of what ruff's PLW1514 sees, and the rest."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        owner = called.value if isinstance(called, ast.Attribute) else None
        owner_name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        if name not in ("open", "read_text", "write_text") or owner_name in NO_FILES:
            continue
        modes = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        binary = name == "open" and any("b" in mode for mode in modes if len(mode) <= 3)
        if not binary and not any(keyword.arg == "encoding" for keyword in node.keywords):
            found.append(node.lineno)
    return found


def test_every_text_file_has_an_encoding():
    assert len(FILES) > 150
    assert not {str(path.relative_to(ROOT)): lines for path in FILES if (lines := of_locale(path))}


def test_what_is_looked_for_is_found(tmp_path):
    (tmp_path / "a.py").write_text(
        "p.open()\np.open('w')\np.read_text()\nopen('x', 'rb')\nos.open(p, 1)\n", encoding="utf-8"
    )
    assert of_locale(tmp_path / "a.py") == [1, 2, 3]


def test_commands_work_in_a_locale_without_unicode(tmp_path):
    frames = molecules(4)
    for atoms in frames:
        atoms.info["config_type"] = WATER
    ase.io.write(tmp_path / "train.traj", frames)
    prefix = save(tmp_path, [row(tmp_path / "train.traj", i, config_type=WATER) for i in range(4)])
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env={**os.environ, **plain}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    code = "from mace_outlier.__main__ import main; import sys; main(sys.argv[1:])"
    run("-c", code, "export", str(prefix), "--suspects=s.xyz", "--trusted=t.xyz")
    run("-c", code, "report", str(prefix))
    run("-c", code, "check", "train.traj", "--only=labels", "--workers=1", "--json=c.json", "--html=c.html")
    read = "import ase.io; print(ascii([atoms.info['config_type'] for atoms in ase.io.read('t.xyz', ':')]))"
    assert b"\r" not in (tmp_path / "t.xyz").read_bytes()
    assert ast.literal_eval(run("-c", read)) == [WATER] * 2
