"""What people read on the pages of experiments and metrics, and what they write through them."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.core.models import RoleGrant, User
from controlplane.core.pages.home import Panel
from controlplane.evidence import services as evidence
from controlplane.evidence.models import Metric
from controlplane.evidence.services import SummaryRow
from experiments import home, services
from experiments.models import Experiment
from experiments.pages import words
from tests.experiments.making import (
    ANALYST,
    NOW,
    VIEWER,
    draft,
    events,
    published,
    result,
    started,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_ground")]
EVEN = {"control": 1000, "treatment": 1000}
DRAFTED = {
    "key": "checkout", "title": "The checkout", "owner": "ana", "hypothesis": "More.", "coverage": "50",
    "hash_attribute": "user", "surfaces": ["home-feed"], "audience": "", "primary_metric": "purchase",
    "metrics": ["revenue"], "guardrail_metrics": ["returns"], "planned_end": "2026-04-01T10:00", "planned_units": "5000",
    "condition": '{"country": "DE"}', "exposure_types": ["exposure"], "stratify_by": "",
    "arm_0_key": "control", "arm_0_title": "Control", "arm_0_weight": "33.34", "arm_0_parameters": "",
    "arm_1_key": "", "arm_1_title": "", "arm_1_weight": "", "arm_1_parameters": "",
    "arm_2_key": "b", "arm_2_title": "", "arm_2_weight": "66.66", "arm_2_parameters": '{"ranker": "b"}',
}  # fmt: skip


def browser(role: str) -> Client:
    user = User.objects.create(username=f"a-{role}", is_staff=True, date_joined=timezone.now())
    RoleGrant.objects.create(user=user, role=role, surface="")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(experiment: Experiment) -> str:
    """The text of the experiment's page, tags left out."""
    answer = browser("analyst").get(f"/experiments/experiment/{experiment.pk}/change/")
    assert answer.status_code == 200
    text = re.sub(r"<script.*?</script>", " ", answer.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text)))


# --- the result -------------------------------------------------------------------------------------------------------
def test_page__draft__says_what_to_do_next() -> None:
    assert "Not started yet" in page(draft())


def test_page__running_without_data__says_when_there_will_be_a_result() -> None:
    assert "Phase 1 has no result yet" in page(started())


def test_page__result_of_an_earlier_phase__is_not_shown_as_the_present_one() -> None:
    experiment = started()
    result(experiment, events(EVEN, {"control": 0.1, "treatment": 0.3}))
    services.stop_experiment(experiment, environment="production", actor=ANALYST, at=NOW)
    services.start_experiment(experiment, environment="production", actor=ANALYST, at=NOW)
    assert "Phase 2 has no result yet" in page(experiment)


def test_page__clearly_better__ships_in_words_with_interval_and_health() -> None:
    experiment = started(guardrail_metrics=["revenue"])
    result(experiment, events(EVEN, {"control": 0.1, "treatment": 0.2}))
    text = page(experiment)
    said = re.search(r"Ship (.*?) Why", text)
    assert said is not None
    assert said[1].startswith("Personal raises “Shoppers who buy” by 100 % (+")
    assert "Reads valid at any time. Guardrails hold." in said[1]
    assert "Sample ratio ok" in text


def test_page__guardrail_without_an_answer__holds_and_names_it() -> None:
    experiment = started(guardrail_metrics=["returns"])
    rows = events(EVEN, {"control": 0.1, "treatment": 0.2})
    result(experiment, rows)
    text = page(experiment)
    assert re.search(r"Hold Personal raises .* Guardrail without an answer: Shoppers who return\.", text)
    assert "No unit of either arm has an event of this metric." in text


def test_page__clearly_worse__stops() -> None:
    experiment = started()
    result(experiment, events(EVEN, {"control": 0.2, "treatment": 0.1}))
    text = page(experiment)
    assert "Stop Personal lowers “Shoppers who buy” by 50 % (" in text


def test_page__unclear__keeps_running_and_says_when_there_is_enough() -> None:
    experiment = started(planned_units=8000)
    result(experiment, events(EVEN, {"control": 0.1, "treatment": 0.105}))
    text = page(experiment)
    assert "Keep running Personal does not differ clearly from Control" in text
    assert "At this pace the planned 8,000 units are reached on 27 April 2026." in text


@pytest.mark.parametrize(
    ("sizes", "word"),
    [
        ({"control": 1000, "treatment": 1040}, "Sample ratio ok"),
        ({"control": 1000, "treatment": 1125}, "Sample ratio not flagged, look at it"),
        ({"control": 1000, "treatment": 1200}, "Sample ratio alarm"),
    ],
)
def test_page__split__ok_look_or_alarm(sizes: dict[str, int], word: str) -> None:
    experiment = started()
    result(experiment, events(sizes, {"control": 0.1, "treatment": 0.3}))
    text = page(experiment)
    assert word in text
    holds = "Hold The arms' sizes do not fit the plan: do not read these results" in text
    assert holds is word.endswith("alarm")


def test_page__sizes_fixed_by_the_publisher__undefined_with_reason_and_note() -> None:
    experiment = published(sizes_fixed=True, note="A row is a unit; rows may share a visitor.")
    result(experiment, events({"control": 100, "treatment": 900}, {"control": 0.1, "treatment": 0.3}))
    text = page(experiment)
    assert "Sample ratio undefined The publisher fixed the arms' sizes" in text
    assert "A row is a unit; rows may share a visitor." in text
    assert "Read once, at the planned end." in text


def test_page__metric_without_events__says_so_instead_of_a_number() -> None:
    experiment = started()
    result(experiment, events(EVEN, {"control": 0, "treatment": 0}))
    text = page(experiment)
    assert (
        "Personal: no answer on “Shoppers who buy” yet. No unit of either arm has an event of this metric."
        in text
    )
    assert "nan" not in text.lower().split()


def test_page__three_arms__a_verdict_for_each() -> None:
    weights = {"a": 3334, "b": 3333, "c": 3333}
    arms = [{"key": key, "title": key.upper(), "weight": weight} for key, weight in weights.items()]
    experiment = started(arms=arms)
    result(experiment, events({"a": 900, "b": 900, "c": 900}, {"a": 0.1, "b": 0.3, "c": 0.1}))
    text = page(experiment)
    assert "Ship B: Shoppers who buy is better than control" in text
    assert "Keep running C: Shoppers who buy does not differ clearly from control" in text


def test_page__strata__are_in_a_table_of_their_own() -> None:
    experiment = started(stratify_by="surface")
    result(experiment, events(EVEN, {"control": 0.1, "treatment": 0.2}))
    assert "By stratum (4 rows)" in page(experiment)


def test_page__how__has_population_window_method_sql_digest_and_lake_version() -> None:
    experiment = started()
    stored = result(experiment, events(EVEN, {"control": 0.1, "treatment": 0.2}))
    text = page(experiment)
    for part in (
        "Each user with a first exposure in phase 1",
        "Lake version 3",
        stored.inputs_digest,
        "SELECT",
    ):
        assert part in text


def test_page__published_statistics__each_checkpoint_in_both_readings() -> None:
    experiment = published(sizes_fixed=True, note="Published as statistics.")
    rows = [
        SummaryRow("purchase", arm, checkpoint, 1000, mean, 0.25)
        for checkpoint in (1.0, 2.0)
        for arm, mean in (("control", 0.50), ("treatment", 0.55))
    ]
    evidence.import_summaries(subject=experiment.subject, source="asos", rows=rows, actor=ANALYST, at=NOW)
    text = page(experiment)
    assert "1 metric at 2 checkpoints, read in two ways" in text
    assert "Sample ratio undefined" in text
    assert "would have called 2 of them a difference" in text
    # 0.05 with a standard error of √(0.25/1000 · 2): the fixed reading excludes zero, the always-valid one does not.
    assert re.search(r"\+0\.05 \+0\.00615 to \+0\.0939 differs −0\.0\d+ to \+0\.1\d* unclear", text), text
    assert "Analyse now" not in text


def test_page__as_viewer__shows_the_result_and_no_verbs() -> None:
    experiment = started()
    result(experiment, events(EVEN, {"control": 0.1, "treatment": 0.2}))
    answer = browser("viewer").get(f"/experiments/experiment/{experiment.pk}/change/").content.decode()
    assert "raises “Shoppers who buy”" in answer
    assert "/do/stop_experiment/" not in answer
    assert "Save a new version" not in answer


# --- the form ---------------------------------------------------------------------------------------------------------
def test_form__sentences_with_a_spare_row__make_the_content() -> None:
    answer = browser("analyst").post("/experiments/experiment/add/", DRAFTED)
    made = Experiment.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (
        302,
        f"/experiments/experiment/{made.pk}/change/",
    )
    assert made.newest().content == {
        "hypothesis": "More.",
        "surfaces": ["home-feed"],
        "hash_attribute": "user",
        "arms": [
            {"key": "control", "title": "Control", "weight": 3334, "parameters": {}},
            {"key": "b", "title": "b", "weight": 6666, "parameters": {"ranker": "b"}},
        ],
        "coverage": 5_000,
        "condition": {"country": "DE"},
        "audience": None,
        "primary_metric": "purchase",
        "metrics": ["purchase", "revenue", "returns"],
        "guardrail_metrics": ["returns"],
        "planned_end": "2026-04-01T10:00:00Z",
        "planned_units": 5_000,
        "exposure_types": ["exposure"],
        "stratify_by": None,
    }


def test_form__saved_as_it_was_shown__adds_no_version() -> None:
    experiment = started(guardrail_metrics=["returns"], planned_end="2026-04-01T10:00:00Z", coverage=3_333)
    client = browser("analyst")
    address = f"/experiments/experiment/{experiment.pk}/change/"
    form = client.get(address).context["form"]
    shown = {field.html_name: field.value() for field in form if field.value() not in (None, "", [])}
    shown["planned_end"] = "2026-04-01T10:00"
    answer = client.post(address, shown)
    assert answer.status_code == 302, answer.context["form"].errors
    assert experiment.newest().number == 1


@pytest.mark.parametrize(
    ("changes", "words_"),
    [
        ({"arm_2_weight": "60"}, "The arms' shares sum to 93.34 %; make them sum to 100 %."),
        ({"arm_2_key": "No Key"}, "Cannot be a key"),
        ({"arm_2_parameters": "{"}, "This is not JSON."),
        ({"condition": "[1]"}, "Write a JSON object in braces"),
        ({"coverage": "101"}, "less than or equal to 100"),
        ({"primary_metric": ""}, "This field is required."),
        ({"surfaces": ["nowhere"]}, "nowhere is not one of the available choices"),
    ],
)
def test_form__bad_input__says_so_and_writes_nothing(changes: dict[str, Any], words_: str) -> None:
    answer = browser("analyst").post("/experiments/experiment/add/", {**DRAFTED, **changes})
    assert answer.status_code == 200
    assert words_ in unescape(answer.content.decode())
    assert not Experiment.objects.exists()


def test_form__biasing_edit_while_running__refused_in_words() -> None:
    experiment = started()
    form = {**DRAFTED, "expects": str(experiment.row_version), "coverage": "100", "condition": ""}
    answer = browser("analyst").post(f"/experiments/experiment/{experiment.pk}/change/", form)
    assert "Is fixed while it runs" in answer.content.decode()
    assert experiment.newest().number == 1


# --- verbs ------------------------------------------------------------------------------------------------------------
def test_verbs__each__say_their_consequence_in_numbers_and_act() -> None:
    client, experiment = browser("analyst"), draft(coverage=5_000)
    address = f"/experiments/experiment/{experiment.pk}/do"
    asked = unescape(client.get(f"{address}/start_experiment/").content.decode())
    assert "Enrols 50 % of users on home-feed: 25 % see Control, 25 % see Personal. Phase 1 begins" in asked
    client.post(f"{address}/start_experiment/", {"expects": "1"})
    experiment.refresh_from_db()
    assert experiment.status == "running"
    result(experiment, [], until=datetime.now(UTC))
    asked = client.get(f"{address}/ramp_experiment/").content.decode()
    assert "Enrols 50 % of users on home-feed now; 0 units enrolled so far." in asked
    client.post(f"{address}/ramp_experiment/", {"expects": "2", "coverage": "62.5"})
    assert experiment.live("production").content["coverage"] == 6_250
    assert "Starting again begins phase 2." in client.get(f"{address}/stop_experiment/").content.decode()
    client.post(f"{address}/stop_experiment/", {"expects": "3"})
    asked = client.get(f"{address}/start_new_phase/").content.decode()
    assert "as phase 2, drawn anew" in asked
    client.post(f"{address}/start_new_phase/", {"expects": "4"})
    experiment.refresh_from_db()
    assert (experiment.status, experiment.phase) == ("running", 2)


def test_verb__version_moved_on__refused_and_nothing_done() -> None:
    experiment = started()
    answer = browser("analyst").post(
        f"/experiments/experiment/{experiment.pk}/do/stop_experiment/", {"expects": "1"}
    )
    experiment.refresh_from_db()
    assert (answer.status_code, experiment.status) == (409, "running")


# --- lists, metrics, home --------------------------------------------------------------------------------------------
def test_lists__of_experiments_metrics_and_results__open() -> None:
    result(started(), events({"control": 50, "treatment": 50}, {"control": 0.1, "treatment": 0.2}))
    client = browser("analyst")
    for path, there in (
        ("/experiments/experiment/", "Running in production"),
        ("/evidence/metric/", "the share of units with an event: at least one event, purchase"),
        ("/evidence/analysis/", "experiments.experiment:checkout"),
    ):
        assert there in client.get(path).content.decode()


def test_metric_form__a_sum__makes_and_changes_the_definition() -> None:
    client = browser("analyst")
    form = {
        "key": "spend", "title": "Spend", "owner": "ana", "environment": "production", "kind": "mean",
        "aggregation": "sum", "event_type": "value", "name": "revenue", "direction": "increase", "unit": "EUR",
        "delay_hours": "", "window_hours": "48",
    }  # fmt: skip
    assert client.post("/evidence/metric/add/", form).status_code == 302
    metric = Metric.objects.get(key="spend")
    assert (metric.live("production").content["value_field"], metric.live("production").content["window_hours"]) == (
        "value", 48.0,
    )  # fmt: skip
    changed = client.post(
        f"/evidence/metric/{metric.pk}/change/", {**form, "aggregation": "any", "expects": "1"}
    )
    assert "Does not make a mean" in unescape(changed.content.decode())
    client.post(f"/evidence/metric/{metric.pk}/change/", {**form, "window_hours": "24", "expects": "1"})
    assert metric.live("production").content["window_hours"] == 24.0


def panels(actor: Any = ANALYST) -> dict[str, Panel]:
    return {panel.title: panel for panel in home.panels(actor, environment="production", at=NOW)}


def test_home__nothing_runs__teaches_the_first_steps() -> None:
    found = panels()
    assert list(found) == ["Running experiments", "Ready to decide"]
    assert "define a metric" in found["Running experiments"].empty
    assert not found["Running experiments"].rows


def test_home__alarm_decision_and_run__each_in_its_panel() -> None:
    uneven, rates = {"control": 1000, "treatment": 1300}, {"control": 0.1, "treatment": 0.2}
    result(started("split"), events(uneven, rates, experiment="split"))
    ready = started("ready", planned_end="2026-03-20T00:00:00Z", planned_units=3000)
    result(ready, events(EVEN, rates, experiment="ready"))
    started("fresh")
    found = panels()
    alarm = found["Experiments that alarm"]
    assert ([row.state for row in alarm.rows], alarm.tone) == (["alarm"], "bad")
    assert [row.state for row in found["Ready to decide"].rows] == ["ship"]
    assert {row.detail: row.state for row in found["Running experiments"].rows}[
        "2,000 of 3,000 planned units · 4 days left"
    ] == "healthy"


def test_home__for_a_viewer__also_but_not_first() -> None:
    assert panels(VIEWER)["Running experiments"].roles == {"analyst"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234.5, "1,234"), (0.000123, "0.000123"), (-0.5, "−0.5"), (1.0, "1"), (12.34, "12.3")],
)
def test_number__sizes__readable(value: float, text: str) -> None:
    assert words.number(value) == text
