"""Credentials that expire are asked for anew, and the operator goes on."""

import asyncio
import json
import stat
from pathlib import Path

import pytest
import yaml

from saperly_operator.kube import api
from tests.support.waiting import eventually

PLUGIN = """#!/bin/sh
n=$(cat {counter} 2>/dev/null || echo 0); n=$((n + 1)); echo $n > {counter}
echo '{answer}' | sed "s/TOKEN/token-$n/"
"""


def kubeconfig_with_a_plugin(folder: Path, expires: str) -> Path:
    """One whose token comes from a program, as the clouds' do, and expires at that moment."""
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "TOKEN", "expirationTimestamp": expires},
    }
    plugin = folder / "plugin"
    plugin.write_text(PLUGIN.format(counter=folder / "counter", answer=json.dumps(answer)))
    plugin.chmod(stat.S_IRWXU)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [
            {
                "name": "it",
                "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}},
            }
        ],
    }
    file = folder / "config"
    file.write_text(yaml.safe_dump(config))
    return file


async def test_a_plugins_token_is_asked_for_again_when_it_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kubeconfig_with_a_plugin(tmp_path, "2000-01-01T00:00:00Z")
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    monkeypatch.setattr(api, "_REFRESH_SECONDS", 0.01)
    async with api.connect(request_timeout=1, pool_size=1) as kube:
        tokens = kube._api.configuration.api_key
        assert tokens["BearerToken"] == "Bearer token-1"
        await asyncio.to_thread(eventually, lambda: tokens["BearerToken"] != "Bearer token-1", "another is in use")
