"""Servers for tests: the app as the README starts it, on a free port, with a workspace of its own."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from oidc_provider import Provider

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes
    ----------
    address : str
        With localhost as the host, whatever it listens on.
    process : Popen
        Its process.
    log : Path
        What it wrote.
    workspace : Path
        Its workspace folder.
    """

    address: str
    process: subprocess.Popen[bytes]
    log: Path
    workspace: Path

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running_server(
    folder: Path,
    *options: str,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start the app and stop it in the end.

    Parameters
    ----------
    folder : Path
        Where the workspace and the log are put.
    *options : str
        For the command line of Streamlit.
    port : int or None, default=None
        None for a free one.
    environment : mapping or None, default=None
        Variables besides those of this process.
    """
    port = port or free_port()
    workspace, log = folder / "workspace", folder / f"server-{port}.log"
    workspace.mkdir(parents=True, exist_ok=True)
    variables = {
        **os.environ,
        "ECOVAL_WORKSPACE": str(workspace),
        "NO_PROXY": "127.0.0.1,localhost",
        "STREAMLIT_SECRETS_FILES": str(folder / "no-secrets.toml"),
        **(environment or {}),
    }
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        f"--server.port={port}",
        *options,
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
        server = Server(f"http://localhost:{port}", process, log, workspace)
        try:
            _wait_until_healthy(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _wait_until_healthy(server: Server) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with opener.open(f"{server.address}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            # The port is polled until the server listens; there is no other signal.
            time.sleep(0.1)
    raise RuntimeError(f"The server did not start: {server.log_text()}")


def write_secrets(folder: Path, provider: Provider, port: int, more: str = "") -> dict[str, str]:
    """Write the secrets that make a server use a provider; returns the variables that point to them.

    Parameters
    ----------
    folder : Path
        Where the file is put.
    provider : Provider
        The provider, which is told of the server's address.
    port : int
        Port of the server.
    more : str, default=""
        Further sections.
    """
    redirect = f"http://localhost:{port}/oauth2callback"
    provider.redirect_uris.add(redirect)
    path = folder / "secrets.toml"
    path.write_text(
        f'[auth]\nredirect_uri = "{redirect}"\ncookie_secret = "{secrets.token_hex(32)}"\n'
        f'client_id = "{provider.client_id}"\nclient_secret = "{provider.client_secret}"\n'
        f'server_metadata_url = "{provider.metadata_url}"\n{more}',
        encoding="utf-8",
    )
    return {"STREAMLIT_SECRETS_FILES": str(path)}
