import type { LegacyRecord } from '../source';
import { booleanOf, integerOf, requiredText, textOf, timeOf } from '../values';
import {
  array,
  count,
  countOrNone,
  from,
  idFrom,
  needed,
  needText,
  needTime,
  object,
  orElse,
  type ReadColumn,
  sha256,
  shortText,
  text,
  updatedAt,
  word,
} from './columns';
import type { LegacyTable } from './legacy-table';

const integer: ReadColumn = (record, field) => integerOf(record, field);

/** What people share, call and use. */
export const SHARING: readonly LegacyTable[] = [
  {
    name: 'share links',
    service: 'debate',
    table: 'share_links',
    key: ['debate_id'],
    values: {
      // The table keeps the hash of a token.
      token: (record, field) => `sha256:${sha256(requiredText(record, field))}`,
      debate_id: needText,
      visibility: orElse(word('private', 'team', 'public'), 'private'),
      owner_id: text,
      org_id: text,
      created_at: needTime,
      expires_at: timeOf,
      allow_comments: orElse(booleanOf, 'false'),
      allow_forking: orElse(booleanOf, 'false'),
      view_count: countOrNone,
      last_viewed_at: timeOf,
    },
  },
  {
    name: 'webhooks',
    service: 'debate',
    table: 'webhook_configs',
    key: ['id'],
    newerBy: 'updated_at',
    // resealWebhooks encrypts it.
    keep: ['secret'],
    values: {
      id: needText,
      url: needText,
      events_json: needed(array),
      secret: needText,
      active: orElse(booleanOf, 'true'),
      created_at: needTime,
      updated_at: updatedAt,
      name: text,
      description: text,
      last_delivery_at: timeOf,
      last_delivery_status: integer,
      delivery_count: countOrNone,
      failure_count: countOrNone,
      user_id: text,
      workspace_id: text,
    },
  },
  {
    name: 'usage events',
    service: 'debate',
    table: 'usage_events',
    key: ['idempotency_key'],
    values: {
      idempotency_key: idFrom('id', 'org_id', 'timestamp'),
      org_id: needText,
      event_type: needText,
      count: orElse(count, '1'),
      metadata: orElse(object, '{}'),
      timestamp: needTime,
    },
  },
  {
    // The log of auth is a chain of hashes, which takes entries at its end and gives none back.
    name: 'audit entries',
    service: 'debate',
    from: 'audit_log',
    table: 'audit_logs',
    key: ['id'],
    fields: ['timestamp', 'org_id'],
    values: {
      id: idFrom('id', 'action', 'timestamp'),
      user_id: text,
      action: needed(shortText(100)),
      resource_type: shortText(50),
      resource_id: shortText(255),
      details: detailsOf,
      ip_address: shortText(45),
      user_agent: text,
      created_at: from('timestamp', needTime),
    },
  },
];

/** The details with the organization, for which the table has no column. */
function detailsOf(record: LegacyRecord, field: string): string {
  const details = object(record, field) ?? '{}';
  const orgId = textOf(record, 'org_id');
  return orgId === null ? details : JSON.stringify({ ...JSON.parse(details), aragora_org_id: orgId });
}
