"""W&B's server: which it is, the credentials for it, whether it answers, and what of the environment W&B hears."""

from __future__ import annotations

import logging
import netrc
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
    getproxies,
    proxy_bypass,
)

from dsbench import provenance
from dsbench.errors import FailureError, InputError

log = logging.getLogger("dsbench")

_NO_ACCOUNT = "needs a W&B account: run `wandb login` or set WANDB_API_KEY"
_REACH_SECONDS = 10.0  # for the first answer of a server
_FROM_A_PROXY = (407, 502, 503, 504)  # statuses by which a proxy says that it did not get through
_SERVICE = "WANDB_SERVICE"  # by which processes find the service that their sweep has started
# What of W&B's variables is heard: who and where; the mode is, too, as `mode` says. All else is dsbench's to say: a W&B
# agent, or a notebook beside, sets ids, names and projects of its own.
_HEARD = frozenset(
    f"WANDB_{name}"
    for name in (
        *("API_KEY", "IDENTITY_TOKEN_FILE", "CREDENTIALS_FILE", "ENTITY"),
        *("BASE_URL", "APP_URL", "HTTP_PROXY", "HTTPS_PROXY", "INSECURE_DISABLE_SSL", "X_EXTRA_HTTP_HEADERS"),
        *("DATA_DIR", "CACHE_DIR", "CONFIG_DIR", "ARTIFACT_DIR"),
        *("INIT_TIMEOUT", "HTTP_TIMEOUT", "FILE_PUSHER_TIMEOUT", "ERROR_REPORTING"),
    )
)
_MODES = ("disabled", "offline", "online")


def mode(configured: str) -> str:
    """The more careful of logger.mode and WANDB_MODE: disabled before offline before online."""
    asked = os.environ.get("WANDB_MODE")
    return min(configured, asked, key=_MODES.index) if asked in _MODES else configured


def heard() -> dict[str, str]:
    """What of W&B's variables is heard, by name."""
    return {name: value for name, value in os.environ.items() if name in _HEARD}


@contextmanager
def own_environment(mode: str) -> Iterator[None]:
    """Within, W&B is set up in `mode`, offline or online, and of its variables sees only those that are heard.

    The service that it starts stays in the environment, for the processes that share it. Unless the process is offline,
    statistics of its use go to W&B's server.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}
    kept = heard()
    if mode == "offline" and _wrong_address(base_url()):
        del kept["WANDB_BASE_URL"]  # nobody is asked there, and W&B would refuse to start
    if _SERVICE in before and provenance.n_jobs() is not None:  # else it is of another program
        kept[_SERVICE] = before[_SERVICE]
    _replace(kept | {"WANDB_MODE": mode, "WANDB_SILENT": "true"})
    try:
        yield
    finally:
        service = {name: os.environ[name] for name in (_SERVICE,) if name in os.environ}
        _replace({name: value for name, value in before.items() if name != _SERVICE} | service)


def _replace(variables: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
    os.environ.update(variables)


def say_unheard() -> None:
    """Say once, and in no process of a sweep, which of W&B's variables are not heard."""
    if provenance.n_jobs() is None:
        _say(tuple(sorted(name for name, value in os.environ.items() if value and _is_unheard(name))))


def _is_unheard(name: str) -> bool:
    return name.startswith("WANDB_") and name not in (*_HEARD, _SERVICE, "WANDB_MODE")


@cache
def _say(names: tuple[str, ...]) -> None:
    if names:
        listed = ", ".join(names)
        log.warning("not heard: %s; runs have ids and names of their own, logger.* says the rest", listed)


def base_url() -> str:
    """The address of W&B's server."""
    return os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"


def check_address() -> None:
    """Raise InputError where WANDB_BASE_URL is no address."""
    if _wrong_address(base_url()):
        raise InputError(f"WANDB_BASE_URL {base_url()!r} is no address; write it as https://api.wandb.ai")


def _wrong_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        return True


def check_credentials(what: str = "this", otherwise: str = "") -> None:
    """Raise InputError where `what` has no credentials for the server; looks for them without the network."""
    check_address()
    if not _has_credentials():
        raise InputError(f"{what} {_NO_ACCOUNT}{otherwise}")


def _has_credentials() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(base_url()).hostname
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def proxy() -> str | None:
    """The proxy on the way to the server, without its password; None where there is none."""
    address = _proxies().get(urlsplit(base_url()).scheme)
    return address and address.rpartition("@")[2].rpartition("://")[2]


def _proxies() -> dict[str, str]:
    """By scheme; none where the server is to be reached without."""
    if proxy_bypass(urlsplit(base_url()).netloc):
        return {}
    own = {scheme: os.environ.get(f"WANDB_{scheme.upper()}_PROXY") for scheme in ("http", "https")}
    return getproxies() | {scheme: address for scheme, address in own.items() if address}


def way() -> str:
    """The server, and the proxy on the way to it, in words."""
    through = proxy()
    return base_url() + (f" through the proxy {through}" if through else "")


def check_reachable(within: float = _REACH_SECONDS) -> None:
    """Raise FailureError where the server does not answer in so many seconds: W&B itself would try for many minutes.

    Any answer of the server's will do; what it says, W&B's own client finds out.
    """
    unchecked = HTTPSHandler(context=ssl._create_unverified_context())  # W&B's own client checks certificates
    opener = build_opener(ProxyHandler(_proxies()), unchecked, _Here)
    try:
        opener.open(Request(base_url(), method="HEAD"), timeout=within).close()
        return
    except HTTPError as error:
        error.close()
        if not (proxy() and error.code in _FROM_A_PROXY):
            return
        reason = f"HTTP {error.code}"
    except (OSError, ValueError) as error:  # URLError is an OSError; ValueError is of a proxy that is no address
        cause = error.reason if isinstance(error, URLError) else error
        reason = f"no answer in {within:g} s" if isinstance(cause, TimeoutError) else str(cause) or type(cause).__name__
    except HTTPException:
        reason = "what answers there is no web server"
    raise FailureError(f"cannot reach W&B at {way()}: {reason}")


class _Here(HTTPRedirectHandler):
    """Follows no redirection, which is an answer."""

    def redirect_request(self, *_: Any) -> None:
        """None: it is reported as the answer that it is."""
