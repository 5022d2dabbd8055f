"""An example receiver of Alertmanager's webhooks: a line for each alert, and the place for code of your own."""
# ruff: noqa: INP001 - a script that is mounted into a container

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADDRESS = ("127.0.0.1", 8080)


def line(receiver: str, alert: dict[str, Any]) -> str:
    """One alert as a line; the receiver is the path that Alertmanager called."""
    labels, texts = alert.get("labels", {}), alert.get("annotations", {})
    text = texts.get("summary") or texts.get("description") or ""
    return f"{receiver} {alert.get('status', '?')} {labels.get('severity', '?')} {labels.get('alertname', '?')}: {text}"


class Receiver(BaseHTTPRequestHandler):
    """Takes every POST."""

    def do_POST(self) -> None:
        """Prints the alerts of one notification; 400 for what is none."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            lines = [line(self.path, alert) for alert in json.loads(body)["alerts"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            self.send_error(400, "no notification of Alertmanager")
            return
        sys.stdout.write("".join(f"{each}\n" for each in lines))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Nothing: what was received is printed already."""


if __name__ == "__main__":
    ThreadingHTTPServer(ADDRESS, Receiver).serve_forever()
