"""genchi and huggingface_hub against one stand-in hub and one cache: each finds what the other stored and neither asks
again for bytes; no token goes to the host that a redirect leads to. With transformers installed it also loads what
genchi pulled."""

import hashlib
import http.server
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1] / "golden" / "model" / "bert"
COMMIT = "a" * 40
OURS = ("texts.json", "expected.safetensors")  # beside the model, not of it
FILES = {str(p.relative_to(ROOT)): p.read_bytes() for p in ROOT.rglob("*") if p.is_file() and p.name not in OURS}
BIG = {n for n in FILES if n.endswith(".safetensors")}  # as in LFS: served from another host


def etag(name):
    d = FILES[name]
    return hashlib.sha256(d).hexdigest() if name in BIG else hashlib.sha1(b"blob %d\0" % len(d) + d).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = []  # (method, path, Authorization, Host)

    def log_message(self, *a):
        pass

    def go(self):
        Hub.log.append((self.command, self.path, self.headers.get("Authorization"), self.headers.get("Host")))
        path = self.path.split("?")[0]
        if path.startswith("/api/models/org/tiny"):
            return self.out(200, {"Content-Type": "application/json"}, json.dumps(
                self.tree() if "/tree/" in path else self.about()).encode())
        if path.startswith("/cdn/"):
            return self.blob(path[5:])
        before = "/org/tiny/resolve/"
        if not path.startswith(before):
            return self.out(404, {}, b"")
        name = path[len(before):].split("/", 1)[1]
        if name not in FILES:
            return self.out(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"")
        head = {"X-Repo-Commit": COMMIT}
        if name in BIG:
            head.update({"X-Linked-Etag": '"%s"' % etag(name), "X-Linked-Size": str(len(FILES[name])),
                         "Location": f"http://localhost:{self.server.server_port}/cdn/{name}"})
            return self.out(302, head, b"")
        head["ETag"] = '"%s"' % etag(name)
        return self.blob(name, head)

    def tree(self):
        return [{"type": "file", "path": n, "size": len(FILES[n]), "oid": etag(n)} for n in FILES]

    def about(self):
        large = lambda n: {"lfs": {"sha256": etag(n), "size": len(FILES[n]), "pointerSize": 1}} if n in BIG else {}
        return {"id": "org/tiny", "modelId": "org/tiny", "sha": COMMIT, "private": False, "tags": [], "downloads": 0,
                "likes": 0, "siblings": [{"rfilename": n, "size": len(FILES[n]), **large(n)} for n in FILES]}

    def blob(self, name, head=None):
        data, wanted, head, status = FILES[name], self.headers.get("Range"), dict(head or {}), 200
        if wanted:
            first = int(wanted.split("=")[1].split("-")[0])
            head["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            data, status = data[first:], 206
        self.out(status, head, data)

    def out(self, status, head, body):
        self.send_response(status)
        for k, v in head.items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = go


def bytes_asked(since):
    return [a[1] for a in Hub.log[since:] if a[0] == "GET" and ("/resolve/" in a[1] or "/cdn/" in a[1])]


def run(report, o):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    plain = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and not k.lower().endswith("_proxy")}
    plain.update({"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_TOKEN": "hf_x",
                  "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"})

    def step(name, home, words, **more):
        r = subprocess.run(words, env={**plain, "HF_HOME": home, **more}, capture_output=True, text=True)
        report.check(f"hub, {name}", r.returncode == 0, r.stdout.strip().split("\n")[-1][:100])
        if r.returncode != 0:
            print(r.stdout[-1000:], r.stderr[-1000:])

    python = lambda code: [sys.executable, "-c", code]
    download = python("import os; from huggingface_hub import snapshot_download as s; "
                      "print(len(os.listdir(s('org/tiny'))), 'files')")
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        step("genchi pulls", one, [o.genchi, "model", "pull", "org/tiny"])
        step("huggingface_hub finds it offline", one, download, HF_HUB_OFFLINE="1")
        step("scan_cache_dir has nothing to say against it", one, python(
            "from huggingface_hub import scan_cache_dir as s; x = s(); assert not x.warnings, x.warnings; "
            "r, = x.repos; assert r.repo_id == 'org/tiny' and r.nb_files > 3; print(r.nb_files, 'files')"))
        if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
            step("transformers loads it offline", one, python(
                "from transformers import AutoModel, AutoTokenizer; m = AutoModel.from_pretrained('org/tiny'); "
                "AutoTokenizer.from_pretrained('org/tiny'); print(type(m).__name__)"), HF_HUB_OFFLINE="1")
        since = len(Hub.log)
        step("huggingface_hub takes it over", one, download)
        report.check("hub, and asks for no bytes", not bytes_asked(since), str(bytes_asked(since) or ""))
        step("huggingface_hub downloads", two, download)
        step("genchi finds it offline", two, [o.genchi, "model", "verify", "org/tiny"], HF_HUB_OFFLINE="1")
        since = len(Hub.log)
        step("genchi takes it over", two, [o.genchi, "model", "pull", "org/tiny"])
        report.check("hub, and asks for no bytes either", not bytes_asked(since), str(bytes_asked(since) or ""))
    leaked = [a[1] for a in Hub.log if a[3].startswith("localhost") and a[2]]
    report.check("hub, no token at the host that a redirect leads to", not leaked, str(leaked or ""))
    server.shutdown()
