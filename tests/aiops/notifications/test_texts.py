import pytest

from aiops.errors import Invalid
from aiops.notifications import texts
from tests.aiops.notifications.makers import make_message


class TestCheckTemplate:
    @pytest.mark.parametrize(
        "source",
        [
            "{{ title|upper }} in {{ cluster|default('no cluster') }}",
            "{% if severity == 'critical' %}page{% else %}mail{% endif %}",
            "{% for name in facts %}{{ name }}={{ facts[name] }} {% endfor %}",
        ],
    )
    def test_takes_plain_templates(self, source):
        texts.check_template(source)

    @pytest.mark.parametrize(
        "source",
        [
            "{{ 'a' * 1000000000 }}",
            "{{ '%1000000000d' % 1 }}",
            "{{ title.__class__.__mro__() }}",
            "{{ title.replace('a', 'b') }}",
            "{{ title|replace('a', 'bbbb') }}",
            "{{ range(100000000) }}",
            "{% set x = title ~ title %}",
            "{% for a in facts %}{% for b in facts %}x{% endfor %}{% endfor %}",
            "{% for a in facts recursive %}{{ loop(facts) }}{% endfor %}",
            "{% macro m() %}{{ m() }}{% endmacro %}",
            "{% include 'subject.txt' %}",
            "{{ title",
            "x" * 5000,
            "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
            17,
        ],
    )
    def test_refuses_what_could_multiply(self, source):
        with pytest.raises(Invalid):
            texts.check_template(source)


class TestBodyOf:
    def test_stands_in_for_a_template_that_fails(self):
        context = make_message(body="kernel killed it").context()

        body = texts.body_of(context, "{{ nothing.of.this }}")

        assert body.startswith("kernel killed it")
        assert "Incident: INC-20270412-001" in body

    def test_is_bounded(self):
        context = make_message(body="x" * 100_000).context()

        assert len(texts.body_of(context, "{{ body }}" * 300)) <= texts.MAX_BODY


class TestSubjectOf:
    def test_is_one_line(self):
        assert texts.subject_of(make_message(title="two\r\nBcc: all").context()) == "[HIGH] two Bcc: all"
