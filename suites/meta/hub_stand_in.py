"""A hub on the loopback interface: enough of the hub's HTTP for its real client to download from.

Serves directories as repositories. The answers are those the hub documents in its API and in the
headers its client reads: X-Repo-Commit, X-Error-Code, ETag, Content-Range.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

TOKEN = "hf_stand_in"  # opens gated repositories
API = re.compile(r"/api/models/(?P<repo>.+?)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
FILE = re.compile(r"/(?P<repo>.+?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass(frozen=True)
class Repository:
    """A directory under an id: its one commit (40 hex digits), and whether it is gated."""

    directory: Path
    commit: str
    gated: bool = False

    def files(self) -> list[str]:
        """Names relative to the directory, in order."""
        found = (path for path in self.directory.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.directory).as_posix() for path in found)


class _RefusedError(Exception):
    """An answer other than success, with the code the client tells refusals apart by."""

    def __init__(self, status: HTTPStatus, code: str) -> None:
        """The status line's number and the X-Error-Code header."""
        super().__init__(code)
        self.status = status
        self.code = code


@contextmanager
def hub_stand_in(repositories: Mapping[str, Repository]) -> Iterator[str]:
    """Serve the repositories; gives the URL for HF_ENDPOINT."""
    handler = partial(_Handler, repositories)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    def __init__(self, repositories: Mapping[str, Repository], *arguments: object) -> None:
        """`arguments` are what the server hands every handler."""
        self.repositories = repositories
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer one request, HEAD the same way without its body."""
        path = unquote(urlsplit(self.path).path)
        try:
            if match := API.fullmatch(path):
                self._describe(match)
            elif match := FILE.fullmatch(path):
                self._send_file(match)
            else:
                raise _RefusedError(HTTPStatus.NOT_FOUND, "EntryNotFound")
        except _RefusedError as refusal:
            self._answer(refusal.status, b"{}", {"X-Error-Code": refusal.code})

    do_HEAD = do_GET  # noqa: N815 - the name http.server looks up

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the tests' output is not the place for an access log."""

    def _describe(self, match: re.Match[str]) -> None:
        """What is in a repository: its commit and file names, or sizes and hashes too."""
        repository = self._repository(match)
        if match["what"] == "tree":
            listing: object = [_tree_entry(repository, name) for name in repository.files()]
        else:
            listing = {
                "id": match["repo"],
                "sha": repository.commit,
                "private": False,
                "gated": "auto" if repository.gated else False,
                "siblings": [{"rfilename": name} for name in repository.files()],
            }
        body = json.dumps(listing).encode()
        self._answer(HTTPStatus.OK, body, {"Content-Type": "application/json"})

    def _send_file(self, match: re.Match[str]) -> None:
        """A file or the range of it that was asked for."""
        repository = self._repository(match)
        if repository.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _RefusedError(HTTPStatus.FORBIDDEN, "GatedRepo")
        if match["file"] not in repository.files():
            raise _RefusedError(HTTPStatus.NOT_FOUND, "EntryNotFound")
        content = (repository.directory / match["file"]).read_bytes()
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": repository.commit,
            "Accept-Ranges": "bytes",
        }
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self._answer(HTTPStatus.OK, content, headers)
            return
        first, last = int(wanted[1]), int(wanted[2] or len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._answer(HTTPStatus.PARTIAL_CONTENT, content[first : last + 1], headers)

    def _repository(self, match: re.Match[str]) -> Repository:
        """The repository a request names, if it has the revision."""
        repository = self.repositories.get(match["repo"])
        if repository is None:
            # without a token the hub does not tell a missing repository from a private one
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "RepoNotFound")
        if match["revision"] not in (None, "main", repository.commit):
            raise _RefusedError(HTTPStatus.NOT_FOUND, "RevisionNotFound")
        return repository

    def _answer(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        """Send all of it, without the body when only the head was asked for."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _tree_entry(repository: Repository, name: str) -> dict[str, object]:
    """A file as the hub lists it, with its git blob id."""
    content = (repository.directory / name).read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return {"type": "file", "path": name, "size": len(content), "oid": blob.hexdigest()}
