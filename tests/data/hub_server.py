"""A small Hub on loopback: it serves the folders owner/name below a root as data set repositories.

Only what `datasets` asks for: a repository's information, its tree, and its files. A revision is
any name listed in a repository's file `.revisions`, or main.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c0ffee" * 6 + "c0ff"


class Handler(BaseHTTPRequestHandler):
    root: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        match = re.fullmatch(
            r"(/api)?/datasets/([^/]+/[^/]+?)(?:/(resolve|revision|tree)/([^/]+)(?:/(.*))?)?/?",
            path,
        )
        if not match:
            return self.fail("EntryNotFound")
        _, name, verb, revision, inside = match.groups()
        folder = self.root / name
        if not folder.is_dir():
            return self.fail("RepoNotFound")
        known = ["main", COMMIT]
        if (folder / ".revisions").exists():
            known += (folder / ".revisions").read_text().split()
        if revision and revision.replace("%2F", "/") not in known:
            return self.fail("RevisionNotFound")
        files = [one for one in sorted(folder.rglob("*")) if one.is_file() and one.name[0] != "."]
        if verb == "resolve":
            if folder / inside not in files:
                return self.fail("EntryNotFound")
            return self.send((folder / inside).read_bytes())
        if verb == "tree":
            if not (folder / (inside or "")).is_dir():
                return self.fail("EntryNotFound")
            return self.send_json(
                [
                    {
                        "type": "directory" if one.is_dir() else "file",
                        "path": str(one.relative_to(folder)),
                        "size": one.stat().st_size,
                        "oid": hashlib.sha1(str(one).encode()).hexdigest(),
                    }
                    for one in sorted((folder / (inside or "")).iterdir())
                    if one.name[0] != "."
                ]
            )
        siblings = [{"rfilename": str(one.relative_to(folder))} for one in files]
        return self.send_json({"id": name, "sha": COMMIT, "siblings": siblings, "tags": []})

    do_HEAD = do_GET

    def send_json(self, value: Any) -> None:
        self.send(json.dumps(value).encode())

    def send(self, content: bytes, *, status: int = 200, error: str = "") -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        total = len(content)
        if asked and status == 200:
            first, last = int(asked[1]), int(asked[2] or total - 1)
            content, status = content[first : last + 1], 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{first + len(content) - 1}/{total}")
        if error:
            self.send_header("X-Error-Code", error)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def fail(self, error: str) -> None:
        self.send(b"", status=404, error=error)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """The address of a Hub that serves this folder while the block runs."""
    handler = type("RootHandler", (Handler,), {"root": root})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
