import numpy as np
import pytest
from ase import Atoms
from made_up_checks import found
from structures import molecules

from mace_outlier.checks.inputs import gather, read_config


def atom(symbol, energy):
    atoms = Atoms(symbol)
    atoms.info.update(REF_energy=energy, config_type="IsolatedAtom")
    atoms.arrays["REF_forces"] = np.zeros((1, 3))
    return atoms


def said(tmp_path, frames, **inputs):
    return [(f.certainty, f.what) for f in found(tmp_path, "settings", frames, training=True, **inputs)]


def test_E0s_against_the_data(tmp_path):  # noqa: N802
    frames = [atom("H", -1.0), *molecules(20)]
    assert not said(tmp_path, frames, E0s={"Default": {1: -1.0, 8: -2.0}})
    (missing,) = said(tmp_path, frames, E0s={"Default": {1: -1.0}})
    assert missing == ("certain", "no E0 of O, which the data have")
    (other,) = said(tmp_path, frames, E0s={"Default": {1: -1.5, 8: -2.0}})
    assert other[0] == "likely"
    assert "its isolated atom has -1 eV" in other[1]
    (unit,) = said(tmp_path, frames[1:], E0s={"Default": {1: -13.6, 8: -2041.0}})
    assert unit[0] == "certain"
    assert "no binding energy" in unit[1]


def test_isolated_atoms_that_are_missing(tmp_path):
    frames = molecules(20)
    assert said(tmp_path, [atom("H", -1.0), *frames])[0][0] == "certain"
    assert not said(tmp_path, [atom("H", -1.0), atom("O", -2.0), *frames])
    assert not said(tmp_path, frames, E0s={"Default": "average"})
    (average,) = said(tmp_path, frames[::2], E0s={"Default": "average"})  # one formula for two elements
    assert average[0] == "look"


def test_one_file_for_training_and_validation(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("1\n\nH 0 0 0\n")
    inputs = gather([], {"train_file": str(path), "valid_file": str(path)}, {})
    assert [source.role for source in inputs.sources] == ["train", "valid"]
    from mace_outlier.checks import catalogue
    from mace_outlier.checks.settings import Settings
    from mace_outlier.checks.survey_files import survey

    findings = catalogue.run(survey(inputs, Settings(), 1), ["settings"])
    assert "one file is --train_file and --valid_file" in findings[0].what


def test_files_keys_and_heads_of_a_training(tmp_path):
    for name in ("a.xyz", "b.xyz", "c.xyz"):
        (tmp_path / name).write_text("1\n\nH 0 0 0\n")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"energy_key: dft\nr_max: 5\nheads:\n  one:\n    train_file: {tmp_path}/a.xyz\n    E0s: '{{1: -1.0}}'\n"
        f"  two:\n    train_file: [{tmp_path}/b.xyz]\n    valid_file: {tmp_path}/c.xyz\n    energy_key: other\n"
    )
    inputs = gather([], {}, read_config(config))
    got = [(source.path[-5:], source.role, source.head, source.keys["energy"]) for source in inputs.sources]
    assert got == [
        ("a.xyz", "train", "one", "dft"),
        ("b.xyz", "train", "two", "other"),
        ("c.xyz", "valid", "two", "other"),
    ]
    assert inputs.E0s == {"one": {1: -1.0}}
    assert inputs.r_max == 5


def test_preprocessed_files_have_keys_of_their_own_and_E0s_may_be_a_file(tmp_path):  # noqa: N802
    (tmp_path / "a.h5").touch()
    (tmp_path / "E0s.json").write_text('{"1": -1.0}')
    options = {"energy_key": "dft", "train_file": str(tmp_path), "E0s": str(tmp_path / "E0s.json")}
    inputs = gather([], options, {})
    assert inputs.sources[0].keys["energy"] == "REF_energy"
    assert inputs.E0s == {"Default": {1: -1.0}}


@pytest.mark.parametrize(
    ("word", "read"), [("Average", "average"), ("IsolatedAtom", "isolated"), ("foundation", "foundation")]
)
def test_words_that_MACE_takes_for_E0s(tmp_path, word, read):  # noqa: N802
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n")
    assert gather([str(tmp_path / "a.xyz")], {"E0s": word}, {}).E0s == {"Default": read}


def test_a_file_is_read_once_that_is_named_and_in_the_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.xyz", "b.xyz"):
        (tmp_path / name).write_text("1\n\nH 0 0 0\n")
    (tmp_path / "link.xyz").symlink_to("b.xyz")
    named = ["./a.xyz", "b.xyz", "link.xyz", str(tmp_path / "b.xyz")]

    def roles(**options):
        return [(source.path, source.role) for source in gather(named, {}, options).sources]

    assert roles() == [("./a.xyz", "train"), ("b.xyz", "train")]
    assert roles(train_file="a.xyz") == [("b.xyz", "train"), ("a.xyz", "train")]
    assert roles(train_file="a.xyz", valid_file="b.xyz")[::2] == [("b.xyz", "train"), ("b.xyz", "valid")]
    twice = gather([], {}, {"train_file": ["a.xyz", "a.xyz"]}).sources
    assert len(twice) == 2  # MACE reads it twice


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "nothing to check"),
        ({"train_file": "missing.xyz"}, "no training file missing.xyz"),
        ({"train_file": "a.xyz", "E0s": "{1: x}"}, "E0s"),
        ({"heads": "[1"}, "heads"),
        ({"heads": "['a']"}, r"--heads: a dictionary from names to options .* not \['a'\]"),
        ({"heads": "{'a': 'b'}"}, "heads: a should hold options"),
        ({"train_file": "a.xyz", "E0s": "averge"}, "--E0s=averge: a dictionary, a .json file, or one of average, est"),
    ],
)
def test_inputs_that_are_refused(tmp_path, monkeypatch, given, match):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n")
    with pytest.raises(ValueError, match=match):
        gather([], given, {})


def test_E0s_that_have_taken_gross_errors_in(tmp_path):  # noqa: N802
    """Those of a statistics file are an average over all energies; nothing else is like that."""
    frames, bad = molecules(60), [3, 10]
    right = average([frame for i, frame in enumerate(frames) if i not in bad])
    for i in bad:
        frames[i].info["REF_energy"] -= 900.0
    (finding,) = found(tmp_path, "settings", frames, training=True, E0s={"Default": average(frames)})
    assert finding.certainty == "certain"
    assert "an average over all energies, 2 gross errors of 60 included" in finding.what
    assert finding.numbers["E0s"] == pytest.approx({"H": right[1], "O": right[8]})
    assert finding.rows.tolist() == bad
    for good in (right, {1: -1.0, 8: -2.0}):
        assert not said(tmp_path, frames, E0s={"Default": good})


def average(frames):
    counts = np.array([[(frame.numbers == z).sum() for z in (1, 8)] for frame in frames])
    energies = [frame.info["REF_energy"] for frame in frames]
    return dict(zip((1, 8), np.linalg.lstsq(counts, energies, rcond=None)[0].tolist(), strict=True))


def test_a_scale_that_no_force_has(tmp_path):
    E0s = {"Default": {1: -1.0, 8: -2.0}}  # noqa: N806
    assert not said(tmp_path, molecules(20), E0s=E0s, scale={"Default": 5.0})
    (finding,) = said(tmp_path, molecules(20), E0s=E0s, scale={"Default": 1e5})
    assert finding[0] == "likely"
    assert "--std=1e+05: the root mean square of most forces is near" in finding[1]


def test_a_statistics_file_is_read_as_MACE_reads_it(tmp_path):  # noqa: N802
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n")
    (tmp_path / "s.json").write_text('{"atomic_energies": "{1: -3.0}", "mean": -1.0, "std": 7.0}')
    options = {"train_file": str(tmp_path / "a.xyz"), "statistics_file": str(tmp_path / "s.json"), "E0s": "average"}
    assert gather([], options, {}).E0s == {"Default": {1: -3.0}}
    assert gather([], options, {}).scale == {}
    assert gather([], options | {"std": 1.0}, {}).scale == {"Default": 7.0}
    with pytest.raises(ValueError, match="--statistics_file nowhere: can't be read"):
        gather([], options | {"statistics_file": "nowhere"}, {})
