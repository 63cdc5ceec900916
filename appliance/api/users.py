"""People: log in, log out, who am I."""

import msgspec

from appliance.api.call import Answer, Call, Route
from appliance.api.context import Context
from appliance.api.sessions import SESSION_SECONDS

COOKIE = "__Host-session"
"""The prefix makes browsers insist on HTTPS, on path / and on this very host (RFC 6265bis §4.1.3)."""
_FLAGS = "Path=/; Secure; HttpOnly; SameSite=Strict"


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    user: str
    password: str


def routes(context: Context) -> list[Route]:
    def log_in(call: Call) -> object:
        wish = call.data(Login)
        session = context.sessions.log_in(wish.user, wish.password)
        cookie = f"{COOKIE}={session}; Max-Age={SESSION_SECONDS}; {_FLAGS}"
        return Answer({"user": wish.user}, (("Set-Cookie", cookie),))

    def log_out(call: Call) -> object:
        context.sessions.log_out(call.session)
        return Answer({"user": ""}, (("Set-Cookie", f"{COOKIE}=; Max-Age=0; {_FLAGS}"),))

    def who(call: Call) -> object:
        return {"user": call.user}

    return [
        Route("POST", "/api/login", log_in, public=True, summary="Log in; the answer sets a cookie", body=Login),
        Route("POST", "/api/logout", log_out, public=True, summary="Log out"),
        Route("GET", "/api/session", who, summary="Who is logged in"),
    ]
