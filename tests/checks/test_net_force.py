import numpy as np
from made_up_checks import found, series, sure
from structures import molecules


def test_forces_that_add_up_to_something(tmp_path):
    frames = series(20, 0.1)
    rms = np.sqrt((frames[7].arrays["REF_forces"] ** 2).mean())
    frames[7].arrays["REF_forces"] += [0.15 * rms, 0, 0]
    frames[12].arrays["REF_forces"] += [0, 3 * rms, 0]
    findings = found(tmp_path, "net_force", frames)
    assert [(finding.certainty, list(finding.rows)) for finding in findings] == [("certain", [12]), ("likely", [7])]


def test_right_forces_and_grid_noise_are_no_finding(tmp_path):
    frames = series(20, 0.1) + molecules(10)
    assert not found(tmp_path, "net_force", frames)
    for atoms in frames:
        atoms.arrays["REF_forces"] += [0.01, -0.01, 0.0]
    assert not found(tmp_path, "net_force", frames)


def test_a_torque_without_a_net_force(tmp_path):
    frames = molecules(20)
    arm = frames[4].positions - frames[4].positions.mean(axis=0)
    frames[4].arrays["REF_forces"] += 2.0 * np.cross([0.0, 0, 1], arm)
    findings = sure(found(tmp_path, "net_force", frames))
    assert [list(finding.rows) for finding in findings] == [[4]]
    assert "turn the molecule" in findings[0].what


def test_what_all_frames_of_a_group_have_is_said_of_the_group(tmp_path):
    frames = series(20, 0.1)
    for atoms in frames:
        atoms.arrays["REF_forces"] += [0.5, 0, 0]
    findings = found(tmp_path, "net_force", frames)
    assert sum(len(finding.rows) for finding in findings) == 20
