"""Sign up, log in, log out, and the page of an account."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from wtforms import Field

from app.accounts import passwords, service, sessions, throttle, tokens
from app.accounts.forms import DeleteForm, LoginForm, PasswordForm, SignupForm, TokenForm
from app.errors import ThrottledError
from app.extensions import login_manager
from app.paths import safe_next
from app.visitor import owner

NAME_LIMIT, PASSWORD_LIMIT = 200, 2000  # characters that are looked at as one types

bp = Blueprint("accounts", __name__)


@bp.route("/signup", methods=["GET", "POST"])
def signup() -> ResponseReturnValue:
    """Make an account and sign in to it; what this browser has searched comes along."""
    if current_user.is_authenticated:
        return redirect(_onward(), 303)
    form = SignupForm()
    if form.validate_on_submit():
        throttle.charge([throttle.address_bucket("signup")], throttle.SIGNUPS)
        try:
            account = service.create(form.username.data, form.password.data)
        except service.NameTakenError:
            form.username.errors = [_("This name is taken, or looks like one that is. Choose another.")]
        else:
            if (visitor := owner()) is not None:
                service.adopt(account.id, visitor)
            sessions.begin(account.id, remember=False)
            return redirect(_onward(), 303)
    return render_template("signup.html", form=form), 422 if form.errors else 200


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Sign in."""
    if current_user.is_authenticated:
        return redirect(_onward(), 303)
    form = LoginForm()
    status, headers = 422 if form.is_submitted() else 200, {}
    if form.validate_on_submit():
        try:
            account = service.authenticate(form.username.data, form.password.data)
        except ThrottledError as throttled:
            status, headers = 429, {"Retry-After": str(throttled.wait)}
            form.password.errors = [_("Too many tries. Wait %(wait)s seconds.", wait=throttled.wait)]
        else:
            if account is not None:
                sessions.begin(account.id, remember=form.remember.data)
                return redirect(_onward(), 303)
            form.password.errors = [_("Name and password do not belong together.")]
    return render_template("login.html", form=form), status, headers


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """Sign out this browser."""
    sessions.end()
    return redirect(url_for("main.home"), 303)


@bp.post("/password-check")
def check_password() -> ResponseReturnValue:
    """Say which rules a password does not meet, as one types."""
    try:
        sent = request.get_json()
    except RecursionError:  # thousands of brackets in each other
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
    """Password, sessions, tokens, deletion."""
    return _account_page()


@bp.post("/account/password")
@login_required  # type: ignore[untyped-decorator]
def change_password() -> ResponseReturnValue:
    """Change the password; every other browser is signed out."""
    form = PasswordForm()
    if not form.validate_on_submit() or not _confirmed(form.current):
        return _account_page(password_form=form), 422
    user_id = current_user.id
    service.set_password(user_id, form.password.data)
    sessions.begin(user_id, remember=False)
    flash(_("Your password is changed, and every other browser is logged out."))
    return redirect(url_for("accounts.settings"), 303)


@bp.post("/account/logout")
@login_required  # type: ignore[untyped-decorator]
def logout_everywhere() -> ResponseReturnValue:
    """Sign out every browser."""
    sessions.end_all(current_user.id)
    sessions.forget()
    flash(_("You are logged out everywhere."))
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
    flash(_("Your account is deleted, with all its searches and pictures."))
    return redirect(url_for("main.home"), 303)


@bp.post("/account/tokens")
@login_required  # type: ignore[untyped-decorator]
def create_token() -> ResponseReturnValue:
    """Make a token of the API, and show it this once."""
    form = TokenForm()
    if not form.validate_on_submit():
        return _account_page(token_form=form), 422
    try:
        token = tokens.create(current_user.id, form.name.data)
    except tokens.TooManyTokensError:
        form.name.errors = [_("Revoke a token first: %(limit)s is the most.", limit=tokens.MAX_TOKENS)]
        return _account_page(token_form=form), 422
    return _account_page(new_token=token)


@bp.post("/account/tokens/<int:token_id>/revoke")
@login_required  # type: ignore[untyped-decorator]
def revoke_token(token_id: int) -> ResponseReturnValue:
    """Delete a token; programs that use it are refused from now on."""
    if not tokens.revoke(current_user.id, token_id):
        abort(404)
    return redirect(url_for("accounts.settings"), 303)


@login_manager.unauthorized_handler  # type: ignore[untyped-decorator]
def ask_to_log_in() -> ResponseReturnValue:
    """Send on to the log-in page, and back afterwards where that is a page to look at."""
    onward = request.full_path.removesuffix("?") if request.method == "GET" else None
    return redirect(url_for("accounts.login", next=onward), 303)


def _confirmed(password: Field) -> bool:
    """Whether the signed-in account's password was given; says so beside the field where it was not."""
    if service.authenticate(current_user.name, password.data) is not None:
        return True
    password.errors = [_("This is not your password.")]
    return False


def _account_page(**context: Any) -> str:
    """The page, with the form that was filled in wrongly in place of an empty one."""
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


def _onward() -> str:
    return safe_next(request.args.get("next"), url_for("main.home"))
