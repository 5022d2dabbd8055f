"""Users, headers and bound visitors over real sockets: who is let in, what they see, what a changed file changes."""

import asyncio
import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from conftest import CANARY, Exporter, FakeClock, setup_for
from exposed import Exposed, Ticks, basic, certify, exposed, hashed
from processes import Reply, ask
from starlette.types import Message

from exporter.access import Access
from exporter.config import ConfigError, load_web
from exporter.doorman import Doorman, Rules, visitor
from exporter.front import MOST_WAITING, Front
from exporter.lists import LISTS
from exporter.page import Renderer
from exporter.passwords import BURST, MOST_KNOWN, REFILL, Failures, Known, Login, Passwords, fitting
from exporter.simulator import Simulator
from exporter.site import Site
from exporter.vitals import Vitals
from exporter.web import Application
from exporter.webfile import WebFile
from exporter.wiring import vitals

ACME, BETA = "acme", "beta"
USERS = f"""
basic_auth_users:
  boss: {hashed("right")}
  acme-team: {hashed("theirs")}
wolkvox_exporter:
  open_health: true
  users: {{acme-team: [{ACME}]}}
"""
BOSS, TEAM = basic("boss", "right"), basic("acme-team", "theirs")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Application]:
    """Two operations that were polled once, and one change in each."""
    clock = FakeClock()
    with Simulator(now=clock.monotonic) as simulator:
        accounts = []
        for number, name in enumerate((ACME, BETA)):
            account = simulator.add(name, token=f"{CANARY}-{name}", server="0010")
            account.route("5", "Main menu", chat="yes")
            account.connect("whatsapp", str(number), rp_id="5", name=f"Sales of {name}")
            accounts.append(account)
        tokens = {name: f"{CANARY}-{name}" for name in (ACME, BETA)}
        exporter = Exporter(tmp_path_factory.mktemp("data"), clock, setup_for(simulator, tokens, clock))
        exporter.turns(30)
        for account in accounts:
            account.connect("email", "77", rp_id="5", name="Inbox")
        exporter.turns(600)
        page = Renderer(LISTS, vitals(about_process=True)).page(exporter.state)
        yield Application(
            Site(
                page=lambda: page,
                state=lambda: exporter.state,
                changes=exporter.store.changes,
                is_alive=lambda: True,
                now=lambda: clock.wall,
                version="1",
                lists=LISTS,
                reload=lambda: "",
            )
        )
        exporter.close()


@pytest.fixture
def guarded(site, tmp_path) -> Iterator[Exposed]:
    with exposed(site, tmp_path / "web.yml", USERS) as made:
        yield made


def get(place: Exposed, path: str = "/metrics", login: str = "", method: str = "GET") -> Reply:
    return ask(place.address, path, method, **({"Authorization": login} if login else {}))


# Users.


@pytest.mark.parametrize("path", ["/metrics", "/", "/sd", "/probe?target=acme", "/api/v1/operations", "/nowhere"])
def test_nothing_is_said_without_a_login(guarded, path) -> None:
    reply = get(guarded, path)

    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="wolkvox-exporter"'
    assert reply.text == "a user and a password of the web configuration are needed\n"


@pytest.mark.parametrize(
    "login",
    [
        basic("boss", "wrong"),
        basic("nobody", "right"),
        basic("", ""),
        basic("boss", "right\0"),
        "Basic",
        "Basic !!!",
        "Basic Ym9zcw==",  # no colon
        "Bearer right",
        BOSS + "=",
    ],
)
def test_a_login_that_is_none_or_wrong_is_refused(guarded, login) -> None:
    assert get(guarded, login=login).status == 401


@pytest.mark.parametrize("login", [BOSS, BOSS.replace("Basic", "bASIC")])
def test_the_right_login_is_let_in_again_and_again(guarded, login) -> None:
    assert [get(guarded, login=login).status for _ in range(3)] == [200] * 3


def test_two_authorizations_are_none(guarded) -> None:
    connection = http.client.HTTPConnection(guarded.address, timeout=10)
    connection.putrequest("GET", "/metrics")
    for login in (BOSS, BOSS):
        connection.putheader("Authorization", login)
    connection.endheaders()

    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_health_may_be_open(guarded, path) -> None:
    assert get(guarded, path).status == 200


def test_health_is_closed_unless_it_is_opened(site, tmp_path) -> None:
    with exposed(site, tmp_path / "web.yml", USERS.replace("true", "false")) as guarded:
        assert get(guarded, "/-/healthy").status == 401


def test_wrong_passwords_are_counted_and_the_right_one_still_opens(guarded) -> None:
    assert get(guarded, login=BOSS).status == 200
    guesses = [get(guarded, login=basic("boss", f"guess {number}")) for number in range(BURST + 2)]

    assert [reply.status for reply in guesses] == [401] * BURST + [429] * 2
    assert 0 < int(guesses[-1].headers["retry-after"]) <= REFILL + 1
    assert get(guarded, login=BOSS).status == 200
    assert get(guarded, login=TEAM).status == 429
    guarded.clock.now += REFILL + 0.1
    assert get(guarded, login=TEAM).status == 200


def test_the_same_wrong_password_is_worked_out_once_and_counted_each_time(guarded) -> None:
    statuses = [get(guarded, login=basic("boss", "wrong")).status for _ in range(BURST + 1)]

    assert statuses == [401] * BURST + [429]


def test_too_many_passwords_at_once_are_put_off(site) -> None:
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def crowd() -> None:
        doorman = Doorman(Rules(), Passwords({"boss": hashed("right", 8).encode()}, Known()), Failures())
        front = Front(site, lambda: doorman, lambda: 0.0)
        scopes = [
            {
                "type": "http",
                "method": "GET",
                "path": "/metrics",
                "headers": [(b"authorization", basic("boss", f"guess {number}").encode())],
                "client": (f"10.0.0.{number}", 1),
            }
            for number in range(MOST_WAITING + 5)
        ]
        await asyncio.gather(*[front(scope, nothing, send) for scope in scopes])

    asyncio.run(crowd())

    assert (statuses.count(503), statuses.count(401)) == (5, MOST_WAITING)


async def nothing() -> Message:
    return {"type": "http.request"}


def test_unknown_users_take_as_long_as_known_ones() -> None:
    passwords = Passwords({"boss": hashed("right", 10).encode(), "other": hashed("right", 5).encode()}, Known())

    taken = []
    for user in ("boss", "nobody"):
        began = time.perf_counter()
        assert not passwords.check(Login(user, b"wrong"))
        taken.append(time.perf_counter() - began)

    assert 0.3 < taken[1] / taken[0] < 3


def test_what_is_known_of_a_password_ends_with_its_hash() -> None:
    known = Known()
    Passwords({"boss": hashed("right").encode()}, known).check(Login("boss", b"right"))

    assert Passwords({"boss": hashed("right").encode()}, known).known(Login("boss", b"right")) is None


def test_no_number_of_wrong_passwords_drives_out_a_right_one() -> None:
    known = Known()
    known.put(b"hash", Login("boss", b"right"), is_right=True)
    for number in range(MOST_KNOWN + 5):
        known.put(b"hash", Login("boss", b"%d" % number), is_right=False)

    assert known.get(b"hash", Login("boss", b"right")) is True
    assert known.get(b"hash", Login("boss", b"0")) is None


def test_guesses_that_wait_to_be_worked_out_count_already(site, tmp_path) -> None:
    text = f"basic_auth_users: {{boss: {hashed('right', 8)}}}\n"
    with exposed(site, tmp_path / "web.yml", text) as guarded, ThreadPoolExecutor(20) as crowd:
        asked = [crowd.submit(get, guarded, "/metrics", basic("boss", f"guess {n}")) for n in range(20)]
        statuses = [each.result().status for each in asked]

    assert statuses.count(401) <= BURST + 1
    assert 429 in statuses


def test_neither_results_nor_visitors_pile_up() -> None:
    known, failures = Known(), Failures()
    for number in range(MOST_KNOWN + 5):
        known.put(b"hash", Login("boss", b"%d" % number), is_right=True)
        failures.add(str(number), 0.0)

    assert known.get(b"hash", Login("boss", b"0")) is None
    assert known.get(b"hash", Login("boss", b"%d" % (MOST_KNOWN + 4))) is True
    assert len(failures._full_until) == MOST_KNOWN  # noqa: SLF001 - its size is the promise


@pytest.mark.parametrize(
    ("password", "fits"), [(b"right", True), (b"wrong", False), (b"right\0", False), (b"r" * 200, False), (b"", False)]
)
def test_a_password_of_any_bytes_fits_or_does_not(password, fits) -> None:
    assert fitting(password, hashed("right").encode()) is fits


def test_a_long_password_counts_with_its_first_72_bytes_as_bcrypt_has_it() -> None:
    assert fitting(b"x" * 100, hashed("x" * 72).encode())


@pytest.mark.parametrize("prefix", ["$2a$", "$2y$"])
def test_hashes_of_other_tools_fit_too(prefix) -> None:
    assert fitting(b"right", hashed("right").replace("$2b$", prefix).encode())


def test_a_login_shows_no_password() -> None:
    assert "right" not in repr(Login("boss", b"right"))


@pytest.mark.parametrize(
    ("host", "same"),
    [("2001:db8::1", "2001:db8::2"), ("10.0.0.1", "10.0.0.1"), ("fe80::1%eth0", "fe80::2%eth1"), ("", "testclient")],
)
def test_visitors_of_one_network_are_counted_together(host, same) -> None:
    assert visitor({"client": (host, 1)}) == visitor({"client": (same, 2)})


@pytest.mark.parametrize(("host", "other"), [("10.0.0.1", "10.0.0.2"), ("::ffff:10.0.0.1", "::ffff:10.0.0.2")])
def test_other_visitors_are_counted_by_themselves(host, other) -> None:
    assert visitor({"client": (host, 1)}) != visitor({"client": (other, 1)})


def test_a_visitor_without_an_address_is_one_too() -> None:
    assert visitor({"client": None}) == ""


# Bound to operations.


@pytest.mark.parametrize(
    "path", ["/metrics", "/sd", "/", "/api/v1/operations", "/api/v1/connectors", "/api/v1/changes"]
)
def test_who_is_bound_to_an_operation_sees_no_other(guarded, path) -> None:
    theirs, all_of_it = get(guarded, path, TEAM), get(guarded, path, BOSS)

    assert theirs.status == all_of_it.status == 200
    assert BETA in all_of_it.text
    assert BETA not in theirs.text
    assert ACME in theirs.text


def test_who_is_bound_sees_nothing_of_the_exporter_itself(guarded) -> None:
    told = get(guarded, "/metrics", TEAM).text

    assert "wolkvox_connector_info" in told
    assert not [
        line
        for line in told.splitlines()
        if line.startswith(("process_", "wolkvox_exporter_", "wolkvox_upstream_request"))
    ]


@pytest.mark.parametrize("operation", [BETA, "no-such"])
def test_what_is_not_seen_looks_as_if_it_did_not_exist(guarded, operation) -> None:
    probe = get(guarded, f"/probe?target={operation}", TEAM)
    changes = get(guarded, f"/api/v1/changes?operation={operation}", TEAM)

    assert probe.status == 400
    assert probe.text.startswith(f"unknown target '{operation}': ")
    assert changes.json == {"changes": []}


def test_the_own_operation_may_be_probed_and_its_journal_read(guarded) -> None:
    assert get(guarded, f"/probe?target={ACME}", TEAM).status == 200
    assert [each["operation"] for each in get(guarded, f"/api/v1/changes?operation={ACME}", TEAM).json["changes"]] == [
        ACME
    ]


def test_the_limit_of_changes_holds_for_all_that_is_seen_together(site, tmp_path) -> None:
    both = USERS.replace(f"[{ACME}]", f"[{ACME}, {BETA}]")
    with exposed(site, tmp_path / "web.yml", both) as guarded:
        assert len(get(guarded, "/api/v1/changes?limit=1", TEAM).json["changes"]) == 1
        assert len(get(guarded, "/api/v1/changes", TEAM).json["changes"]) == 2


def test_who_is_bound_may_not_reload(guarded) -> None:
    assert get(guarded, "/-/reload", TEAM, "POST").status == 403
    assert get(guarded, "/-/reload", BOSS, "POST").status == 200


@pytest.mark.parametrize(
    ("user", "sans", "seen"),
    [
        ("boss", set(), None),
        ("acme-team", set(), {"acme", "beta"}),
        ("boss", {"grafana.example.com"}, {"beta", "gamma"}),
        ("boss", {"grafana.example.com", "10.0.0.7"}, {"beta", "gamma", "delta"}),
        ("acme-team", {"grafana.example.com"}, {"beta"}),
        ("acme-team", {"nobody.example.com"}, {"acme", "beta"}),
    ],
)
def test_who_is_bound_twice_sees_what_both_allow(user, sans, seen) -> None:
    rules = Rules(
        user_operations={"acme-team": frozenset({"acme", "beta"})},
        san_operations={"grafana.example.com": frozenset({"beta", "gamma"}), "10.0.0.7": frozenset({"delta"})},
    )
    users = {"boss": hashed("right").encode(), "acme-team": hashed("right").encode()}
    doorman = Doorman(rules, Passwords(users, Known()), Failures())
    scope = {
        "path": "/metrics",
        "headers": [(b"authorization", basic(user, "right").encode())],
        "client": ("10.0.0.1", 1),
        "state": {"sans": frozenset(sans)},
    }

    assert doorman.work_out(Login(user, b"right"), scope) == Access(None if seen is None else frozenset(seen))


# Headers.


@pytest.mark.parametrize("path", ["/metrics", "/", "/nowhere"])
def test_configured_headers_are_on_every_answer_and_replace_our_own(site, tmp_path, path) -> None:
    text = "http_server_config: {headers: {X-Frame-Options: deny, Content-Security-Policy: default-src 'self'}}\n"
    with exposed(site, tmp_path / "web.yml", text) as guarded:
        reply = get(guarded, path)

    assert reply.headers["x-frame-options"] == "deny"
    assert reply.headers["content-security-policy"] == "default-src 'self'"


# The file changes.


def test_a_file_that_is_still_being_written_opens_no_door(guarded, tmp_path) -> None:
    (tmp_path / "web.yml").write_text("http_server_config: {}\n")
    guarded.clock.now += 2
    assert get(guarded).status == 401
    (tmp_path / "web.yml").write_text(USERS)
    guarded.settle()

    assert get(guarded).status == 401
    assert get(guarded, login=BOSS).status == 200


def test_a_changed_file_is_in_force_within_a_second(guarded, tmp_path) -> None:
    guarded.rewrite(tmp_path / "web.yml", f"basic_auth_users: {{boss: {hashed('new')}}}\n")

    assert get(guarded, login=BOSS).status == 401
    assert get(guarded, login=basic("boss", "new")).status == 200


@pytest.mark.parametrize(
    "text", ["", "basic_auth_us", "basic_auth_users: {boss: x}\n", "tls_server_config: {cert_file: a"]
)
def test_a_bad_or_half_written_file_leaves_the_last_good_one_in_force_and_says_so(
    guarded, tmp_path, text, quiet_log
) -> None:
    guarded.rewrite(tmp_path / "web.yml", text)

    assert get(guarded).status == 401
    assert get(guarded, login=BOSS).status == 200
    guarded.clock.now += 5
    assert get(guarded, login=BOSS).status == 200
    complaints = [
        event for event in quiet_log if event["event"] == "web configuration not reloaded, the last good one stays"
    ]
    assert len(complaints) == 1
    assert guarded.web.numbers()[WebFile.SUCCESSFUL] == 0
    guarded.rewrite(tmp_path / "web.yml", USERS)
    assert get(guarded, login=BOSS).status == 200
    assert guarded.web.numbers()[WebFile.SUCCESSFUL] == 1


def test_a_file_that_is_gone_leaves_the_last_good_one_in_force(guarded, tmp_path) -> None:
    (tmp_path / "web.yml").unlink()
    guarded.settle()

    assert get(guarded).status == 401
    assert get(guarded, login=BOSS).status == 200


def test_tls_that_comes_or_goes_takes_a_restart(guarded, tmp_path, quiet_log) -> None:
    certify(tmp_path, trustme.CA(), "server", "127.0.0.1")
    guarded.rewrite(tmp_path / "web.yml", "tls_server_config: {cert_file: server.pem, key_file: server-key.pem}\n")

    assert get(guarded, login=BOSS).status == 200
    assert quiet_log[-1]["faults"].endswith("web.yml: tls_server_config came or went, which takes a restart")


def test_without_a_file_nobody_is_asked_and_nothing_is_told() -> None:
    web = WebFile("", load_web, Ticks(), lambda: 0.0)

    assert not web.is_secured
    assert list(web.collect()) == []
    assert not web.numbers()


def test_a_bad_file_at_the_start_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError):
        WebFile(str(tmp_path / "web.yml"), load_web, Ticks(), lambda: 0.0)


def test_the_page_tells_how_the_last_reading_went(guarded) -> None:
    told = Vitals([guarded.web])

    assert [sample.name for metric in told.collect() for sample in metric.samples] == [WebFile.SUCCESSFUL, WebFile.AT]


def test_a_page_with_no_operation_is_legal_for_who_is_bound_to_none_that_exists(site, tmp_path) -> None:
    gone = USERS.replace(f"[{ACME}]", "[gone]")
    with exposed(site, tmp_path / "web.yml", gone) as guarded:
        assert get(guarded, "/metrics", TEAM).text == ""
        assert get(guarded, "/api/v1/operations", TEAM).json == {"operations": []}
