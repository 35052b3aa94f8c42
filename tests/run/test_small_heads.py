"""What the log says of a head that has few configurations is what happens to them."""

import pytest
from structures import molecules, write_xyz

from mace_outlier.results.reading import read_results

SAID = {
    7: "head Default: 7 configurations, but 8 are needed to be compared: all keep their weight",
    9: "head Default: 9 of the 50 configurations that it takes to tell wrong labels from hard geometries",
}


@pytest.mark.parametrize(("size", "found"), [(7, []), (9, [3])])
def test_a_gross_error_among_few_is_found_where_the_log_says_so(mace, size, found):
    frames = molecules(size)
    frames[3].info["REF_energy"] += 1000.0 * len(frames[3])
    write_xyz(mace.folder, frames, molecules(4, seed=1))
    run = mace.train("few", "--loss=ema_robust", "--max_num_epochs=4", "--batch_size=1")
    assert SAID[size] in run.log
    table = read_results(mace.folder / "results" / "few_run-1").table
    weight = table.weight[table.split == "train"]
    assert weight.index[weight < 0.5].tolist() == found
    assert (weight.drop(found) == 1.0).all()
