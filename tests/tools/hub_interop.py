"""Holds genchi and huggingface_hub against one stand-in hub: each finds what the other stored, and neither asks again for
bytes. Needs huggingface_hub and transformers. Usage: hub_interop.py MODEL_DIRECTORY GENCHI"""
import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

root = pathlib.Path(sys.argv[1]); genchi = os.path.abspath(sys.argv[2])
C = "a" * 40
files = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
big = {n for n in files if n.endswith(".safetensors")}
def etag(n):
    d = files[n]
    return hashlib.sha256(d).hexdigest() if n in big else hashlib.sha1(b"blob %d\0" % len(d) + d).hexdigest()
log = []
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def go(self):
        log.append((self.command, self.path, self.headers.get("Authorization"), self.headers.get("Host")))
        p = self.path.split("?")[0]
        if p.startswith("/api/models/org/tiny"):
            if "/tree/" in p:
                b = json.dumps([{"type":"file","path":n,"size":len(files[n]),"oid":etag(n)} for n in files]).encode()
            else:
                b = json.dumps({"id": "org/tiny", "modelId": "org/tiny", "sha": C, "private": False, "tags": [], "downloads": 0, "likes": 0,
                  "siblings": [{"rfilename": n, "size": len(files[n]), **({"lfs": {"sha256": etag(n), "size": len(files[n]), "pointerSize": 1}} if n in big else {})} for n in files]}).encode()
            return self.out(200, {"Content-Type": "application/json"}, b)
        if p.startswith("/cdn/"):
            return self.blob(p[5:])
        pre = "/org/tiny/resolve/"
        if p.startswith(pre):
            n = p[len(pre):].split("/", 1)[1]
            if n not in files:
                return self.out(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": C}, b"")
            h = {"X-Repo-Commit": C}
            if n in big:
                h.update({"X-Linked-Etag": '"%s"' % etag(n), "X-Linked-Size": str(len(files[n])), "Location": f"http://localhost:{port}/cdn/{n}"})
                return self.out(302, h, b"")
            h["ETag"] = '"%s"' % etag(n)
            return self.blob(n, h)
        self.out(404, {}, b"")
    def blob(self, n, h=None):
        d = files[n]; r = self.headers.get("Range"); h = dict(h or {}); s = 200
        if r:
            a = int(r.split("=")[1].split("-")[0]); h["Content-Range"] = f"bytes {a}-{len(d)-1}/{len(d)}"; d = d[a:]; s = 206
        self.out(s, h, d)
    def out(self, s, h, b):
        self.send_response(s)
        for k, v in h.items(): self.send_header(k, v)
        self.send_header("Content-Length", str(len(b))); self.end_headers()
        if self.command != "HEAD": self.wfile.write(b)
    do_GET = do_HEAD = go
srv = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H); port = srv.server_port
threading.Thread(target=srv.serve_forever, daemon=True).start()
base = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_TOKEN": "hf_x", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
def py(home, code, **more):
    r = subprocess.run([sys.executable, "-c", code], env={**base, "HF_HOME": home, **more}, capture_output=True, text=True)
    print(r.stdout[-600:], r.stderr[-800:] if r.returncode else ""); return r.returncode
def gn(home, *a, **more):
    r = subprocess.run([genchi, *a], env={**base, "HF_HOME": home, **more}, capture_output=True, text=True)
    print(" ".join(a[:3]), r.returncode, r.stdout[-300:], r.stderr[-300:]); return r.returncode
one, two = tempfile.mkdtemp(), tempfile.mkdtemp()
assert gn(one, "model", "pull", "org/tiny") == 0
print({a for a in log if a[3].startswith("localhost") and a[2]}, "tokens at the other host")
assert py(one, """
import os
from huggingface_hub import snapshot_download, hf_hub_download, scan_cache_dir
d = snapshot_download("org/tiny"); print(d)
print(hf_hub_download("org/tiny", "config.json"), scan_cache_dir().warnings, [ (r.repo_id, r.nb_files, [x.refs for x in r.revisions]) for r in scan_cache_dir().repos])
from transformers import AutoModel, AutoTokenizer
m = AutoModel.from_pretrained("org/tiny"); t = AutoTokenizer.from_pretrained("org/tiny"); print(type(m).__name__, sum(p.numel() for p in m.parameters()))
""", HF_HUB_OFFLINE="1") == 0
n = len(log)
assert py(one, "from huggingface_hub import snapshot_download; print(snapshot_download('org/tiny'))") == 0
print("python asked again for bytes:", [a for a in log[n:] if a[0] == "GET" and "/resolve/" in a[1] or "/cdn/" in a[1]])
assert py(two, "from huggingface_hub import snapshot_download; print(snapshot_download('org/tiny'))") == 0
assert gn(two, "model", "verify", "org/tiny", HF_HUB_OFFLINE="1") == 0
n = len(log)
assert gn(two, "model", "pull", "org/tiny") == 0
print("genchi asked again for bytes:", [a for a in log[n:] if a[0] == "GET" and ("/resolve/" in a[1] or "/cdn/" in a[1])])
assert not [a for a in log[n:] if a[0] == "GET" and ("/resolve/" in a[1] or "/cdn/" in a[1])]
assert not [a for a in log if a[3].startswith("localhost") and a[2]], "a token came to the other host"
print("both find what the other stored")
