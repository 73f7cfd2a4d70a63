"""The cluster files: complete, accepted by Ray, and every fault in one is told."""

import getpass
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.command_runner import SSHCommandRunner
from ray.autoscaler._private.util import prepare_config, validate_config
from repository import REPOSITORY

from search.cluster.config_check import faults, main
from spaces.errors import UserError

AWS, ONPREM = "cluster.yaml", "cluster-onprem.yaml"
FILES = (AWS, ONPREM)
FILLED = {
    "CHANGE-region": "eu-central-1",
    "ami-CHANGE": "ami-0123456789abcdef0",
    "subnet-CHANGE": "subnet-0123456789abcdef0",
    "sg-CHANGE": "sg-0123456789abcdef0",
    "fs-CHANGE": "fs-0123456789abcdef0",
    "CHANGE-head": "10.1.0.1",
    "CHANGE-worker-1": "10.1.0.2",
    "CHANGE-worker-2": "10.1.0.3",
    "CHANGE-user": "searcher",
    "CHANGE-key": "cluster",
}


def filled(name: str) -> str:
    """Return the text of a cluster file as a user would fill it in."""
    text = (REPOSITORY / name).read_text()
    for placeholder, value in FILLED.items():
        text = text.replace(placeholder, value)
    return text


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_the_file_as_it_stands(name: str) -> None:
    config = prepare_config(yaml.safe_load((REPOSITORY / name).read_text()))
    validate_config(config)
    types = config["available_node_types"]
    expected = {"head", "one-gpu", "four-gpus"} if name == AWS else {"local.cluster.node"}
    assert types.keys() == expected


@pytest.mark.parametrize("name", FILES)
def test_all_that_is_wrong_with_the_file_is_what_a_user_fills_in(name: str) -> None:
    config = yaml.safe_load((REPOSITORY / name).read_text())
    sentences = faults(config)
    assert len(sentences) == 5
    assert all(" is still " in sentence for sentence in sentences)
    assert faults(yaml.safe_load(filled(name))) == []


@pytest.mark.parametrize("name", FILES)
def test_every_value_to_change_is_marked_and_explained_and_no_other(name: str) -> None:
    for line in (REPOSITORY / name).read_text().splitlines():
        value, _, comment = line.partition("#")
        marked = re.match(r" CHANGE: \S+ \S+", comment)
        assert ("CHANGE" in value) == bool(marked), line


@pytest.mark.parametrize("name", FILES)
def test_what_the_file_copies_to_the_machines_is_there(name: str) -> None:
    mounts = yaml.safe_load((REPOSITORY / name).read_text())["file_mounts"]
    local = {source for source in mounts.values() if not source.startswith("~")}
    assert {"search", "trainer", "spaces", "run_search.py", "constraints.txt"} < local
    assert all((REPOSITORY / source).exists() for source in local)


STUBS = {
    "ray": "exit 1",
    "setsid": 'exec "$@"',
    "pkill": "exit 0",
    "timeout": f'shift; exec {shutil.which("timeout")} 1 "$@"',
}


@pytest.mark.parametrize("mounted", (True, False))
def test_a_host_where_ray_does_not_start_is_not_given_up_by_ray(
    tmp_path: Path, mounted: bool
) -> None:
    """Its autoscaler starts nothing again on a host of which a command failed."""
    for name, text in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".class-weighting").write_text(f"export SHARED={tmp_path}\n")
    if mounted:
        (tmp_path / ".head").touch()
    command = yaml.safe_load(filled(ONPREM))["worker_start_ray_commands"][-1]
    own = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment = own | {"RAY_HEAD_IP": "10.1.0.1", "SSH_CONNECTION": "10.1.0.1 1 10.1.0.2 22"}
    done = subprocess.run(["bash", "-c", f"({command})"], env=environment, capture_output=True)
    assert done.returncode == 0, done
    assert (b"is not the shared folder" in done.stdout) == (not mounted)


def test_the_folder_of_rays_ssh_is_taken_before_another_account_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGNAME", pwd.getpwuid(os.getuid()).pw_name)
    assert getpass.getuser() == os.environ["LOGNAME"]
    auth = {"ssh_user": "searcher"}
    runner = SSHCommandRunner("", "10.1.0.2", None, auth, "class-weighting", None, True)
    commands = yaml.safe_load(filled(ONPREM))["head_start_ray_commands"]
    (command,) = [command for command in commands if "ray_ssh" in command]
    name, _, rest = command.partition(";")
    told = subprocess.run(["bash", "-c", f"{name}; echo $S"], capture_output=True, text=True)
    assert Path(told.stdout.strip()) == Path(runner.ssh_control_path).parent
    assert "test -O $S && ! test -L $S && chmod 700 $S" in rest
    assert commands.index(command) < len(commands) - 1


BOTH = (
    ("idle_timeout_minutes: 10", "idle_timeout: 10", "Ray refuses .*idle_timeout", AWS),
    ("cluster_name: class-weighting", "cluster_name: [1]", r"Ray refuses \$.cluster_name", None),
    ("    type: ", "    typ: x\n    type: ", "provider.typ is nothing that", None),
    ("--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", "dashboard-host 0.0.0.0", None),
    ("--dashboard-host=127.0.0.1", "", "says --dashboard-host nowhere", None),
    ("--dashboard-host=127.0.0.1", "--dashboard-host 127.0.0.1", None, None),
    (
        "--dashboard-host=127.0.0.1",
        "--dashboard-host=127.0.0.1 --dashboard-host=::",
        "127.0.0.1 and ::",
        None,
    ),
    ("RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled", "^head_.* RAY_AUTH_MODE disabled", None),
    ("export RAY_AUTH_MODE=token", "export", "^worker_start.* RAY_AUTH_MODE nowhere", None),
    ("RAY_JOB_STOP_WAIT_TIME_S=60", "", "kills a search three seconds after", None),
    (
        "search.cluster.start_hook.without_client_server",
        "other.hook",
        "RAY_START_HOOK other.hook",
        None,
    ),
    ("umask 077; ", "", "^head_.* says umask nowhere, .* write umask 077 there", None),
    ("umask 077; ", "umask 022; ", "^worker_.* says umask 022", None),
    (" --temp-dir=$RAY_TMPDIR/ray", "", "^head_.* says --temp-dir nowhere", AWS),
    ("$RAY_TMPDIR/ray", "/tmp/ray", "^worker_.* says --temp-dir /tmp/ray", None),
    ("test -O $RAY_TMPDIR && ", "", "^worker_.* RAY_TMPDIR is closed to others", None),
    ("chmod 700 $RAY_TMPDIR", "true", "^head_.* RAY_TMPDIR is closed to others", None),
    ("~/.ray/auth_token: ~/.ray/auth_token", "~/a: b", "does not bring ~/.ray/auth_token", None),
    ("chmod 600 ~/.ray/auth_token", "true", "readable to others", None),
    ("python -m search.cluster.environment_check", "true", "do not check the versions", None),
    ("--num-gpus=0 -", "# no GPU\n        -", "comment within the command", None),
    ("ray start --head", "ray strat --head", "head_start_ray_commands has no ray start", None),
)
"""(text, what it becomes, the sentence or None for no fault, the file or None for each)"""
ON_AWS = (
    ("max_workers: 8       ", "#", "max_workers is left out"),
    ("idle_timeout_minutes: 10", "", "idle_timeout_minutes is left out"),
    ("cache_stopped_nodes: false", "cache_stopped_nodes: true", "cache_stopped_nodes is not false"),
    ("cache_stopped_nodes:", "cache_stoped_nodes:", "cache_stoped_nodes is nothing that"),
    ("use_internal_ips: true", "use_internal_ips: false", "use_internal_ips is not true"),
    ("        min_workers: 0", "        min_workers: 1", "one-gpu.min_workers is 1"),
    ("min_workers: 0\n        max_workers: 2", "min_workers: 0", "four-gpus.max_workers is None"),
    ("        max_workers: 2", "        max_workers: -1", "four-gpus.max_workers is -1"),
    (
        "min_workers: 0\n        max_workers: 2",
        "min_workers: 3\n        max_workers: 2",
        "four-gpus.max_workers is 2",
    ),
    ("{CPU: 0, GPU: 0}", "{CPU: 4, GPU: 0}", "do not say CPU: 0"),
    ("{CPU: 0, GPU: 0}", "{CPU: 0}", "do not say GPU: 0"),
    ("--num-cpus=0", "--num-cpus=4", "says --num-cpus 4"),
    ("--num-gpus=0", "", "says --num-gpus nowhere"),
    ("MarketType: spot", "MarketType: capacity-block", "MarketType capacity-block"),
    (
        "KeyName: class-weighting",
        "KeyName: class-weighting\n            InstanceMarketOptions: {MarketType: spot}",
        "the head is bought on a market",
    ),
    ("InstanceInitiatedShutdownBehavior: terminate", "", "no InstanceInitiatedShutdownBehavior"),
    ("HttpTokens: required", "HttpTokens: optional", "HttpTokens: required"),
    ("AssociatePublicIpAddress: false", "AssociatePublicIpAddress: true", "a public address"),
    ("AssociatePublicIpAddress: false", "DeleteOnTermination: true", "a public address"),
    ("                  Groups: [sg-", "                  #", "interface without Groups"),
    ("Encrypted: true", "Encrypted: false", "disk without Encrypted"),
    ("Encrypted: true, ", "", "disk without Encrypted"),
    ("ImageId: ami", "# ", "head has no ImageId"),
    ("KeyName: class-weighting", "", "head has no KeyName"),
    ("IamInstanceProfile: {Name: class-weighting-head}", "", "head has no IamInstanceProfile"),
    ("{Name: class-weighting-worker}", "{Name: class-weighting-head}", "has the head's"),
    ("search.cluster.preemption", "search.other", "says -m search.other"),
    ("            ImageId", "            Imageid", r'Unknown parameter in input: "Imageid"'),
    ("HttpEndpoint:", "HttpEndpont:", "Unknown parameter in MetadataOptions"),
    ("VolumeSize: 150", "VolumeSize: big", "Ebs.VolumeSize, value: big"),
    ("MetadataOptions: {", "MetadataOptions: #", "MetadataOptions, value: None, type: .*NoneType"),
    ("Ebs: {VolumeSize", "Ebs: #", r"BlockDeviceMappings\[0\].Ebs, value: None"),
    ("InstanceType: g6.xlarge", "InstanceType: g6.xlarg", "InstanceType is 'g6.xlarg'"),
    ("VolumeType: gp3", "VolumeType: gp33", "VolumeType is 'gp33'"),
)
ON_PREMISES = (
    ("- 10.1.0.3", "- 10.1.0.2", "host 10.1.0.2 is named twice"),
    ("- 10.1.0.3", "- 10.1.0.1", "host 10.1.0.1 is named twice"),
    ("cluster_name:", "min_workers: 1\ncluster_name:", "min_workers is 1"),
    ("cluster_name:", "max_workers: 5\ncluster_name:", "max_workers is 5"),
    ("RAY_enable_autoscaler_v2=0", "", "autoscaler_v2 nowhere"),
    ("reconnect_timeout_s=20", "reconnect_timeout_s=600", "reconnect_timeout_s 600"),
    ("    worker_ips:", "    workers:", "Ray refuses the file"),
)
BREAKS = [
    *((name, *case[:3]) for case in BOTH for name in FILES if case[3] in (None, name)),
    *((AWS, *case) for case in ON_AWS),
    *((ONPREM, *case) for case in ON_PREMISES),
]


@pytest.mark.parametrize(("name", "text", "becomes", "sentence"), BREAKS)
def test_a_fault_is_told(name: str, text: str, becomes: str, sentence: str | None) -> None:
    whole = filled(name)
    assert text in whole
    told = faults(yaml.safe_load(whole.replace(text, becomes)))
    assert bool(told) == (sentence is not None)
    if sentence is not None:
        assert any(re.search(sentence, line) for line in told), told
    assert all(line.endswith(".") for line in told)


@pytest.mark.parametrize(
    "content",
    ("provider: {type: gcp}", "provider: {}", "provider:", "provider: {type: [aws]}", "- aws", ""),
)
def test_files_for_other_providers_are_not_judged(content: str) -> None:
    with pytest.raises(UserError, match="and this check knows aws and local"):
        faults(yaml.safe_load(content))


def test_machines_that_are_left_out_are_told() -> None:
    (told,) = faults({"cluster_name": "x", "provider": {"type": "aws", "region": "eu-central-1"}})
    assert told.startswith("available_node_types is left out")


def test_the_command_ends_with_2_and_a_sentence_for_each_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(filled(AWS))
    assert main([str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: no fault found\n"
    path.write_text(filled(AWS).replace("Encrypted: true", "Encrypted: false"))
    assert main([str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    for content in ("a: [", "a: b: c", "\x00"):
        path.write_text(content)
        assert main([str(path)]) == 2
        assert f"error: {path} cannot be read as a cluster file" in capsys.readouterr().err
    assert main([str(tmp_path / "missing.yaml")]) == 2
