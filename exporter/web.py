"""The ASGI application: every path of the site, and who answers there."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from exporter.few import Few
from exporter.protocol import Ready
from exporter.rest import Rest
from exporter.scraping import Gate, Scrape, Scraping
from exporter.site import NOT_YET, Site
from exporter.steering import Steering
from exporter.viewing import Viewing


class Application(Starlette):
    """The whole site; an unknown path is 404, a wrong method 405."""

    def __init__(self, site: Site) -> None:
        scraping, gate = Scraping(site), Gate(site.max_requests)
        self._scrapes = {site.telemetry_path: Scrape(gate, scraping.metrics), "/probe": Scrape(gate, scraping.probe)}
        scrapes = [Route(path, scrape, methods=["GET"]) for path, scrape in self._scrapes.items()]
        steering = Steering(site.state, site.reload, site.poll, site.external_url)
        others = (Health(site), Rest(site), Viewing(site), steering)
        routes = [route for each in others for route in each.routes]
        super().__init__(routes=[*scrapes, Route("/sd", scraping.discovery), *routes])
        self._few = Few(super().__call__)
        self.router.redirect_slashes = False  # it would put the Host header, whatever that is, into a URL

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        is_small = scope["path"] in self._scrapes or scope["path"].startswith(("/sd", "/-/"))
        answer = super().__call__ if is_small else self._few
        await answer(scope, receive, send)

    def at_once(self, scope: Scope) -> Ready | None:
        """The answer to a scrape without a detour; None for all other requests."""
        scrape = self._scrapes.get(scope["path"])
        return None if scrape is None else scrape.at_once(scope)


class Health:
    """Whether the exporter lives, and whether it has something to say."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def routes(self) -> list[Route]:
        """Where it is."""
        return [Route("/-/healthy", self.healthy), Route("/-/ready", self.ready)]

    async def healthy(self, _: Request) -> Response:
        """Alive while the poller takes its turns."""
        if self._site.is_alive():
            return PlainTextResponse("wolkvox-exporter is healthy.\n")
        return PlainTextResponse("no turn of the poller began in the last 60 s; look at the log\n", 503)

    async def ready(self, _: Request) -> Response:
        """Ready with the first page; never dependent on the upstream."""
        if self._site.page() is None:
            return NOT_YET
        return PlainTextResponse("wolkvox-exporter is ready.\n")
