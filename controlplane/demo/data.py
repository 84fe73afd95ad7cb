"""The loop on published logs: import each data set that is there, and read the results over REST."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.demo.control import ControlPlane, Refused
from controlplane.demo.story import result_of


@dataclass(frozen=True, slots=True)
class DataSet:
    """A published data set: the importer's name for it, and a file by which its folder is recognised."""

    kind: str
    folder: str
    landmark: str


DATA_SETS = (
    DataSet("openbandit", "openbandit", "random/all/all.csv"),
    DataSet("movielens", "movielens", "ratings.csv"),
    DataSet("cookiecats", "cookie-cats", "cookie_cats.csv"),
    DataSet("asos", "asos", "asos_digital_experiments_dataset.csv"),
)


def present(folder: Path) -> Iterator[tuple[DataSet, Path]]:
    """The data sets in a folder: either it is one of them, or it holds some of them."""
    for data_set in DATA_SETS:
        for place in (folder, folder / data_set.folder):
            if (place / data_set.landmark).is_file():
                yield data_set, place
                break


def run_on_data(
    folder: Path,
    control: ControlPlane,
    *,
    import_logs: Callable[[str, Path], None],
    say: Callable[[str], None],
) -> int:
    """Import what is there and print each experiment's result; the number of results.

    Raises FileNotFoundError when the folder holds none of the data sets.
    """
    found = list(present(folder))
    if not found:
        names = ", ".join(f"{one.folder} ({one.landmark})" for one in DATA_SETS)
        raise FileNotFoundError(f"{folder} is or holds none of: {names}")
    for data_set, place in found:
        say(f"importing {data_set.kind} from {place}")
        import_logs(data_set.kind, place)
    return sum(_tell(key, control, say) for key in control.keys("analyst", "experiments"))


def _tell(key: str, control: ControlPlane, say: Callable[[str], None]) -> bool:
    try:
        result = result_of(control.get("analyst", f"/experiments/{key}/results"))
    except Refused as refused:
        say(f"{key}: no result ({refused.detail})")
        return False
    for line in result_lines(key, result):
        say(line)
    return True


def result_lines(key: str, result: Mapping[str, Any]) -> Iterator[str]:
    """One experiment's result for a terminal."""
    yield ""
    yield f"Experiment {key}"
    yield "  units          " + ", ".join(f"{arm['arm']} {arm['units']:,}" for arm in result["arms"])
    for measured in result["metrics"]:
        name = measured["metric"]["key"]
        for comparison in measured["comparisons"]:
            yield from _comparison_lines(name, comparison)
    ratio = result["sample_ratio"]
    yield f"  sample ratio   {ratio.get('verdict') or ratio.get('detail')}"
    for verdict in result["verdicts"]:
        yield f"  verdict        {verdict['arm']}: {verdict['word']}. {' '.join(verdict['reasons'])}"


def _comparison_lines(name: str, comparison: Mapping[str, Any]) -> Iterator[str]:
    if "undefined" in comparison:
        yield f"  {name}: {comparison['detail']}"
        return
    low, high = comparison["interval"]["low"], comparison["interval"]["high"]
    yield (
        f"  {name}: control {comparison['control']:.4f}, {comparison['arm']} {comparison['treatment']:.4f}, difference "
        f"{comparison['difference']:+.4f} ({low:+.4f} to {high:+.4f}), p = {comparison['p_value']:.4g}"
    )
    for stratum in comparison.get("by_stratum", []):
        for line in _comparison_lines(
            f"{name} in {stratum['stratum']}", {**stratum, "arm": comparison["arm"]}
        ):
            yield "  " + line
