"""Polite requests to servers that nobody knows: bounded redirects, and errors said in a few words."""

from __future__ import annotations

from urllib.parse import urljoin

import requests
from requests import exceptions
from urllib3.exceptions import HTTPError, NameResolutionError

from model.version import version

MAX_REDIRECTS = 10

NETWORK_ERRORS = (exceptions.RequestException, HTTPError)
"""What a request raises, now or while its body is read."""

_HOPELESS = (
    exceptions.InvalidSchema,
    exceptions.InvalidURL,
    exceptions.MissingSchema,
    exceptions.SSLError,
    exceptions.TooManyRedirects,
)


def new_session() -> requests.Session:
    """Return a session that names Vitrine and takes proxies from the environment."""
    session = requests.Session()
    # In any other encoding, lengths and ranges would speak of other bytes than those that are kept.
    agent = f"Vitrine/{version()} (self-hosted visual search)"
    session.headers.update({"User-Agent": agent, "Accept-Encoding": "identity"})
    return session


def get(
    session: requests.Session, url: str, headers: dict[str, str], timeout: tuple[float, float]
) -> requests.Response:
    """Ask for `url` and follow redirects, without ever reading what a redirect carries along.

    Parameters
    ----------
    session : requests.Session
    url : str
        Any scheme but http and https is refused, at the end of a redirect too.
    headers : dict of str to str
        Sent to every address on the way.
    timeout : tuple of float
        Seconds until the connection stands, and between two arrivals of data.

    Returns
    -------
    requests.Response
        Its body is still to be read; the caller closes it.

    Raises
    ------
    requests.RequestException, urllib3.exceptions.HTTPError
        `NETWORK_ERRORS`; `reason` puts them into words.
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
    """Whether the same request would fail in the same way again."""
    return isinstance(error, _HOPELESS)


def reason(error: Exception) -> str:
    """Say in a few words what went wrong; the libraries' own words fill several lines."""
    cause = error.args[0] if error.args else None
    if isinstance(getattr(cause, "reason", None), NameResolutionError):
        return "the host's name is not known; is there a network?"
    for kind, words in (
        (exceptions.ConnectTimeout, "no answer; is there a network?"),
        (exceptions.ProxyError, "the proxy cannot be reached; see HTTPS_PROXY"),
        (exceptions.SSLError, "the server's certificate is not trusted"),
        (exceptions.Timeout, "the server has fallen silent"),
        (exceptions.TooManyRedirects, "the address redirects without end"),
        (exceptions.InvalidSchema, "only http and https addresses are followed"),
        ((exceptions.InvalidURL, exceptions.MissingSchema), "this is not an http or https address"),
        (exceptions.ConnectionError, "no connection; is there a network?"),
    ):
        if isinstance(error, kind):
            return words
    return "the connection broke off"
