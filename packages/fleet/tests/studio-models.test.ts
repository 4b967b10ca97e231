/** @server any */
import type { ModelsAnswer } from '../../studio/src/api/answers';
import { readModels } from '../src/operations/studio/models';
import { type GivenFleet, removeFleets } from './fleet-fixture';
import { contextOf, givenShop } from './studio-read-fixture';

describe('the models of the fleet', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    fleet = await givenShop();
  });
  afterAll(removeFleets);

  it('have the names of the database, their keys and their hidden columns', async () => {
    const { services }: ModelsAnswer = readModels(await contextOf(fleet));

    expect(services.map(({ service, models }) => [service, models.map(({ name, table }) => [name, table])])).toEqual([
      [
        'auth',
        [
          ['User', 'users'],
          ['Session', 'sessions'],
          ['Country', 'countries'],
          ['Region', 'regions'],
        ],
      ],
      ['shop', [['Order', 'Order']]],
    ]);
    expect(services[0]?.models[1]).toEqual({
      name: 'Session',
      table: 'sessions',
      columns: [
        { name: 'id', type: 'integer', isId: true, isHidden: false },
        { name: 'user_id', type: 'uuid', isId: false, isHidden: false },
        { name: 'token', type: 'text', isId: false, isHidden: true },
      ],
      relations: [{ to: 'User', columns: ['user_id'] }],
    });
  });

  it('come with the references between services', async () => {
    const { references } = readModels(await contextOf(fleet));

    expect(references).toHaveLength(6);
    expect(references[0]).toEqual({
      from: { service: 'shop', model: 'Order', column: 'buyer id' },
      to: { service: 'auth', model: 'User', column: 'id' },
    });
  });

  it('hide no column with --reveal, and the annotated columns of services that are not shown', async () => {
    const hiddenOf = async (given: Parameters<typeof contextOf>[1]) =>
      readModels(await contextOf(fleet, given)).services.flatMap(({ service, models }) =>
        models.flatMap(({ table, columns }) =>
          columns.flatMap(({ name, isHidden }) => (isHidden ? [`${service}.${table}.${name}`] : [])),
        ),
      );

    expect(await hiddenOf({ reveal: true })).toEqual([]);
    expect(await hiddenOf({})).toEqual(['auth.users.email', 'auth.sessions.token', 'shop.Order.gift_for']);
    expect(await hiddenOf({ targets: [fleet.target('auth')] })).toEqual(await hiddenOf({}));
  });

  it('are read without a database', async () => {
    const targets = fleet.targets.map((target) => ({
      ...target,
      admin: { ...target.admin, href: 'postgres://no:1/x' },
    }));

    expect(readModels(await contextOf(fleet, { targets })).services).toHaveLength(2);
  });
});
