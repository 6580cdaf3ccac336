"""HTTP requests to servers that are not trusted: a limited number of redirects, and errors in a few words.

`model.transfer.downloads` and `gallery.download` call this. Imports requests only.
"""

from __future__ import annotations

from urllib.parse import urljoin

import requests
from requests import exceptions
from urllib3.exceptions import HTTPError, NameResolutionError

from model.version import version

MAX_REDIRECTS = 10

NETWORK_ERRORS = (exceptions.RequestException, HTTPError)
"""Errors of a request, also while its body is read."""

_HOPELESS = (
    exceptions.InvalidSchema,
    exceptions.InvalidURL,
    exceptions.MissingSchema,
    exceptions.SSLError,
    exceptions.TooManyRedirects,
)


def new_session() -> requests.Session:
    """Return a session with Vitrine's user agent, which uses the proxies set in the environment."""
    session = requests.Session()
    # With a compressed encoding, lengths and ranges would not refer to the bytes on disk.
    agent = f"Vitrine/{version()} (self-hosted visual search)"
    session.headers.update({"User-Agent": agent, "Accept-Encoding": "identity"})
    return session


def get(
    session: requests.Session, url: str, headers: dict[str, str], timeout: tuple[float, float]
) -> requests.Response:
    """Request `url` and follow redirects, without reading the bodies of redirects.

    Parameters
    ----------
    session : requests.Session
    url : str
        http or https; a redirect to another scheme is refused, too.
    headers : dict of str to str
        Sent to every address on the way.
    timeout : tuple of float
        Seconds to wait for a connection, and between two arrivals of data.

    Returns
    -------
    requests.Response
        The body has not been read; the caller closes the response.

    Raises
    ------
    requests.RequestException, urllib3.exceptions.HTTPError
        `NETWORK_ERRORS`; `reason` describes them.
    """
    for _ in range(MAX_REDIRECTS + 1):
        response = session.get(url, headers=headers, stream=True, timeout=timeout, allow_redirects=False)
        target = session.get_redirect_target(response)
        if target is None:
            return response
        response.close()
        url = urljoin(response.url, target)
    raise exceptions.TooManyRedirects


def is_hopeless(error: Exception) -> bool:
    """Return whether the same request would fail again in the same way."""
    return isinstance(error, _HOPELESS)


def reason(error: Exception) -> str:
    """Describe an error in a few words; the libraries' own messages take several lines."""
    cause = error.args[0] if error.args else None
    if isinstance(getattr(cause, "reason", None), NameResolutionError):
        return "the host is unknown; check the address and the network"
    for kind, words in (
        (exceptions.ConnectTimeout, "the server did not answer; check the network"),
        (exceptions.ProxyError, "the proxy cannot be reached; check HTTPS_PROXY"),
        (exceptions.SSLError, "the server's certificate is not trusted"),
        (exceptions.Timeout, "the server stopped sending data"),
        (exceptions.TooManyRedirects, "the address has too many redirects"),
        (exceptions.InvalidSchema, "only http and https addresses are allowed"),
        ((exceptions.InvalidURL, exceptions.MissingSchema), "this is not an http or https address"),
        (exceptions.ConnectionError, "no connection; check the network"),
    ):
        if isinstance(error, kind):
            return words
    return "the connection broke off"
