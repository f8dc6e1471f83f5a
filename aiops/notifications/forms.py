"""The console's forms: what people type is checked by the same rules as everywhere, and no secret is shown again."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget

from aiops.errors import DomainError, Invalid
from aiops.notifications import configuration
from aiops.notifications.models import Channel, Policy
from aiops.notifications.rules import check_rules
from aiops.notifications.transports import TRANSPORTS

SECRET_FIELDS = {"secret": "Signing secret (webhook)", "url": "Webhook address (Slack)"}


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Secrets are write-only: an empty field leaves the stored one as it is."""

    type = forms.ChoiceField(choices=[(name, name) for name in TRANSPORTS], widget=UnfoldAdminSelectWidget)
    secret_secret = forms.CharField(required=False, label=SECRET_FIELDS["secret"], widget=UnfoldAdminPasswordWidget)
    secret_url = forms.CharField(required=False, label=SECRET_FIELDS["url"], widget=UnfoldAdminPasswordWidget)

    class Meta:
        model = Channel
        fields = ("name", "type", "enabled", "config")

    def typed_secrets(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(f"secret_{name}", "") for name in SECRET_FIELDS}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        candidate = Channel(type=values.get("type", ""), config=values.get("config") or {})
        try:
            typed = {name: value for name, value in self.typed_secrets().items() if value}
            configuration.check_channel(candidate, {**configuration.secrets_of(self.instance), **typed})
        except Invalid as error:
            _show(self, error, {"config": "config", "secrets.secret": "secret_secret", "secrets.url": "secret_url"})
        except DomainError as error:
            self.add_error(None, error.message)
        return values


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = Policy
        fields = ("name", "enabled", "rules", "max_per_hour", "deduplication_seconds")

    def clean_rules(self) -> Any:
        rules = self.cleaned_data["rules"]
        try:
            return check_rules(rules, channels=set(Channel.objects.values_list("name", flat=True)))
        except Invalid as error:
            raise forms.ValidationError([f"{name}: {' '.join(why)}" for name, why in error.fields.items()]) from error


def _show(form: "forms.ModelForm[Any]", error: Invalid, places: dict[str, str]) -> None:
    """Each complaint beside the field it is about, the others above the form."""
    for member, reasons in error.fields.items():
        field = places.get(member) or places.get(member.partition(".")[0])
        form.add_error(field if field in form.fields else None, f"{member}: {' '.join(reasons)}")
