"""The SQL of the floor, also run alone by `pgbench`. Tables, rows and order are the product's."""

ITEM = (
    "name, namespace, severity, state, resource_kind, resource_name, description, source, signal_type, risk_score, "
    "detected_at, resolved_at, resolution, assigned_to, remediation_attempts, max_remediation_attempts, "
    "requires_human_action, required_action, chaos_experiment, acknowledged_at, snooze_until, cluster_name, labels, "
    "annotations, created_at"
)
FIELDS = (
    "i.id, i.name, i.namespace, i.uid, i.created_at, i.updated_at, i.version, i.labels, i.annotations, i.resource_kind, "
    "i.resource_name, i.severity, i.description, i.signal_type, i.source, i.detection_source, i.correlation_id, i.runbook, "
    "i.escalation_policy, i.cluster_name, i.acknowledged_at, i.snooze_until, i.assigned_to, i.requires_human_action, "
    "i.required_action, i.chaos_experiment, i.state, i.risk_score, i.acknowledged_by, i.acknowledge_message, i.snoozed_by, "
    "i.snoozed_at, i.snooze_reason, i.detected_at, i.escalated_at, i.resolved_at, i.timeline_count, "
    "i.remediation_attempts, i.max_remediation_attempts, i.resolution"
)
NEWEST_INSIGHT = (
    "left join lateral (select analysis, recommendations->>0 as recommendation, confidence, related_events "
    "from incidents_aiinsight where incident_id = i.id order by attempt desc limit 1) a on true"
)
BURNED = (
    "(select coalesce(jsonb_agg(b), '[]') from (select s.name as slo, s.namespace, round(sum(m.minutes)::numeric, 2) as minutes, "
    "round((100 * sum(m.minutes) / nullif(s.budget_total, 0))::numeric, 2) as percent from slos_attribution m "
    "join slos_slo s on s.id = m.slo_id where m.incident_id = {} group by s.id order by 3 desc, 1, 2 limit 100) b)"
)
INSIGHT = f"a.analysis, a.recommendation, a.confidence, a.related_events, {BURNED.format('i.id')}"

KEY = "select id, role from apikeys_apikey where digest = %s and revoked_at is null and (expires_at is null or expires_at > now())"
FILTERS = ("state", "severity", "namespace")


def page(filters: tuple[str, ...]) -> str:
    """Takes the values of the filters, the page size and the offset."""
    where = f"where {' and '.join(f'{name} = %s' for name in filters)} " if filters else ""
    return (
        f'select {ITEM} from incidents_incident {where}order by detected_at desc, name collate "C" limit %s offset %s'
    )


STAMP = (
    "select (select coalesce(sum(folded), 0) from tallies_stamp where source = 'incidents.Incident') "
    "+ (select coalesce(sum(id), 0) from tallies_change where source = 'incidents.Incident')"
)


def count(filters: tuple[str, ...]) -> str:
    """Takes the values of the filters twice."""
    where = "".join(f" and {name} = %s" for name in filters)
    tables = [
        f"select rows from tallies_{table} where source = 'incidents.Incident'{where}" for table in ("tally", "change")
    ]
    return f"select coalesce(sum(rows), 0)::bigint from ({' union all '.join(tables)}) found"


SINGLE = f"select {FIELDS}, {INSIGHT} from incidents_incident i {NEWEST_INSIGHT} where i.name = %s"
TIMELINE = (
    "select i.name, i.namespace, t.at, t.type, t.source, t.message, t.severity, t.details from incidents_incident i "
    "left join incidents_timelineevent t on t.incident_id = i.id where i.name = %s order by t.at, t.id"
)

# --- acknowledge: all in one transaction ---------------------------------------------------------------------------------

ACKNOWLEDGE = (
    "update incidents_incident i set acknowledged_at = %s, acknowledged_by = %s, acknowledge_message = %s, "
    "annotations = annotations || %s, updated_at = %s, version = version + 1, timeline_count = timeline_count + 1 "
    f"where name = %s and acknowledged_at is null and state <> 'Resolved' returning {FIELDS}"
)
INSIGHT_OF = f"select {INSIGHT} from (select %s::bigint as id) i {NEWEST_INSIGHT}"
EVENT = (
    "insert into incidents_timelineevent (incident_id, at, type, source, message, severity, details) "
    "values (%s, %s, 'Acknowledgement', 'api', %s, '', %s)"
)
POLICIES = (
    "select c.id, c.name, c.type from notifications_channel c where c.enabled and exists "
    "(select 1 from notifications_policy where enabled)"
)
MESSAGE = (
    "insert into notifications_notification (channel_id, channel_name, channel_type, target, event, key, subject_kind, "
    "subject_name, incident_name, subject, body, context, state, reason, attempts, last_error, created_at, due_at, version) "
    "values (%s, %s, %s, '', 'incident_acknowledged', %s, 'Incident', %s, %s, %s, %s, %s, 'pending', '', 0, '', %s, %s, 1)"
)
CHAIN = "select length, head from audit_auditchain where number = %s for update"
NEW_CHAIN = (
    "insert into audit_auditchain (number, length, head, truncated, anchor) "
    "values (%s, 0, '', 0, '') on conflict do nothing"
)
RECORD = (
    'insert into audit_auditevent (id, at, action, event_type, severity, "user", role, actor_type, resource_type, resource, '
    "namespace, correlation_id, details, source_ip, user_agent, checksum, chain, position, previous, hash) values "
    "(%s, %s, 'incident.acknowledge', '', 'info', %s, %s, 'user', 'Incident', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
HEAD = "update audit_auditchain set length = %s, head = %s where number = %s"
