"""An analysis in a process of its own: reads the lake, answers in JSON, and fails in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.evidence.plan import AnalysisRequest, Plan
from controlplane.evidence.processes import ROOT, AnalysisFailed, analyse_in_child
from tests.evidence.lakes import PURCHASE, population, write_lake
from tests.evidence.test_analysis import shop

REQUEST = AnalysisRequest(
    "experiments.experiment:checkout", population(), (PURCHASE,), Plan("a", {"a": 1, "b": 1}, "purchase")
)


def test_analyse_in_child__lake_on_disk__answers_with_its_version(tmp_path: Path) -> None:
    rows = shop(600, rates={"a": 0.1, "b": 0.3})
    lake_url = write_lake(tmp_path, rows[:700])
    write_lake(tmp_path, rows[700:])
    result = analyse_in_child(REQUEST, lake_url=lake_url)
    bought = {r["user_id"] for r in rows if r["type"] == "conversion"}
    assert result["lake_version"] == 1
    assert result["units"] == 600
    assert sum(arm["successes"] for arm in result["metrics"][0]["arms"]) == len(bought)
    assert result["verdicts"][0]["word"] == "ship"


def test_analyse_in_child__no_lake_yet__no_units(tmp_path: Path) -> None:
    result = analyse_in_child(REQUEST, lake_url=f"file://{tmp_path}")
    assert result["lake_version"] is None
    assert result["sample_ratio"]["undefined"] == "no_units"
    assert result["metrics"][0]["comparisons"][0]["undefined"] == "no_units"


def test_analyse_in_child__folder_name_with_a_quote_and_a_space__read(tmp_path: Path) -> None:
    lake_url = write_lake(tmp_path / "it's a lake", shop(100, rates={"a": 0.5, "b": 0.5}))
    assert analyse_in_child(REQUEST, lake_url=lake_url)["units"] == 100


def test_analyse_in_child__a_file_is_missing__says_so(tmp_path: Path) -> None:
    lake_url = write_lake(tmp_path, shop(100, rates={"a": 0.5, "b": 0.5}))
    for path in list((tmp_path / "events").rglob("*.parquet"))[:1]:
        path.unlink()
    with pytest.raises(AnalysisFailed, match="The lake could not be read"):
        analyse_in_child(REQUEST, lake_url=lake_url)


def test_analyse_in_child__takes_too_long__stopped(tmp_path: Path) -> None:
    with pytest.raises(AnalysisFailed, match=r"longer than 0 seconds"):
        analyse_in_child(REQUEST, lake_url=f"file://{tmp_path}", timeout_seconds=0.01)


def test_child__request_that_makes_no_sense__names_the_field() -> None:
    request = REQUEST.to_json()
    request["population"]["unit"] = "household"
    order = {"lake_url": "file:///nowhere", "memory_mb": 256, "threads": 1, "request": request}
    done = subprocess.run(
        [sys.executable, "-m", "controlplane.evidence.child"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert json.loads(done.stdout)["error"]["field"] == "unit"


def test_child__imports__no_django() -> None:
    code = "import sys, controlplane.evidence.child; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=False).returncode == 0


def test_evidence_services__imports__leave_the_lake_alone() -> None:
    # Workers fork after importing these modules, and a forked process that holds the lake's library panics.
    code = (
        "import sys, django; django.setup(); import controlplane.evidence.services, controlplane.evidence.selectors; "
        "sys.exit('deltalake' in sys.modules or 'ibis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=False).returncode == 0
