from rest_framework import serializers

from aiops.api.fields import ListField, NullableText, NumberField, TextField, TimeField
from aiops.api.serializers import ObjectSerializer, Shape, Stored

Method = serializers.SerializerMethodField


class SuggestedAction(Stored):
    name = TextField()
    action = TextField()
    description = TextField()
    params = serializers.DictField(child=TextField())


class InsightStatus(Shape):
    analysis = TextField()
    confidence = NumberField(min_value=0, max_value=1)
    recommendations = ListField(child=TextField())
    suggestedActions = SuggestedAction(many=True)
    logAnalysis = NullableText()
    metricsContext = NullableText()
    sourceCodeContext = NullableText()
    gitOpsContext = NullableText(source="gitops_context")
    cascadeAnalysis = NullableText()
    blastRadiusPrediction = NullableText()
    generatedAt = TimeField(allow_null=True)


class InsightSpec(Shape):
    issueRef = TextField(source="incident.name")
    provider = TextField()
    model = TextField()


class InsightItem(InsightSpec, InsightStatus):
    name = TextField()
    namespace = TextField()
    creationTimestamp = TimeField(source="created_at")


INSIGHT_COLUMNS = (
    "name",
    "namespace",
    "incident__name",
    "provider",
    "model",
    "analysis",
    "confidence",
    "recommendations",
    "suggested_actions",
    "log_analysis",
    "metrics_context",
    "source_code_context",
    "gitops_context",
    "cascade_analysis",
    "blast_radius_prediction",
    "generated_at",
    "created_at",
)


class InsightDocument(ObjectSerializer):
    KIND = "AIInsight"

    spec = InsightSpec(source="*")
    status = InsightStatus(source="*")
