"""The check of a cluster file for AWS: what costs money, lets others in, or EC2 refuses."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import botocore.session
from botocore.model import ListShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

Config = dict[str, Any]
OF_RAY = {"MinCount": 1, "MaxCount": 1}
"""What Ray adds to a machine's parameters."""
OWN_ROLE = "Ray makes a role with all rights on EC2 and S3"
NEEDED = {
    "ImageId": "Ray takes an image of 2018 otherwise",
    "KeyName": "Ray could not reach the machine",
    "IamInstanceProfile": OWN_ROLE,
}


def workers(config: Config) -> dict[str, Config]:
    """Return the node types that are not the head's, by name."""
    types: dict[str, Config] = config["available_node_types"]
    return {name: node for name, node in types.items() if name != config["head_node_type"]}


def spending_faults(config: Config) -> Iterator[str]:
    """Yield what lets machines run, or be kept, that no search asks for."""
    for key in ("max_workers", "idle_timeout_minutes"):
        if key not in config:
            yield f"{key} is left out, and it limits what is paid; state it."
    if config["provider"].get("cache_stopped_nodes", True) is not False:
        yield "provider.cache_stopped_nodes is not false, and stopped disks are paid; set it so."
    for name, node in workers(config).items():
        low, high = node.get("min_workers"), node.get("max_workers")
        if low != 0:
            yield f"{name}.min_workers is {low}, and workers are paid when idle; make it 0."
        if high is None or high < (low or 0):
            yield f"{name}.max_workers is {high}, and it limits what is paid; state it."


def market_faults(config: Config) -> Iterator[str]:
    """Yield where spot machines are wrong, and where machines that are not are."""
    head = config["available_node_types"][config["head_node_type"]]
    if "InstanceMarketOptions" in head["node_config"]:
        yield "the head is bought on a market, and a search ends with it; leave that to workers."
    for resource in ("CPU", "GPU"):
        if head["resources"].get(resource) != 0:
            yield f"the head's resources do not say {resource}: 0, and trials could run there."
    for name, node in workers(config).items():
        machine = node["node_config"]
        market = machine.get("InstanceMarketOptions", {}).get("MarketType")
        if market != "spot":
            yield f"{name} has MarketType {market}, and searches survive spot; make it spot."
        if machine.get("InstanceInitiatedShutdownBehavior") != "terminate":
            yield (
                f"{name} has no InstanceInitiatedShutdownBehavior: terminate, and machines that "
                "switch themselves off would be kept, and paid; add it."
            )


def access_faults(config: Config) -> Iterator[str]:
    """Yield what lets others in."""
    if config["provider"].get("use_internal_ips") is not True:
        yield "provider.use_internal_ips is not true, and addresses would be public; set it so."
    for name, node in config["available_node_types"].items():
        machine = node["node_config"]
        if machine.get("MetadataOptions", {}).get("HttpTokens") != "required":
            yield (
                f"{name} has no MetadataOptions with HttpTokens: required, and any request that a "
                "machine is tricked into gets its role; add it."
            )
        interfaces = machine.get("NetworkInterfaces", ())
        private = [i for i in interfaces if i.get("AssociatePublicIpAddress") is False]
        if not interfaces or len(private) < len(interfaces):
            yield (
                f"{name} has no NetworkInterfaces with AssociatePublicIpAddress: false, and the "
                "machine could get a public address; add it."
            )
        if not all(interface.get("Groups") for interface in interfaces):
            yield f"{name} has an interface without Groups, and Ray's lets in ssh; name yours."
        disks = [disk.get("Ebs", {}) for disk in machine.get("BlockDeviceMappings", ())]
        if not disks or not all(disk.get("Encrypted") is True for disk in disks):
            yield f"{name} has a disk without Encrypted: true under BlockDeviceMappings; add it."


def role_faults(config: Config) -> Iterator[str]:
    for name, node in config["available_node_types"].items():
        for key, why in NEEDED.items():
            if key not in node["node_config"]:
                yield f"{name} has no {key}, and {why}; add it."
    head = config["available_node_types"][config["head_node_type"]]["node_config"]
    for name, node in workers(config).items():
        role = node["node_config"].get("IamInstanceProfile")
        if role is not None and role == head.get("IamInstanceProfile"):
            yield f"{name} has the head's IamInstanceProfile, which may start machines; change it."


def unknown_values(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Yield where a text is none of those that EC2 knows for it."""
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"{path} is {value!r}, which EC2 does not know (or not this version of boto3)"
    if isinstance(shape, StructureShape):
        for key, part in value.items():
            yield from unknown_values(part, shape.members[key], f"{path}.{key}")
    if isinstance(shape, ListShape):
        for part in value:
            yield from unknown_values(part, shape.member, path)


@functools.cache
def run_instances() -> Shape:
    """Return botocore's own model of what starts a machine; it comes with the package."""
    model = botocore.session.get_session().get_service_model("ec2")
    return model.operation_model("RunInstances").input_shape


def refused_by_ec2(config: Config) -> Iterator[str]:
    """Yield which parameters of machines are missing, unknown to EC2 or of another type."""
    if "available_node_types" not in config:
        yield "available_node_types is left out, and Ray takes its own; state the machines."
        return
    for name, node in config["available_node_types"].items():
        report = ParamValidator().validate(node["node_config"] | OF_RAY, run_instances())
        if report.has_errors():
            yield from parameter_sentences(name, report.generate_report().split("\n"))


def value_faults(config: Config) -> Iterator[str]:
    """Yield what EC2 would refuse of parameters that have their types."""
    for name, node in config["available_node_types"].items():
        wrong = unknown_values(node["node_config"], run_instances(), "node_config")
        yield from parameter_sentences(name, wrong)


def parameter_sentences(name: str, wrong: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the parameters of a node type, in sentences."""
    for line in wrong:
        fault = line.partition(", must be one of")[0]
        yield f"{name}: {fault}; see run_instances in boto3's documentation."


RULES = [spending_faults, market_faults, access_faults, role_faults, value_faults]
