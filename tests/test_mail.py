"""Letters: checked when they are queued, made so that nothing in them is taken for a header, sent or written down."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from plugin_host.mail import Carrier, check_letter, compose
from plugin_host.settings.mail import Mail

pytestmark = pytest.mark.anyio


@pytest.mark.security
@pytest.mark.parametrize(
    ("to", "subject", "text"),
    [
        ("nobody", "s", "t"),
        ("a@b, c@d", "s", "t"),
        ("a@b\nBcc: c@d", "s", "t"),
        ("user:", "s", "t"),
        ("team:x", "s", "t"),
        ("a@b.org", "s\r\nBcc: c@d.org", "t"),
        ("a@b.org", " ", "t"),
        ("a@b.org", "s" * 201, "t"),
        ("a@b.org", "s", "t" * 500_001),
    ],
)
def test_what_cannot_be_sent_is_refused_when_it_is_queued(to: str, subject: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"letter|subject"):
        check_letter(to, subject, text)


def test_a_letter_says_who_it_is_from_and_can_be_told_from_its_repetition() -> None:
    letter = check_letter("ann@example.org", "Grüße", "Hallo\n.\nAnn")
    message = compose(letter, "host@example.org", "01abc")
    assert (message["To"], message["From"], message["Subject"]) == ("ann@example.org", "host@example.org", "Grüße")
    assert message["Message-ID"] == "<01abc@example.org>"
    assert message.get_content() == "Hallo\n.\nAnn\n"


async def test_without_a_server_it_is_written_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "plugin_host.mail")
    await Carrier(Mail()).carry(check_letter("ann@example.org", "Hello", "Ready."), "1")
    assert "the letter to ann@example.org: Hello\nReady." in caplog.text


async def test_a_server_gets_it() -> None:
    got: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test ESMTP\r\n")
        body = False
        while line := (await reader.readline()).decode():
            got.append(line.rstrip("\r\n"))
            if body:
                if line == ".\r\n":
                    body = False
                    writer.write(b"250 kept\r\n")
                continue
            word = line.split()[0].upper()
            body = word == "DATA"
            writer.write({"DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n"}.get(word, b"250 fine\r\n"))
            if word == "QUIT":
                break
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port: Any = server.sockets[0].getsockname()[1]
    async with server:
        carrier = Carrier(Mail(host="127.0.0.1", port=port, security="none", sender="host@example.org"))
        await carrier.carry(check_letter("ann@example.org", "Hello", "Ready."), "1")
    assert "RCPT TO:<ann@example.org>" in got
    assert "Subject: Hello" in got
    assert "Ready." in got
