import { withClient } from '@azora/db-migrate';
import { useDatabase } from '@azora/db-testkit';
import { anchorAuditLog } from '../src/postgres/prune/audit-log';
import { findEveryMutation, givenEntries } from './audit-fixture';

describe('the anchors of a pruned audit log', () => {
  const db = useDatabase('auth');

  it('reveal every one of 10,000 random changes', async () => {
    const ages = [120, 110, 100, 30, 20, 10];
    const accounts = await Promise.all([1, 2, 3, 4].map(() => givenEntries(db(), ages)));
    const made = await withClient(db().target.admin, (client) => anchorAuditLog(client, 1, 90));
    await db().admin('SELECT prune_audit_log(1::bigint, 1000)');

    await findEveryMutation(db(), accounts, made, 10_000);
  }, 600_000);
});
