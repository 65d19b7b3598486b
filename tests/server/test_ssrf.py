"""Where a server sends notices, and where it does not: the attack list, by its numbers."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from podstack.addresses import Allowed, address_of, endpoint, is_open
from podstack.alerts.receivers import NotTaken
from podstack.errors import UsageError
from podstack.server import webhooks
from podstack.server.mail import Mail, postbox
from podstack.server.notifications import sample
from podstack.server.targets import Target, receiver
from podstack.server.webhooks import MOST_READ, TIMEOUT, Webhook
from podstack.testing.raw_http import Answer
from podstack.testing.receiving import HttpReceiver, SmtpReceiver
from podstack.testing.stage import DEADLINE

LOOPBACK = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.255.255.254:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0X7F.0x0.0X0.0x1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::]:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://any.localhost:{port}/",
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/",
    "http://127\u30020\u30020\u30021:{port}/",
    "http://example.org@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.org/",
    "http://example.org:80#@127.0.0.1:{port}/",
    "http://127.0.0.1%00.example.org:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.org/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "json://127.0.0.1:{port}/",
]
CLOSED = [
    "10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.255.254", "192.168.0.1",
    "100.64.0.1", "100.127.255.254", "169.254.0.1", "169.254.169.254", "168.63.129.16",
    "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255", "[fd00::1]", "[fc00::1]", "[fe80::1]",
    "[fe80::1%25eth0]", "[fd00:ec2::254]", "[ff02::1]", "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]", "[2001:db8::1]", "[2001::1]", "[2002:a00:1::]", "[100::1]",
    "metadata.google.internal", "printer", "nas.local", "router.lan", "kubernetes.svc.local",
]  # fmt: skip
SCHEMES = [
    "file:///etc/passwd", "file://localhost/etc/passwd", "ftp://example.org/x",
    "gopher://example.org:25/_x", "dict://example.org:11211/stat", "ldap://example.org/x",
    "data:text/plain,x", "jar:http://example.org!/x", "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/x", "javascript:alert(1)", "example.org/hook",
    "//example.org/hook", "", " ", "https://", "https://?x", "xml://example.org/x",
    "form://example.org/x", "syslog://", "dbus://", "windows://", "workflows://example.org/x",
    "mqtt://example.org/x", "smtp://example.org", "apprise://example.org/token",
    "ntfy://example.org/topic", "ntfys://example.org/topic?mode=private",
    "discord://1/x?template=/etc/passwd", "slack://T1JJ3T3L2/A1BRTD4JD/x?template=http://10.0.0.1/",
    "https://example.org/" + "x" * 70_000, "x" * 70_000,
]  # fmt: skip
ODD = [
    "https://user:pass@example.org/hook", "https://user@example.org/hook", "https://@example.org/",
    "https://example.org/a\r\nX-Injected: 1", "https://example.org/a\nb", "https://exa\tmple.org/",
    "https://example.org/a b", "https://example.org\r\n/", "https://example.org:0/",
    "https://example.org:65536/", "https://example.org:-1/", "https://example.org:8x/",
    "https://example.org:/x", "https://exa_mple..org/", "https://-example.org/",
    "https://ex\u00e4mple.org/", "https://example.org/\u2028", "https://example.org/{x}",
    "mailtos://u:p@example.org?to=a@example.org%0d%0aBcc:b@example.org",
    "mailtos://u%0d%0aRCPT:p@example.org?to=a@example.org", "mailtos://u:p@example.org/path",
    "mailtos://u:p@example.org?mode=none", "mailtos://u:p@example.org?cert=/etc/passwd",
    "mailtos://u:p@127.0.0.1?to=a@example.org", "mailtos://u:p@example.org?smtp=10.0.0.1",
    "mailtos://u:p@example.org?smtp=2130706433",
]  # fmt: skip


def ids(text: object) -> str:
    return ascii(text)[1:45]


def add(team: Any, url: object, token: str | None = None, **more: object) -> Answer:
    answer: Answer = team.ask(
        "POST",
        "/api/v1/projects/alpha/notifications",
        team.admin if token is None else token,
        orjson.dumps({"url": url, **more}),
        Content_Type="application/json",
    )
    return answer


@pytest.fixture(scope="module")
def canary() -> Iterator[HttpReceiver]:
    """What nobody may reach."""
    with HttpReceiver() as found:
        yield found


@pytest.mark.parametrize("url", LOOPBACK, ids=ids)
def test_72_loopback_in_any_spelling_is_422_and_not_called(
    team: Any, canary: HttpReceiver, url: str
) -> None:
    answer = add(team, url.format(port=canary.port))

    assert answer.status == 422
    assert canary.got == []


@pytest.mark.parametrize("host", CLOSED, ids=ids)
def test_73_what_is_not_the_open_internet_is_422(team: Any, host: str) -> None:
    for url in (f"http://{host}/", f"https://{host}:8443/x"):
        assert add(team, url).status == 422


@pytest.mark.parametrize("url", SCHEMES, ids=ids)
def test_74_other_schemes_are_422(team: Any, url: str) -> None:
    assert add(team, url).status == 422


@pytest.mark.parametrize("url", ODD, ids=ids)
def test_78_a_url_with_a_user_or_a_line_break_is_422(team: Any, url: str) -> None:
    answer = add(team, url)

    assert answer.status == 422
    assert b"pass" not in answer.body.replace(b"password", b"")


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b'{"url":1}', b'{"url":"https://a.org/","id":"x"}',
             b'{"url":"https://a.org/","secret":"\\n"}', b'{"url":"https://a.org/","label":"a\\nb"}',
             b'{"url":"https://a.org/","user":"root"}', b'{"url":["https://a.org/"]}'],
)  # fmt: skip
def test_26_other_fields_and_kinds_are_422(team: Any, body: bytes) -> None:
    url = "/api/v1/projects/alpha/notifications"
    answer = team.ask("POST", url, team.admin, body, Content_Type="application/json")

    assert answer.status == 422


def test_no_refused_target_was_kept(team: Any) -> None:
    answer = team.ask("GET", "/api/v1/projects/alpha/notifications", team.admin)

    assert answer.json == {"notifications": []}


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/T1/B2?x=%2F",
        "http://93.184.215.14:8080/",
        "https://[2606:2800:220:1::1]/x",
        "jsons://hooks.example.org/x",
        "mailtos://u:p@example.org?to=a@example.org,b@example.org&smtp=mail.example.org",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "ntfy://a-topic",
    ],
)
def test_what_is_in_the_open_internet_is_taken(url: str) -> None:
    kind = url.partition(":")[0]

    assert receiver(Target("a" * 12, kind, "", url, "", 0.0, "me"), Allowed()).tries == 3


def test_73_the_table_knows_the_borders_of_its_networks() -> None:
    inside = ["9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255",
              "172.32.0.0", "169.253.255.255", "223.255.255.255", "1.1.1.1", "2606:4700::1111",
              "2a00:1450::1"]  # fmt: skip
    outside = ["10.0.0.0", "100.64.0.0", "172.31.255.255", "169.254.0.0", "224.0.0.0", "::",
               "::ffff:1.1.1.1", "64:ff9b::101:101", "4000::1", "2001:1ff::1"]  # fmt: skip
    found = [is_open(address) for text in [*inside, *outside] if (address := address_of(text))]

    assert found == [True] * len(inside) + [False] * len(outside)


def test_an_allowed_host_is_allowed_in_its_plain_spelling_and_on_its_port_only() -> None:
    allowed = Allowed(["127.0.0.1:9000", "Nas.local", "[FD00::7]:80"])
    for host, port in (("127.0.0.1", 9000), ("nas.local", 1), ("nas.local", 2), ("fd00::7", 80)):
        allowed.check_spelling(host, port)
        allowed.check(host, port, ["10.0.0.1"])
    for host, port in (("127.0.0.1", 9001), ("fd00::7", 81), ("fd00::8", 80), ("a.nas.local", 1)):
        with pytest.raises(UsageError, match="--allow-private-notifications"):
            allowed.check_spelling(host, port)
    with pytest.raises(UsageError, match="plain form"):
        endpoint("http://2130706433:9000/")


@pytest.mark.parametrize("entry", ["", "a b", "http://x", "10.0.0.0/8", "x:0", "x:70000", "0x7f.1"])
def test_a_host_to_be_allowed_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(UsageError):
        Allowed([entry])


# Sending -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a receiver may take is what one test is about, which says so."""
    for limit in ("webhooks.TIMEOUT", "mail.TIMEOUT", "mail._WHOLE"):
        monkeypatch.setattr(f"podstack.server.{limit}", DEADLINE)


def webhook(url: str, secret: str = "", *, allowed: Allowed | None = None) -> Webhook:
    to = endpoint(url)
    return Webhook("it", to, secret, allowed or Allowed([f"127.0.0.1:{to.port}"]))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_75_a_redirect_is_not_followed(canary: HttpReceiver, status: int) -> None:
    with (
        HttpReceiver(status, location=f"{canary.url}/inside") as redirecting,
        pytest.raises(NotTaken, match=f"it answered {status}") as refused,
    ):
        webhook(f"{redirecting.url}/hook").deliver(sample("p"))

    assert refused.value.is_final
    assert len(redirecting.got) == 1
    assert canary.got == []


class Names:
    """Name servers of an attacker: what a name leads to changes with each question.

    In place of the machine's resolver and its connections, because no test may ask the internet.
    Addresses are passed on, and connections are made to the receiver, whatever was to be called.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[list[str]], to: int) -> None:
        self.asked: list[str] = []
        self.called: list[str] = []
        connect = socket.create_connection

        def look_up(host: str, port: int, **_: Any) -> list[Any]:
            self.asked.append(host)
            found = answers[min(len(self.asked), len(answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in found]

        def call(address: tuple[str, int], timeout: float) -> socket.socket:
            self.called.append(address[0])
            monkeypatch.undo()
            return connect(("127.0.0.1", to), timeout)

        monkeypatch.setattr(webhooks.socket, "getaddrinfo", look_up)
        monkeypatch.setattr(webhooks.socket, "create_connection", call)


def test_76_the_address_that_was_checked_is_the_one_that_is_called(
    monkeypatch: pytest.MonkeyPatch, canary: HttpReceiver
) -> None:
    """The name leads to loopback when it is asked for a second time: nobody does."""
    canary.got.clear()
    names = Names(monkeypatch, [["93.184.215.14"], ["127.0.0.1"]], canary.port)
    webhook("http://rebind.example.org/x", allowed=Allowed()).deliver(sample("p"))

    assert names.asked == ["rebind.example.org"]
    assert names.called == ["93.184.215.14"]
    assert canary.got[0].headers["host"] == "rebind.example.org"
    canary.got.clear()


@pytest.mark.parametrize(
    "leads_to",
    [["127.0.0.1"], ["10.0.0.7"], ["93.184.215.14", "127.0.0.1"], ["::1"], ["fe80::1%2"]],
)
def test_76_a_name_that_leads_inside_is_not_called(
    monkeypatch: pytest.MonkeyPatch, canary: HttpReceiver, leads_to: list[str]
) -> None:
    names = Names(monkeypatch, [leads_to], canary.port)
    box = postbox("mailtos://u:p@rebind.example.org?to=a@example.org")
    for one in (
        webhook("https://rebind.example.org/x", allowed=Allowed()),
        Mail("it", box, Allowed()),
    ):
        with pytest.raises(NotTaken, match="not allowed") as refused:
            one.deliver(sample("p"))
        assert refused.value.is_final

    assert len(names.asked) == 2
    assert names.called == []


def speaking(talk: Callable[[socket.socket], None]) -> tuple[int, socket.socket]:
    """The port of a server that takes one connection and does with it what it likes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                talk(connection)

    threading.Thread(target=take, daemon=True).start()
    return listening.getsockname()[1], listening


def hang(connection: socket.socket) -> None:
    connection.settimeout(DEADLINE)
    while connection.recv(1 << 16):
        pass


def drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"H")
        time.sleep(0.1)


def flood(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    for _ in range(1024):
        connection.sendall(b"x" * (1 << 20))


def endless_line(connection: socket.socket) -> None:
    for _ in range(1024):
        connection.sendall(b"x" * (1 << 20))


def outcome(scheme: str, talk: Callable[[socket.socket], None]) -> str:
    port, listening = speaking(talk)
    with listening:
        try:
            webhook(f"{scheme}://127.0.0.1:{port}/").deliver(sample("p"))
        except NotTaken as error:
            return str(error)
    return "taken"


def test_77_a_receiver_that_hangs_or_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, so that it takes the time of one. None of them ever ends by itself."""
    assert TIMEOUT == 5.0
    monkeypatch.setattr(webhooks, "TIMEOUT", 1.0)
    cases = [("http", hang), ("https", hang), ("http", drip)]
    with ThreadPoolExecutor(len(cases)) as pool:
        found = list(pool.map(lambda case: outcome(*case), cases))

    assert found == ["it did not answer within 1 s"] * 3


def test_77_a_receiver_that_floods_is_cut_off() -> None:
    found = [outcome("http", talk) for talk in (flood, endless_line)]

    assert found == ["taken", "it did not answer in HTTP"]
    assert MOST_READ <= 1 << 16


def test_a_certificate_of_nobody_known_is_refused(canary: HttpReceiver) -> None:
    """Plain HTTP where TLS was to be: no notice leaves."""
    canary.got.clear()
    with pytest.raises(NotTaken, match="TLS"):
        webhook(f"https://127.0.0.1:{canary.port}/").deliver(sample("p"))

    assert canary.got == []
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED


def test_78_a_notice_is_signed_with_its_time() -> None:
    begin = int(time.time())
    with HttpReceiver() as receiving:
        webhook(f"{receiving.url}/hook?a=b", "a-secret").deliver(sample("vision"))
    end = time.time()
    (got,) = receiving.got
    said = dict(part.split("=") for part in got.headers["x-podstack-signature"].split(","))
    signed = hmac.new(b"a-secret", f"{said['t']}.".encode() + got.body, hashlib.sha256)

    assert said["v1"] == signed.hexdigest()
    assert begin <= int(said["t"]) <= end
    assert got.path == "/hook?a=b"
    assert got.json["project"] == "vision"
    assert got.json["text"] == str(sample("vision"))


def test_without_a_secret_nothing_is_signed() -> None:
    with HttpReceiver() as receiving:
        webhook(receiving.url).deliver(sample("p"))

    assert "x-podstack-signature" not in receiving.got[0].headers


def test_a_mail_goes_to_the_server_that_was_named() -> None:
    with SmtpReceiver() as receiving:
        box = postbox(
            f"mailto://example.org:{receiving.port}?smtp=127.0.0.1&mode=insecure"
            "&from=runs@example.org&to=a@example.org,b@example.org"
        )
        notice = sample("vision")._replace(message="one\r\n.\r\nRCPT TO:<evil@example.org>")
        Mail("it", box, Allowed([f"127.0.0.1:{receiving.port}"])).deliver(notice)
    (mail,) = receiving.mails
    to = [said for said in receiving.said if said.upper().startswith("RCPT")]

    assert [line.partition(":")[2].lower() for line in to] == ["<a@example.org>", "<b@example.org>"]
    assert 'Subject: run test: alert "test > 0"' in mail
    assert "test = 1 at step 0" in mail


def test_a_mail_server_without_tls_gets_no_password() -> None:
    with SmtpReceiver() as receiving:
        box = postbox(
            f"mailtos://u:hunter2@127.0.0.1:{receiving.port}?to=a@example.org&from=b@c.org"
        )
        with pytest.raises(NotTaken, match="does not take the mail"):
            Mail("it", box, Allowed([f"127.0.0.1:{receiving.port}"])).deliver(sample("p"))

    assert receiving.mails == []
    assert not [said for said in receiving.said if said.startswith("AUTH")]
    assert "hunter2" not in repr(box)
