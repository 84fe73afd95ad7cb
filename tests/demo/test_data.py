from pathlib import Path

import pytest

from controlplane.demo.control import ControlPlane
from controlplane.demo.data import DATA_SETS, present, run_on_data


def make(folder: Path, landmark: str) -> None:
    (folder / landmark).parent.mkdir(parents=True, exist_ok=True)
    (folder / landmark).write_text("")


def test_present__parent_of_all__finds_each(tmp_path: Path) -> None:
    for data_set in DATA_SETS:
        make(tmp_path / data_set.folder, data_set.landmark)
    assert [(one.kind, place) for one, place in present(tmp_path)] == [
        (one.kind, tmp_path / one.folder) for one in DATA_SETS
    ]


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda one: one.kind)
def test_present__one_set_itself__finds_it_alone(tmp_path: Path, data_set: object) -> None:
    one = next(known for known in DATA_SETS if known is data_set)
    make(tmp_path / "renamed", one.landmark)
    assert list(present(tmp_path / "renamed")) == [(one, tmp_path / "renamed")]


def test_run_on_data__nothing_there__names_what_was_looked_for(tmp_path: Path) -> None:
    imported: list[tuple[str, Path]] = []
    with (
        ControlPlane("http://127.0.0.1:9", {}) as control,
        pytest.raises(FileNotFoundError, match="cookie_cats"),
    ):
        run_on_data(tmp_path, control, import_logs=lambda *given: imported.append(given), say=print)
    assert imported == []
