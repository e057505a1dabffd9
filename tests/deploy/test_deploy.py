"""What deploy/ promises: the settings named there exist, and the package that the Dockerfile builds runs on its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml

from relay.config import Flags, load
from relay.parts import listener_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def _copy(what: Path, where: Path) -> None:
    if what.is_dir():
        shutil.copytree(what, where, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        where.parent.mkdir(exist_ok=True)
        shutil.copy(what, where)


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bRELAY_[A-Z_]+\b", text))


@pytest.mark.parametrize("name", ["compose.yaml", "compose.shared.yaml"])
def test_the_relay_would_start_with_the_environment_of_the_compose_file(name: str, tmp_path: Path):
    service = yaml.safe_load((DEPLOY / name).read_text())["services"]["relay"]
    password = tmp_path / "password"
    password.write_text("secret\n")
    environment = {
        key: str(password) if key.endswith("_FILE") else text for key, text in service["environment"].items()
    }
    settings = load(None, Flags(), environment)
    assert settings.upstream.login is not None
    for listener in map(listener_of, settings.listen):  # `relay health` comes from within
        assert listener.admits("127.0.0.1")


def test_the_relay_would_start_with_the_environment_of_the_pod(tmp_path: Path):
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    (pod,) = (each["spec"]["template"]["spec"] for each in documents if each["kind"] == "Deployment")
    (relay,) = (each for each in pod["containers"] if each["name"] == "relay")
    password = tmp_path / "password"
    password.write_text("secret\n")
    environment = {
        each["name"]: str(password) if each["name"].endswith("_FILE") else each["value"] for each in relay["env"]
    }
    assert load(None, Flags(), environment).upstream.login is not None
    assert pod["terminationGracePeriodSeconds"] > load(None, Flags(), environment).timeouts.drain


def test_every_variable_named_anywhere_in_deploy_is_a_setting(tmp_path: Path):
    password = tmp_path / "password"
    password.write_text("x\n")
    samples = {
        "RELAY_LISTEN": '[{address: "127.0.0.1:0"}]',
        "RELAY_UPSTREAM__URL": "smtp://mail.example.com",
        "RELAY_UPSTREAM__USER": "anna",
        "RELAY_UPSTREAM__PASSWORD_FILE": str(password),
        "RELAY_LOG__FORMAT": "json",
        "RELAY_LIMITS__MESSAGE_SIZE": "25 MB",
        "RELAY_RETRY__MODE": "spool",
        "RELAY_DATABASE__URL": f"sqlite:///{tmp_path}/relay.db",
    }
    named = set().union(*(variables(file.read_text()) for file in DEPLOY.iterdir()))
    assert named <= samples.keys()
    load(None, Flags(), samples)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """What the Dockerfile makes, without a container: where the sources lay, and where the relay is installed."""
    if not shutil.which("cc") or not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("there is no C compiler here, or no Python.h for it")
    home, source, tools = (tmp_path_factory.mktemp("built") / name for name in ("relay", "source", "tools"))
    for name in (ROOT / ".dockerignore").read_text().split():
        if name.startswith("!"):
            _copy(ROOT / name[1:], source / name[1:])
    venv.create(home, with_pip=True)
    dockerfile = (DEPLOY / "Dockerfile").read_text().splitlines()
    steps = [line.removeprefix("RUN ") for line in dockerfile if line.startswith("RUN ") and "/bin/pip " in line]
    assert len(steps) == 3
    for step in steps:
        command = step.replace("/opt/relay", str(home)).replace("/opt/tools", str(tools))
        subprocess.run(command, shell=True, cwd=source, check=True, capture_output=True)
    return source, home


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_steps_of_the_dockerfile_make_a_relay_that_runs_without_the_checkout(built, tmp_path: Path):
    _, home = built
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 60}
    told = subprocess.run([home / "bin/relay", "explain", "421"], **run, check=True).stdout
    assert "page code-421" in told
    relay = subprocess.Popen(
        [home / "bin/relay", "run", "--practice", "--listen", "127.0.0.1:0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "RELAY_LOG__FORMAT": "json"},
    )
    try:
        address = re.search(r'"listen":\["([^"]+)"', relay.stderr.readline())[1]
        health = subprocess.run([home / "bin/relay", "health", "--relay", address], **run, check=False)
        assert health.returncode == 0, health.stderr
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(20) == 0
    finally:
        relay.kill()
        relay.stderr.close()


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_what_the_dockerfile_compiles_speaks_as_its_sources_do(built):
    source, home = built
    assert list(home.rglob("relay/proxy/session.*.so")), "the path of a message is not compiled"
    for name in ("tests", "deploy", "benchmarks"):  # beside the compiled parts, which are found before the sources
        _copy(ROOT / name, source / name)
    run = {"cwd": source, "capture_output": True, "text": True}
    where = "import relay.proxy.session as found; print(found.__file__)"
    found = subprocess.run([sys.executable, "-c", where], **run, check=True).stdout.strip()
    assert Path(found).parent == source / "relay/proxy"
    assert found.endswith(".so")
    tests = ("tests/dialogs", "tests/unit/explain", "tests/unit/proxy", "tests/unit/retry")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], **run, check=False, timeout=400
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_unit_is_understood_by_systemd():
    try:
        done = subprocess.run(
            ["systemd-analyze", "verify", DEPLOY / "explaining-relay.service"],
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    complaints = [line for line in done.stderr.splitlines() if "explaining-relay.service" in line]
    assert [line for line in complaints if "is not executable" not in line] == []  # it is not installed here


def test_health_names_what_is_wrong():
    command = [sys.executable, "-m", "relay", "health", "--relay", "127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert "no relay serves at 127.0.0.1:1" in done.stderr
