"""The check of a cluster file finds what Ray would accept, or find out too late.

``python -m search.cluster.config_check cluster.yaml`` prints a sentence for each fault. Ray's own
check comes first, and on AWS that of EC2's parameters; the others find what these let pass: open
ports, machines that are paid and not used, misspelled keys, and values that have not been filled
in. Nothing is asked of the network.
"""

import contextlib
import io
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from search.cluster import config_check_aws
from spaces.errors import UserError
from trainer.arguments import Parser
from trainer.entry_point import entry_point

Config = dict[str, Any]
PLACEHOLDER = "CHANGE"
TOKEN_FILE = "~/.ray/auth_token"
HEAD, WORKER = "head_start_ray_commands", "worker_start_ray_commands"
COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    HEAD,
    WORKER,
)
PRIVATE = "$RAY_TMPDIR/ray"
OPEN = "other accounts of the machine can replace the code in Ray's folder elsewhere"
READABLE = "other accounts could read what Ray writes"
CLOSED = "test -O $RAY_TMPDIR && ! test -L $RAY_TMPDIR && chmod 700 $RAY_TMPDIR"


@dataclass(frozen=True)
class Setting:
    """What every ``ray start`` command below a key has to say, and why."""

    key: str
    name: str
    value: str
    why: str
    between: str = "="
    """What is written between name and value."""

    def faults(self, config: Config) -> Iterator[str]:
        starts = [c for c in config.get(self.key, ()) if re.search(r"\bray start\b", c)]
        if not starts:
            yield f"{self.key} has no ray start command; take this project's file as it was."
        for command in starts:
            found = re.findall(rf"(?<!\S){re.escape(self.name)}[= ]([^\s;]+)", command)
            if not found or set(found) != {self.value}:
                yield (
                    f"{self.key} says {self.name} {' and '.join(found) or 'nowhere'}, and "
                    f"{self.why}; write {self.name}{self.between}{self.value} there."
                )


SETTINGS = {
    "aws": (
        Setting(HEAD, "--num-cpus", "0", "trials on the head could take the driver with them"),
        Setting(HEAD, "--num-gpus", "0", "trials on the head could take the driver with them"),
        Setting(
            WORKER,
            "-m",
            "search.cluster.preemption",
            "nothing else tells Ray of a preemption",
            between=" ",
        ),
    ),
    "local": (
        Setting(HEAD, "RAY_enable_autoscaler_v2", "0", "the newer one starts a worker too few"),
        Setting(
            WORKER,
            "RAY_gcs_rpc_server_reconnect_timeout_s",
            "20",
            "workers outlive ray down by a minute and more",
        ),
    ),
    "any": (
        *(Setting(key, "--temp-dir", PRIVATE, OPEN) for key in (HEAD, WORKER)),
        *(Setting(key, "umask", "077", READABLE, between=" ") for key in (HEAD, WORKER)),
        Setting(HEAD, "RAY_AUTH_MODE", "token", "Ray asks nobody for the token otherwise"),
        Setting(WORKER, "RAY_AUTH_MODE", "token", "Ray asks nobody for the token otherwise"),
        Setting(HEAD, "--dashboard-host", "127.0.0.1", "the dashboard takes jobs from anyone else"),
        Setting(
            HEAD,
            "RAY_JOB_STOP_WAIT_TIME_S",
            "60",
            "Ray kills a search three seconds after ray job stop otherwise",
        ),
        Setting(
            HEAD,
            "RAY_START_HOOK",
            "search.cluster.start_hook.without_client_server",
            "Ray opens a port for clients otherwise",
        ),
    ),
}
PROVIDER_KEYS = {
    "aws": {"type", "region", "cache_stopped_nodes", "use_internal_ips"},
    "local": {"type", "head_ip", "worker_ips", "external_head_ip"},
}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every scalar in a nested structure with where it is."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, value


def unfilled(config: Config) -> Iterator[str]:
    seen = set()  # several machines may share a value of the file
    for path, value in leaves(config):
        if PLACEHOLDER in str(value) and value not in seen:
            yield f"{path} is still {value!r}; fill it in, the comment beside it says with what."
        seen.add(value)


def refused_by_ray(config: Config) -> Iterator[str]:
    """Run the check of ``ray up``, which is said to nobody and asks no provider."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            logging.disable()
            validate_config(prepare_config(config))
    except Exception as error:  # of many kinds, and each would end ray up
        message = getattr(error, "message", None) or str(error)
        yield f"Ray refuses {getattr(error, 'json_path', 'the file')}: {message}."
    finally:
        logging.disable(logging.NOTSET)


def provider_faults(config: Config) -> Iterator[str]:
    known = PROVIDER_KEYS[config["provider"]["type"]]
    for key in sorted(config["provider"].keys() - known):
        yield (
            f"provider.{key} is nothing that this project's files use, and Ray does not check its "
            f"spelling; there are {', '.join(sorted(known))}."
        )


def command_faults(config: Config) -> Iterator[str]:
    for key in COMMANDS:
        for command in config.get(key, ()):
            if re.search(r"(^|\s)#", command):
                yield (
                    f"{key} has a comment within the command {command[:30]!r}..., which hides what "
                    "Ray puts behind it; move the comment to a line of its own above."
                )


def folder_faults(config: Config) -> Iterator[str]:
    """Yield where Ray's folder is not closed to other accounts before Ray is started in it."""
    for key in (HEAD, WORKER):
        if CLOSED not in " ".join(config.get(key, ())):
            yield f"{key} do not make sure that RAY_TMPDIR is closed to others; add {CLOSED}."


def token_faults(config: Config) -> Iterator[str]:
    if TOKEN_FILE not in config.get("file_mounts", {}):
        yield f"file_mounts does not bring {TOKEN_FILE} to the machines; add it."
    setup = " ".join(config.get("setup_commands", ()))
    if f"chmod 600 {TOKEN_FILE}" not in setup:
        yield f"setup_commands leave {TOKEN_FILE} readable to others; add chmod 600 {TOKEN_FILE}."
    if "python -m search.cluster.environment_check" not in setup:
        yield (
            "setup_commands do not check the versions; end them with "
            "python -m search.cluster.environment_check."
        )


def hosts_faults(config: Config) -> Iterator[str]:
    """Yield what is wrong with the hosts of a cluster on premises."""
    provider = config["provider"]
    hosts = [provider["head_ip"], *provider["worker_ips"]]
    for host in sorted({host for host in hosts if hosts.count(host) > 1}):
        yield f"the host {host} is named twice in provider; a host is the head or one worker."
    count = len(provider["worker_ips"])
    for key in ("min_workers", "max_workers"):
        if config.get(key, count) != count:
            yield f"{key} is {config[key]}, and all {count} worker_ips are started; leave it out."


def faults(config: Config) -> list[str]:
    """Return a sentence for everything that is wrong.

    Raises:
        UserError: it is no cluster file, or one for a provider that this project has no file for.
    """
    provider = config.get("provider") if isinstance(config, dict) else None
    kind = provider.get("type") if isinstance(provider, dict) else None
    if kind not in list(PROVIDER_KEYS):
        raise UserError(f"provider.type is {kind!r}, and this check knows aws and local.")
    if refused := list(refused_by_ray(config)):
        return refused
    if kind == "aws" and (refused := list(config_check_aws.refused_by_ec2(config))):
        return refused
    settings = (*SETTINGS["any"], *SETTINGS[kind])
    rules = [unfilled, provider_faults, command_faults, token_faults, folder_faults]
    rules += [setting.faults for setting in settings]
    rules += [hosts_faults] if kind == "local" else config_check_aws.RULES
    return [sentence for rule in rules for sentence in rule(config)]


def read(path: Path) -> Config:
    try:
        return yaml.safe_load(path.read_text())  # type: ignore[no-any-return]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as a cluster file: {reason}.") from error


@entry_point()
def main(argv: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m search.cluster.config_check",
        description="Say what is wrong with a cluster file, before `ray up` is run with it.",
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="cluster.yaml or cluster-onprem.yaml"
    )
    path = parser.parse_args(argv).file
    try:
        sentences = faults(read(path))
    except UserError as error:
        sentences = [str(error)]
    for sentence in sentences:
        print(f"error: {sentence}", file=sys.stderr)
    if not sentences:
        print(f"{path}: no fault found")
    return 2 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
