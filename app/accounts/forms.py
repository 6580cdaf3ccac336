"""Forms of accounts."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, PasswordField, StringField
from wtforms.validators import DataRequired, Length, ValidationError

from app.accounts import names, passwords

REQUIRED = DataRequired(_l("Fill in this field."))


class SignupForm(FlaskForm):  # type: ignore[misc]
    """A new account."""

    username = StringField(_l("Name"), [REQUIRED])
    password = PasswordField(_l("Password"), [REQUIRED])

    def validate_username(self, field: Field) -> None:
        """Only names that cannot be taken for another."""
        if not names.allowed(names.clean(field.data)):
            raise ValidationError(
                _("A name has 2 to 32 letters of one script, digits, or . _ - between them. Choose another.")
            )

    def validate_password(self, field: Field) -> None:
        """The four rules."""
        _meets_rules(field, self.username.data or "")


class LoginForm(FlaskForm):  # type: ignore[misc]
    """Signing in."""

    username = StringField(_l("Name"), [REQUIRED])
    password = PasswordField(_l("Password"), [REQUIRED])
    remember = BooleanField(_l("Remember me"))


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """A new password for the account that is signed in."""

    current = PasswordField(_l("Current password"), [REQUIRED])
    password = PasswordField(_l("New password"), [REQUIRED])

    def validate_password(self, field: Field) -> None:
        """The four rules."""
        _meets_rules(field, current_user.name)


class DeleteForm(FlaskForm):  # type: ignore[misc]
    """Deleting an account asks for its password."""

    password = PasswordField(_l("Password"), [REQUIRED], id="delete-password")


class TokenForm(FlaskForm):  # type: ignore[misc]
    """A new token of the API."""

    name = StringField(_l("Name"), [REQUIRED, Length(max=64)], id="token-name")


def _meets_rules(field: Field, name: str) -> None:
    found = passwords.failures(field.data, name)
    if found:
        raise ValidationError(" ".join(failure.message for failure in found))
