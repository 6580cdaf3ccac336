"""The forms of the account pages, used by `routes`."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, PasswordField, StringField
from wtforms.validators import DataRequired, Length, ValidationError

from app.accounts import names, passwords

REQUIRED = DataRequired(_l("This field is required."))


class SignupForm(FlaskForm):  # type: ignore[misc]
    """Sign up."""

    username = StringField(_l("Name"), [REQUIRED])
    password = PasswordField(_l("Password"), [REQUIRED])

    def validate_username(self, field: Field) -> None:
        """Refuse names that could be mistaken for another one."""
        if not names.allowed(names.clean(field.data)):
            raise ValidationError(
                _(
                    "Use 2 to 32 letters or digits, with dots, underscores or hyphens only between them. "
                    "Do not mix scripts that look alike, such as Latin and Cyrillic."
                )
            )

    def validate_password(self, field: Field) -> None:
        """Apply the four rules for passwords."""
        _meets_rules(field, self.username.data or "")


class LoginForm(FlaskForm):  # type: ignore[misc]
    """Log in."""

    username = StringField(_l("Name"), [REQUIRED])
    password = PasswordField(_l("Password"), [REQUIRED])
    remember = BooleanField(_l("Remember me"))


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """Change the password of the current account."""

    current = PasswordField(_l("Current password"), [REQUIRED])
    password = PasswordField(_l("New password"), [REQUIRED])

    def validate_password(self, field: Field) -> None:
        """Apply the four rules for passwords."""
        _meets_rules(field, current_user.name)


class DeleteForm(FlaskForm):  # type: ignore[misc]
    """Delete the account, which requires its password."""

    password = PasswordField(_l("Password"), [REQUIRED], id="delete-password")


class TokenForm(FlaskForm):  # type: ignore[misc]
    """Create an API token."""

    name = StringField(_l("Token name"), [REQUIRED, Length(max=64)], id="token-name")


def _meets_rules(field: Field, name: str) -> None:
    failures = passwords.failures(field.data, name)
    if failures:
        raise ValidationError(" ".join(failure.message for failure in failures))
