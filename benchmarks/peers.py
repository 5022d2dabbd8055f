"""The servers that are measured, ours first: each serves the same series, and is started with a page of ours."""

import gzip
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

from benchmarks import programs, wire
from benchmarks.programs import Program
from benchmarks.stored import Folder
from benchmarks.wire import Form

OURS: Final = "wolkvox-exporter"
LIBRARY: Final = "prometheus_client"
TEXTFILE: Final = "node_exporter textfile"
NGINX: Final = "nginx static"
OWN: Final = re.compile(rb"^(# (HELP|TYPE) )?(process|python)_.*\n", re.MULTILINE)  # what node_exporter has itself
NGINX_CONFIG: Final = Template("""
daemon off;
master_process off;
error_log stderr;
pid $folder/nginx.pid;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    gzip_static on;
    keepalive_requests 100000000;
    client_body_temp_path $folder/temporary;
    proxy_temp_path $folder/temporary;
    fastcgi_temp_path $folder/temporary;
    uwsgi_temp_path $folder/temporary;
    scgi_temp_path $folder/temporary;
    server {
        listen 127.0.0.1:$port;
        root $folder;
        location = /metrics { default_type "text/plain; version=0.0.4; charset=utf-8"; }
        location = /openmetrics {
            default_type "application/openmetrics-text; version=1.0.0; charset=utf-8";
        }
    }
}
""")


class Pages(NamedTuple):
    """One page of ours in each form, as it came over the wire."""

    bodies: Mapping[Form, bytes]

    @property
    def text(self) -> bytes:
        """The page without compression."""
        return self.bodies[Form.PLAIN]


class Server(NamedTuple):
    """One server at work: where a scrape in each form is asked for, and where Prometheus asks."""

    name: str
    program: Program
    paths: Mapping[Form, str]
    scrape_path: str = "/metrics"


EVERY: Final = dict.fromkeys(Form, "/metrics")
TEXT: Final = {Form.GZIP: "/metrics", Form.PLAIN: "/metrics"}


@contextmanager
def ours(folder: Folder, *more: str) -> Iterator[Server]:
    """The exporter itself, as a user starts it."""
    port = programs.free_port()
    command = [*programs.EXPORTER, *folder.flags, f"--web.listen-address=127.0.0.1:{port}", *more]
    with programs.running(command, port, folder.place) as program:
        yield Server(OURS, program, EVERY)


def pages(server: Server) -> Pages:
    """Our page in every form."""
    return Pages({form: wire.page(server.program.port, path, form) for form, path in server.paths.items()})


@contextmanager
def library(page: Pages, place: Path) -> Iterator[Server]:
    """prometheus_client with a custom collector."""
    port = programs.free_port()
    (place / "page.txt").write_bytes(page.text)
    command = [programs.EXPORTER[0], "-m", "benchmarks.collector", str(place / "page.txt"), str(port)]
    with programs.running(command, port, place) as program:
        yield Server(LIBRARY, program, EVERY)


@contextmanager
def textfile(page: Pages, place: Path) -> Iterator[Server]:
    """node_exporter with its textfile collector alone."""
    port = programs.free_port()
    files = place / "textfile"
    files.mkdir()
    (files / "page.prom").write_bytes(OWN.sub(b"", page.text))
    command = [
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={files}",
        "--web.disable-exporter-metrics",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with programs.running(command, port, place) as program:
        yield Server(TEXTFILE, program, TEXT)


@contextmanager
def nginx(page: Pages, place: Path) -> Iterator[Server]:
    """Our bytes as files of nginx, those of the compressed page too."""
    port = programs.free_port()
    (place / "metrics").write_bytes(page.text)
    (place / "metrics.gz").write_bytes(page.bodies[Form.GZIP])
    (place / "openmetrics").write_bytes(gzip.decompress(page.bodies[Form.OPENMETRICS]))
    (place / "openmetrics.gz").write_bytes(page.bodies[Form.OPENMETRICS])
    (place / "nginx.conf").write_text(NGINX_CONFIG.substitute(folder=place, port=port), encoding="utf-8")
    command = ["nginx", "-p", str(place), "-c", str(place / "nginx.conf")]
    with programs.running(command, port, place) as program:
        yield Server(NGINX, program, {**TEXT, Form.OPENMETRICS: "/openmetrics"}, "/openmetrics")


class Peer(NamedTuple):
    """Another server: how it is started, its program, and the package that brings it; "" where nothing is needed."""

    name: str
    start: Callable[[Pages, Path], AbstractContextManager[Server]]
    program: str = ""
    package: str = ""

    @property
    def lack(self) -> str:
        """Why it cannot be measured, with the command that helps; "" when it can."""
        return missing(self.program, self.package) if self.program else ""


# The one that is nearest to us right after us: what the machine does meanwhile is the same for both.
PEERS: Final = (
    Peer(NGINX, nginx, "nginx", "nginx-light"),
    Peer(LIBRARY, library),
    Peer(TEXTFILE, textfile, "prometheus-node-exporter", "prometheus-node-exporter"),
)


def missing(program: str, package: str) -> str:
    """That the program is not there, and the command that brings it; "" when it is there."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return ""
    return f"{program} is not installed: apt-get install -y --no-install-recommends {package}"
