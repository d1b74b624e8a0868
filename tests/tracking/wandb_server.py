"""A server that answers what W&B's own client asks of the real one, and remembers what has arrived."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "somebody"


class Server(ThreadingHTTPServer):
    """W&B on a port of its own. What of it misbehaves is set by the test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.operations: Counter[str] = Counter()  # GraphQL operations
        self.runs: dict[str, dict[str, Any]] = {}  # by id: name, group, tags, job type, history, finished
        self.files: dict[str, bytes] = {}  # what was uploaded, by its path
        self.committed: set[str] = set()  # artifacts
        self.views: dict[str, dict[str, Any]] = {}
        self.refused: set[str] = set()  # runs that the server does not want
        self.curves_refused: set[str] = set()  # runs whose history the server does not want
        self.too_many = 0  # so many requests are answered with HTTP 429
        self.held: set[str] = set()  # runs whose history is not answered before `go`
        self.go = threading.Event()
        self.most_at_once = 0  # of runs between their first request and their last

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that is ended breaks its connections."""

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """The data that answer a GraphQL operation. Raises ValueError for what is refused."""
        project = {"id": "project", "name": given.get("project"), "entityName": ENTITY}
        project["entity"] = {"id": "entity", "name": ENTITY}
        if operation == "UpsertBucket":
            self._run(given)
            names = {"id": given["name"], "name": given["name"], "displayName": given["displayName"] or ""}
            others = {"description": "", "config": "{}", "sweepName": None, "historyLineCount": 0}
            return {"upsertBucket": {"bucket": {**names, **others, "project": project}, "inserted": True}}
        if operation == "CreateRunFiles":
            run = given["run"]
            files = [{"name": file, "uploadUrl": f"{self.url}/upload/{run}/{file}"} for file in given["files"]]
            return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}
        if operation in _FIXED:
            return _FIXED[operation]
        if operation in ("UpsertView2", "upsertView"):
            return {"upsertView": {"view": self._view(given, project), "inserted": True}}
        return self._artifact(operation, given)

    def _run(self, given: dict[str, Any]) -> None:
        run_id = given["name"]
        if run_id in self.refused:
            raise ValueError("the project is full, see [/docs] :x:")
        run = self.runs.setdefault(run_id, {"history": {}, "finished": False})
        run |= {key: given[key] for key in ("displayName", "groupName", "jobType", "tags") if given[key] is not None}
        self.most_at_once = max(self.most_at_once, sum(not shown["finished"] for shown in self.runs.values()))

    def _view(self, given: dict[str, Any], project: dict[str, Any]) -> dict[str, Any]:
        """A view or a report that is saved: as new, or in place of the one whose id is given."""
        view_id = given.get("id") or f"view-{len(self.views)}"
        if given.get("id") and view_id not in self.views:
            raise ValueError(f"there is no view {view_id}")
        view = {key: given[key] for key in ("name", "displayName", "type", "description", "spec")} | {"id": view_id}
        self.views[view_id] = view
        return {**view, "project": project | {"name": given["projectName"]}, "updatedAt": "2026-01-01T00:00:00Z"}

    def _artifact(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """What is asked for an artifact: it is created, its manifest and its files are, it is committed."""
        if operation == "CreateArtifact":
            name = given["input"]["artifactCollectionName"]
            return {"createArtifact": {"artifact": {"id": name, "state": "PENDING", "artifactSequence": {}}}}
        if operation in ("CreateArtifactManifest", "UpdateArtifactManifest"):
            url = f"{self.url}/upload/{given.get('artifactID', 'manifest')}/{given.get('name', 'manifest.json')}"
            file = {"id": "file", "uploadUrl": url, "uploadHeaders": []}
            key = operation[0].lower() + operation[1:]
            return {key: {"artifactManifest": {"id": "manifest", "file": file}}}
        if operation == "CreateArtifactFiles":
            files = [self._artifact_file(spec) for spec in given["input"]["artifactFiles"]]
            return {"createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}}}
        if operation == "CommitArtifact":
            self.committed.add(given["artifactID"])
            return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": ""}}}
        raise KeyError(operation)

    def _artifact_file(self, spec: dict[str, Any]) -> dict[str, Any]:
        name = f"{spec['artifactID']}/{spec['name']}"
        where = {"storagePath": name, "uploadUrl": f"{self.url}/upload/{name}", "uploadHeaders": []}
        return {
            "id": name,
            "name": spec["name"],
            "displayName": spec["name"],
            "artifact": {"id": spec["artifactID"]},
            **where,
        }

    def streamed(self, run_id: str, sent: dict[str, Any]) -> None:
        """Take a part of a run's history, which says at which line it begins."""
        run = self.runs[run_id]
        part = sent.get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
        run["history"] |= {part["offset"] + number: json.loads(line) for number, line in enumerate(part["content"])}
        run["finished"] |= bool(sent.get("complete"))


_PROJECT = {"__typename": "Project", "id": "project", "name": "dsbench", "entityName": ENTITY, "isBenchmark": False}
_FIXED: dict[str, dict[str, Any]] = {
    "ServerFeaturesQuery": {"serverInfo": {"features": []}},
    "GetDefaultEntity": {"viewer": {"id": "viewer", "entity": ENTITY}},
    "ProjectInternalId": {"project": {"id": "project", "internalId": "1"}},
    "GetProjects": {
        "models": {
            "totalCount": 1,
            "pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False},
            "edges": [{"node": _PROJECT | {"createdAt": "2026-01-01T00:00:00Z", "user": None}}],
        }
    },
    "Viewer": {"viewer": {"id": "viewer", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self._body()
        with self.server.lock:
            if self.server.too_many and not self.path.startswith("/sdk/"):
                self.server.too_many -= 1
                self._reply({}, 429, {"Retry-After": "1"})
                return
        if stream := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
            if stream[1] in self.server.curves_refused:
                self._reply({}, 403)
                return
            if stream[1] in self.server.held:
                self.server.go.wait(30)
            with self.server.lock:
                self.server.streamed(stream[1], json.loads(body))
            self._reply({"limits": {}})
        elif self.path == "/graphql":
            self._graphql(json.loads(body))
        else:
            self._reply({})

    def do_PUT(self) -> None:
        body = self._body()
        with self.server.lock:
            self.server.files[self.path.removeprefix("/upload/")] = body
        self._reply({})

    def do_GET(self) -> None:
        self._reply({})

    def _graphql(self, query: dict[str, Any]) -> None:
        operation = query.get("operationName") or re.search(r"(?:query|mutation)\s+(\w+)", query["query"])[1]  # type: ignore[index]
        with self.server.lock:
            self.server.operations[operation] += 1
            try:
                self._reply({"data": self.server.answer(operation, query.get("variables") or {})})
            except ValueError as error:
                self._reply({"errors": [{"message": str(error)}]})
            except KeyError:
                self._reply({"errors": [{"message": f"unknown operation {operation}"}]})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def serving() -> Iterator[Server]:
    """The server, while it runs."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go.set()
        server.shutdown()
        server.server_close()
        thread.join()
