"""The credentials of a control plane: complete, private, and in files alone."""

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from saperly_operator.envtest import components
from saperly_operator.envtest.kubeconfig import User, kubeconfig, service_account_key, token_file, write_private


def test_a_kubeconfig_is_complete_in_itself() -> None:
    config = yaml.safe_load(kubeconfig("https://127.0.0.1:1234", "the authority\n", "ann", "s3cret", "agents"))
    (cluster,), (user,), (context,) = config["clusters"], config["users"], config["contexts"]
    assert cluster["cluster"]["server"] == "https://127.0.0.1:1234"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"the authority\n"
    assert user == {"name": "ann", "user": {"token": "s3cret"}}
    assert context["name"] == config["current-context"]
    assert context["context"] == {"cluster": cluster["name"], "user": "ann", "namespace": "agents"}


def test_the_token_file_names_each_user_with_its_groups() -> None:
    admin, plain = User("admin", ("system:masters", "staff"), "t1"), User("plain", (), "t2")
    assert token_file([admin, plain]) == 't1,admin,admin,"system:masters,staff"\nt2,plain,plain,""\n'


def test_every_user_has_a_token_of_its_own_that_no_repr_shows() -> None:
    one, other = User("one"), User("one")
    assert one.token != other.token
    assert one.token not in repr(one)


def test_a_private_file_can_be_read_by_its_owner_only_also_when_it_is_written_again(tmp_path: Path) -> None:
    for content in ("first", "second"):
        path = write_private(tmp_path / "tokens", content)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() == content


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is what judges the key")
def test_the_service_account_key_is_a_fresh_p256_key() -> None:
    one, other = service_account_key(), service_account_key()
    assert one != other
    said = subprocess.run(
        ["openssl", "ec", "-noout", "-text"], input=one, capture_output=True, text=True, check=True
    ).stdout
    assert "prime256v1" in said


def test_no_command_line_holds_a_credential(tmp_path: Path) -> None:
    layout = components.Layout(tmp_path)
    user = User("admin")
    write_private(layout.tokens, token_file([user]))
    key = service_account_key()
    write_private(layout.service_account_key, key)
    config = write_private(layout.kubeconfig("admin"), kubeconfig("https://127.0.0.1:1", "ca", "admin", user.token))
    binary = Path("/bin/true")
    lines = [
        components.etcd(binary, layout),
        components.apiserver(binary, layout, 1),
        components.controller_manager(binary, layout, config),
        components.scheduler(binary, config),
        components.kwok(binary, config),
    ]
    argv = " ".join(word for line in lines for word in line)
    assert user.token not in argv
    assert not any(line in argv for line in key.splitlines()[1:-1])
