"""The pages for signing up, logging in and out, and managing an account."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from wtforms import Field

from app import throttle
from app.accounts import passwords, service, sessions, tokens
from app.accounts.forms import DeleteForm, LoginForm, PasswordForm, SignupForm, TokenForm
from app.errors import ThrottledError
from app.extensions import login_manager
from app.paths import safe_next
from app.visitor import current_owner

NAME_LIMIT, PASSWORD_LIMIT = 200, 2000  # characters that are checked while a password is typed

bp = Blueprint("accounts", __name__)


@bp.route("/signup", methods=["GET", "POST"])
def signup() -> ResponseReturnValue:
    """Create an account, log in, and keep the searches that this browser has made."""
    if current_user.is_authenticated:
        return redirect(_next_url(), 303)
    form = SignupForm()
    if form.validate_on_submit():
        throttle.charge([throttle.address_bucket("signup")], throttle.SIGNUPS)
        try:
            account = service.create(form.username.data, form.password.data)
        except service.NameTakenError:
            form.username.errors = [
                _("This name is taken, or looks too similar to one that is. Choose another.")
            ]
        else:
            if (visitor := current_owner()) is not None:
                service.adopt(account.id, visitor)
            sessions.begin(account.id, remember=False)
            return redirect(_next_url(), 303)
    return render_template("signup.html", form=form), 422 if form.errors else 200


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Log in."""
    if current_user.is_authenticated:
        return redirect(_next_url(), 303)
    form = LoginForm()
    status, headers = 422 if form.is_submitted() else 200, {}
    if form.validate_on_submit():
        try:
            account = service.authenticate(form.username.data, form.password.data)
        except ThrottledError as throttled:
            status, headers = 429, {"Retry-After": str(throttled.wait)}
            form.password.errors = [throttled.message]
        else:
            if account is not None:
                sessions.begin(account.id, remember=form.remember.data)
                return redirect(_next_url(), 303)
            form.password.errors = [_("Incorrect name or password.")]
    return render_template("login.html", form=form), status, headers


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """Log out this browser."""
    sessions.end()
    return redirect(url_for("main.home"), 303)


@bp.post("/password-check")
def check_password() -> ResponseReturnValue:
    """Return the rules that a password does not meet, while it is typed."""
    try:
        sent = request.get_json()
    except RecursionError:  # thousands of nested brackets
        abort(400)
    if not isinstance(sent, dict):
        abort(400)
    name, password = (sent.get(key, "") for key in ("username", "password"))
    if not isinstance(name, str) or not isinstance(password, str):
        abort(400)
    failures = passwords.failures(password[:PASSWORD_LIMIT], name[:NAME_LIMIT])
    return jsonify(failures=[failure._asdict() for failure in failures])


@bp.get("/account")
@login_required  # type: ignore[untyped-decorator]
def settings() -> ResponseReturnValue:
    """Show the account page: password, sessions, tokens, deletion."""
    return _account_page()


@bp.post("/account/password")
@login_required  # type: ignore[untyped-decorator]
def change_password() -> ResponseReturnValue:
    """Change the password and log out every other browser."""
    form = PasswordForm()
    if not form.validate_on_submit() or not _confirmed(form.current):
        return _account_page(password_form=form), 422
    user_id = current_user.id
    service.set_password(user_id, form.password.data)
    sessions.begin(user_id, remember=False)
    flash(_("Your password has been changed. All other browsers have been logged out."))
    return redirect(url_for("accounts.settings"), 303)


@bp.post("/account/logout")
@login_required  # type: ignore[untyped-decorator]
def logout_everywhere() -> ResponseReturnValue:
    """Log out every browser."""
    sessions.end_all(current_user.id)
    sessions.forget()
    flash(_("You have been logged out everywhere."))
    return redirect(url_for("accounts.login"), 303)


@bp.post("/account/delete")
@login_required  # type: ignore[untyped-decorator]
def delete() -> ResponseReturnValue:
    """Delete the account with all its data."""
    form = DeleteForm()
    if not form.validate_on_submit() or not _confirmed(form.password):
        return _account_page(delete_form=form), 422
    service.delete(current_user.id)
    sessions.forget()
    flash(_("Your account has been deleted, with all its searches and pictures."))
    return redirect(url_for("main.home"), 303)


@bp.post("/account/tokens")
@login_required  # type: ignore[untyped-decorator]
def create_token() -> ResponseReturnValue:
    """Create an API token and show it once."""
    form = TokenForm()
    if not form.validate_on_submit():
        return _account_page(token_form=form), 422
    try:
        token = tokens.create(current_user.id, form.name.data)
    except tokens.TooManyTokensError:
        form.name.errors = [
            _("You can have at most %(limit)s tokens. Revoke one first.", limit=tokens.MAX_TOKENS)
        ]
        return _account_page(token_form=form), 422
    return _account_page(new_token=token)


@bp.post("/account/tokens/<int:token_id>/revoke")
@login_required  # type: ignore[untyped-decorator]
def revoke_token(token_id: int) -> ResponseReturnValue:
    """Delete a token, which ends the access of the programs that use it."""
    if not tokens.revoke(current_user.id, token_id):
        abort(404)
    return redirect(url_for("accounts.settings"), 303)


@login_manager.unauthorized_handler  # type: ignore[untyped-decorator]
def ask_to_log_in() -> ResponseReturnValue:
    """Redirect to the login page, which leads back afterwards if the request was a GET."""
    target = request.full_path.removesuffix("?") if request.method == "GET" else None
    return redirect(url_for("accounts.login", next=target), 303)


def _confirmed(password: Field) -> bool:
    """Return whether the account's password was given; if not, put an error on the field."""
    try:
        if service.confirm(current_user.id, current_user.session_id, password.data):
            return True
        password.errors = [_("Incorrect password.")]
    except ThrottledError as throttled:
        password.errors = [throttled.message]
    return False


def _account_page(**context: Any) -> str:
    """Render the account page; `context` may hold the form that was not valid."""
    empty = {
        "password_form": PasswordForm(formdata=None),
        "delete_form": DeleteForm(formdata=None),
        "token_form": TokenForm(formdata=None),
    }
    return render_template(
        "account.html",
        **empty | context,
        tokens=tokens.of(current_user.id),
        sessions=sessions.active(current_user.id),
    )


def _next_url() -> str:
    """Return where to go after logging in or signing up."""
    return safe_next(request.args.get("next"), url_for("main.home"))
