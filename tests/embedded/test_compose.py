"""docker/compose.yaml and the process table say the same; no Docker engine is needed to know."""

import re
from typing import Any

import pytest
import yaml

from controlplane.embedded import postgres, valkey
from controlplane.embedded.processes import (
    BROKER_NAME,
    DATABASE_NAME,
    DEFAULTS,
    NAMES,
    PROCESSES,
    ROOT,
    Process,
)

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
COMMON: dict[str, str] = COMPOSE["x-environment"]
IDS = [process.name for process in PROCESSES]


def test_services__and_process_table__have_the_same_names_in_the_same_order() -> None:
    assert tuple(SERVICES) == NAMES


@pytest.mark.parametrize("process", PROCESSES, ids=IDS)
def test_command__of_each_process__is_the_table_s(process: Process) -> None:
    assert SERVICES[process.name]["command"] == process.arguments(COMMON)


@pytest.mark.parametrize("process", PROCESSES, ids=IDS)
def test_environment__of_each_process__is_the_common_one_and_the_table_s(process: Process) -> None:
    taken = {name: f"${{{name}:-}}" for name in process.takes}
    assert SERVICES[process.name]["environment"] == COMMON | dict(process.environment) | taken


@pytest.mark.parametrize("process", PROCESSES, ids=IDS)
def test_port__of_each_process__is_published_and_asked_for_its_health(process: Process) -> None:
    service = SERVICES[process.name]
    if not process.port:
        assert "ports" not in service
        return
    port = DEFAULTS[process.port]
    assert COMMON[process.port] == port
    assert service["ports"] == [f"{port}:{port}"]
    assert f"http://127.0.0.1:{port}/healthz" in service["healthcheck"]["test"][-1]


@pytest.mark.parametrize("process", PROCESSES, ids=IDS)
def test_life__of_each_process__follows_the_table(process: Process) -> None:
    service = SERVICES[process.name]
    assert service["restart"] == ("no" if process.runs_once else "unless-stopped")
    assert ("healthcheck" in service) is not process.runs_once
    assert int(service["stop_grace_period"].removesuffix("s")) >= process.grace_seconds


def test_order__of_starting__is_the_table_s() -> None:
    for name, service in SERVICES.items():
        for needed in service.get("depends_on", {}):
            assert NAMES.index(needed) < NAMES.index(name)
    once = [process.name for process in PROCESSES if process.runs_once]
    assert once == ["migrate", "bootstrap"]
    assert SERVICES["bootstrap"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    for process in PROCESSES:
        if not process.runs_once:
            assert SERVICES[process.name]["depends_on"] == {
                DATABASE_NAME: {"condition": "service_healthy"},
                BROKER_NAME: {"condition": "service_healthy"},
                "bootstrap": {"condition": "service_completed_successfully"},
            }


def test_servers__of_both__have_the_same_settings_and_majors() -> None:
    assert SERVICES[DATABASE_NAME]["command"] == ["postgres", *postgres.setting_arguments()]
    assert SERVICES[BROKER_NAME]["command"] == ["valkey-server", *valkey.setting_arguments()]
    assert SERVICES[DATABASE_NAME]["image"] == f"postgres:{postgres.program_major()}"
    assert SERVICES[BROKER_NAME]["image"] == "valkey/valkey:9"


def test_grants__of_both__are_one_file() -> None:
    mounted = [volume.split(":")[:2] for volume in SERVICES[DATABASE_NAME]["volumes"]]
    source = f"../{postgres.GRANTS.relative_to(ROOT)}"
    assert [source, "/controlplane/grants.sql"] in mounted
    assert "-f /controlplane/grants.sql" in (ROOT / "docker" / "postgres" / "10-roles.sh").read_text()


def test_variables__of_compose__are_settings_in_the_contract() -> None:
    contract = (ROOT / "docs" / "contract.md").read_text()
    for name in COMMON:
        assert f"`{name}`" in contract


def test_secrets__of_compose__come_from_outside_and_are_named_in_the_example() -> None:
    text = (ROOT / "docker" / "compose.yaml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == {"SECRET_KEY", "POSTGRES_PASSWORD", "OWNER_PASSWORD", "WEB_PASSWORD"}
    example = (ROOT / "docker" / "example.env").read_text()
    for name in required:
        assert re.search(rf"^{name}=$", example, re.MULTILINE)


def test_image__runs_as_an_ordinary_user_with_hashed_packages() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text()
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert "--require-hashes" in text
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE)
    assert sorted(copied) == sorted(line[1:] for line in ignored if line.startswith("!"))
