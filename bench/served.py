"""Serve one repo that `bench.repos` made, and its DID document, over HTTP. Nothing else.

    python -m bench.served /tmp/repo [PORT]       prints its origin, which is PDS and PLC in one

Whoever asks for what came after another rev than the repo's gets the whole repo.

It answers at the speed of the disk, so what is measured is the client. A file `cut` beside the CAR
holds how many bytes of the next download are sent before nothing more comes, until the client goes
away; `served.log` gets a line for each answer: the method and the bytes that were sent.
"""

from __future__ import annotations

import json
import mmap
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from syncd.atproto.car import CarReader, section_of, write_car
from syncd.atproto.cid import Cid, parse_cid

_PIECE = 256 * 1024


class Served:
    """The repo in a directory, and where each of its blocks is, once somebody asks for one."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.about = json.loads((source / "repo.json").read_text(encoding="utf-8"))
        with (source / "repo.car").open("rb") as car:
            self.car = mmap.mmap(car.fileno(), 0, access=mmap.ACCESS_READ)

    @cached_property
    def places(self) -> dict[Cid, tuple[int, int]]:
        """From CID to where its section starts and ends in the CAR."""
        reader, found = CarReader(), dict[Cid, tuple[int, int]]()
        end = len(b"".join(write_car([parse_cid(self.about["commit"])], ())))
        for at in range(0, len(self.car), _PIECE):
            for cid, block in reader.feed(self.car[at : at + _PIECE]):
                start, end = end, end + len(section_of(cid, block))
                found[cid] = start, end
        return found

    def cut(self) -> int:
        """After how many bytes the next download stalls; it is told once."""
        file = self.source / "cut"
        with suppress(FileNotFoundError):
            cut = int(file.read_text(encoding="utf-8"))
            file.unlink()
            return cut
        return len(self.car) + 1

    def log(self, method: str, size: int) -> None:
        with (self.source / "served.log").open("a", encoding="utf-8") as log:
            log.write(f"{method} {size}\n")

    def document(self, origin: str) -> dict[str, object]:
        did = self.about["did"]
        multikey = self.about["key"].removeprefix("did:key:")
        service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer"}
        return {
            "id": did,
            "service": [{**service, "serviceEndpoint": origin}],
            "verificationMethod": [
                {
                    "id": f"{did}#atproto",
                    "type": "Multikey",
                    "controller": did,
                    "publicKeyMultibase": multikey,
                }
            ],
        }


class Handler(BaseHTTPRequestHandler):
    """One request at a time; `served` is set by `serve`."""

    protocol_version = "HTTP/1.1"
    served: Served

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked, about = parse_qs(url.query), self.served.about
        match url.path.rpartition("/")[2]:
            case "com.atproto.sync.getLatestCommit":
                self._json({"cid": about["commit"], "rev": about["rev"]})
            case "com.atproto.sync.getRepo" if about["rev"] in asked.get("since", ()):
                self._car("getRepo.since", write_car([parse_cid(about["commit"])], ()))
            case "com.atproto.sync.getRepo":
                car, cut = self.served.car, self.served.cut()
                pieces = (car[at : at + _PIECE] for at in range(0, len(car), _PIECE))
                self._car("getRepo", pieces, cut)
            case "com.atproto.sync.getBlocks":
                places = [self.served.places[parse_cid(text)] for text in asked["cids"]]
                blocks = (self.served.car[start:end] for start, end in places)
                self._car("getBlocks", (*write_car((), ()), *blocks))
            case name if name == about["did"]:
                self._json(self.served.document(f"http://{self.headers['host']}"))
            case _:
                self._json({"error": "NotFound", "message": "not here"}, 404)

    def _json(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _car(self, method: str, pieces: Iterable[bytes], cut: int = sys.maxsize) -> None:
        """Chunked, as a PDS does it: how much is to come is not said."""
        self.send_response(200)
        self.send_header("content-type", "application/vnd.ipld.car")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        sent = 0
        try:
            for whole in pieces:
                piece = whole[: cut - sent]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
                sent += len(piece)
                if len(piece) < len(whole):
                    self.rfile.read(1)
                    self.close_connection = True
                    return
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
        finally:
            self.served.log(method, sent)

    def log_message(self, *_: object) -> None:
        """Say nothing: what was served is in `served.log`."""


def serve(source: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of the repo in `source` on the loopback; it is not running yet."""
    handler = type("BoundHandler", (Handler,), {"served": Served(source)})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    running = serve(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    print(f"http://127.0.0.1:{running.server_port}", flush=True)
    running.serve_forever()
