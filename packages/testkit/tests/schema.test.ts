import { insertRow, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

describe('schemaRefuses', () => {
  const db = useDatabase('notification');
  const row = { id: 'a', user_id: 'ada', title: 'Hello', message: 'Welcome' };

  it('passes when the named constraint rejects the statement', async () => {
    await schemaRefuses(insertRow(db().admin, 'notifications', { ...row, title: ' ' }), 'notifications_title_check');
  });

  it.each([
    ['another constraint rejects the statement', { title: ' ' }, /notifications_title_check/],
    ['an error without a constraint occurs', { is_read: null }, /is_read/],
    ['the statement is accepted', {}, /The statement was accepted/],
  ])('fails when %s', async (_case, change, message) => {
    const statement = insertRow(db().admin, 'notifications', { ...row, ...change });

    await expect(schemaRefuses(statement, 'notifications_message_check')).rejects.toThrow(message);
  });

  it('names what rejected some of several statements', async () => {
    const race = ['b', 'b', 'c'].map((id) => insertRow(db().admin, 'notifications', { ...row, id }));

    expect(await refusalsOf(race)).toEqual(['notifications_pkey']);
  });
});
