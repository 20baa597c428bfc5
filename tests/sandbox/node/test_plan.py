"""What a node is told: files, keys and programs that agree with each other."""

import ipaddress
import ssl
import tomllib
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from components.controller_manifests import PRIVATE_4
from sandbox.node import control_plane, files, keys, objects, plan
from sandbox.node.node import Node
from sandbox.services.child import ServiceError


@pytest.fixture
def wanted(tmp_path: Path) -> plan.Plan:
    return plan.Plan(str(tmp_path), 7, ("/cache/pause.tar", "/cache/coredns.tar"), ("/bin",))


def test_a_plan_is_read_as_it_was_written(wanted: plan.Plan) -> None:
    assert plan.read(wanted.write()) == wanted


def test_nodes_of_one_machine_share_no_address_and_no_group(wanted: plan.Plan) -> None:
    other = plan.Plan(wanted.home, 8, wanted.images, wanted.programs)

    for name in ("link", "gateway", "address", "pods", "cgroup"):
        assert getattr(wanted, name) != getattr(other, name)
    assert len(wanted.link) < 16  # the kernel's limit
    assert len({wanted.gateway, wanted.address, *wanted.world, *other.world}) == 2 + 2 * (1 + plan.NAMES)


def test_the_world_is_no_private_network_to_a_policy(wanted: plan.Plan) -> None:
    private = [ipaddress.ip_network(network) for network in PRIVATE_4]

    assert not [one for one in wanted.world if any(ipaddress.ip_address(one) in network for network in private)]


def test_a_program_starts_after_one_that_stands_before_it(wanted: plan.Plan) -> None:
    before = {""}
    for program in control_plane.programs(wanted):
        assert program.after in before
        before.add(program.key)
    assert {"image-pause", "image-coredns"} <= before


def test_each_program_shows_a_certificate_of_the_nodes_own_authority(wanted: plan.Plan, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    authority = x509.load_pem_x509_certificate(keys.write(wanted, folder).encode())
    public = authority.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)

    for name in keys.subjects(wanted):
        shown = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        shown.verify_directly_issued_by(authority)
        ssl.create_default_context().load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    for name in keys.CLIENTS:
        read = yaml.safe_load((folder / f"{name}.kubeconfig").read_text())
        [user] = [row["user"] for row in read["users"]]
        assert user["client-certificate"] == f"{plan.INSIDE}/keys/{name}.crt"


def test_the_api_server_answers_for_the_addresses_at_which_it_is_reached(wanted: plan.Plan, tmp_path: Path) -> None:
    keys.write(wanted, tmp_path / "keys")
    shown = x509.load_pem_x509_certificate((tmp_path / "keys" / "server.crt").read_bytes())
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"127.0.0.1", wanted.address, plan.API_SERVICE} <= addresses


def test_settings_files_can_be_read_and_are_nobody_elses(wanted: plan.Plan, tmp_path: Path) -> None:
    files.write(wanted.site, tmp_path / "settings", {"tokens.csv": "token,admin,admin\n"})

    tomllib.loads((tmp_path / "settings" / "containerd.toml").read_text())
    for name in ("kubelet.yaml", "proxy.yaml", "cni/10-pods.conflist"):
        assert yaml.safe_load((tmp_path / "settings" / name).read_text())
    assert (tmp_path / "settings" / "tokens.csv").stat().st_mode & 0o777 == 0o600


def test_names_of_the_world_stand_before_those_of_the_cluster() -> None:
    text = objects.corefile({"market.example.net": "198.18.0.10"})

    assert "198.18.0.10 market.example.net" in text
    assert "fallthrough" in text
    assert "hosts" not in objects.corefile({})


def test_every_disk_has_its_object_and_its_folder() -> None:
    disks = [each for path, each in objects.disks().items() if "persistentvolumes" in path]

    assert [each["spec"]["local"]["path"] for each in disks] == [
        f"{plan.INSIDE}/disks/{objects.disk(number)}" for number in range(objects.DISKS)
    ]


def test_more_names_than_addresses_are_refused(tmp_path: Path) -> None:
    world = {f"{number}.example.net": ("127.0.0.1", 1) for number in range(plan.NAMES + 1)}

    with pytest.raises(ServiceError, match="may know 8 names of the world, and 9 are given"):
        Node(tmp_path, [], world=world)
