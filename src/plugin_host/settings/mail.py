"""`[mail]`: the server that letters go through."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plugin_host.settings.section import Section, Text


class Mail(Section, frozen=True, kw_only=True):
    """`[mail]`: sending mail. Needs `pip install "plugin-host[mail]"`."""

    host: Annotated[
        Text | None, Meta(description="SMTP server. Without one letters are written to the log instead of sent.")
    ] = None
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(
            description="Encryption: `starttls` (port 587), `tls` (port 465), or `none`, for a server on this machine."
        ),
    ] = "starttls"
    username: Annotated[Text | None, Meta(description="Account on the server, if it wants one.")] = None
    password: Annotated[Text | None, Meta(description="Its password; better as `password_file`.")] = None
    sender: Annotated[Text, Meta(description="Address that letters come from.")] = "plugin-host@localhost"
    timeout: Annotated[float, Meta(gt=0, description="Seconds that the server may take to answer.")] = 30.0
