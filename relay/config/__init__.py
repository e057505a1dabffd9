"""What the operator may choose: read once from all sources, checked as a whole, frozen.

`settings.py` says what there is (with `listener.py`, `upstream.py`, `url.py`, `timeouts.py`; `kinds.py` holds the kinds
of value), `load.py` how it is read: each source becomes a tree of text in which every value knows its place
(`given.py`), the trees are laid over one another, and the models judge the result once.

pydantic-settings is not used: it knows neither the line of a value nor which variable an error came from, and takes
0.05 s to import.
"""

from relay.config.database import Database, DatabaseURL
from relay.config.listener import Address, Listener, ListenerTLS, LoginRule
from relay.config.load import Gathered, gather, load
from relay.config.problem import Problem, SettingsError
from relay.config.retry import KeepLogins, Retry, RetryMode
from relay.config.settings import BareNewline, ExplainLoginAt, LogFormat, LogLevel, Settings, Style
from relay.config.sources import Flags
from relay.config.timeouts import Timeouts
from relay.config.upstream import Login, LoginMechanism, Pool, Upstream, UpstreamTLS
from relay.config.url import Security, UpstreamURL, upstream_url

__all__ = [
    "Address",
    "BareNewline",
    "Database",
    "DatabaseURL",
    "ExplainLoginAt",
    "Flags",
    "Gathered",
    "KeepLogins",
    "Listener",
    "ListenerTLS",
    "LogFormat",
    "LogLevel",
    "Login",
    "LoginMechanism",
    "LoginRule",
    "Pool",
    "Problem",
    "Retry",
    "RetryMode",
    "Security",
    "Settings",
    "SettingsError",
    "Style",
    "Timeouts",
    "Upstream",
    "UpstreamTLS",
    "UpstreamURL",
    "gather",
    "load",
    "upstream_url",
]
