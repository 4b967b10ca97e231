/** @server none */
import { referencesDiagram, serviceDiagram } from '../src/models/diagram';

const column = (name: string, isHidden = false) => ({ name, type: 'text', isId: name === 'id', isHidden });

const AUTH = {
  service: 'auth',
  models: [
    { name: 'User', table: 'users', columns: [column('id'), column('email', true)], relations: [] },
    {
      name: 'Session',
      table: 'sessions',
      columns: [column('id'), column('user_id')],
      relations: [{ to: 'User', columns: ['user_id'] }],
    },
  ],
};
const STORY = {
  service: 'story',
  models: [{ name: 'Story', table: 'stories', columns: [column('id'), column('user_id')], relations: [] }],
};
const REFERENCE = {
  from: { service: 'story', model: 'Story', column: 'user_id' },
  to: { service: 'auth', model: 'User', column: 'id' },
};

describe('the diagram of a service', () => {
  it('has an arrow from the column of a foreign key to the referenced model', () => {
    const { nodes, edges } = serviceDiagram(AUTH);

    expect(nodes.map(({ id }) => id)).toEqual(['User', 'Session']);
    expect(edges).toEqual([
      { id: 'e0', from: 'Session', fromRow: 'user_id', to: 'User', label: 'Session.user_id belongs to User' },
    ]);
  });

  it('labels a hidden column as hidden instead of with its type', () => {
    const [user] = serviceDiagram(AUTH).nodes;

    expect(user?.rows.map(({ note }) => note)).toEqual(['text', 'hidden']);
  });
});

describe('the diagram of the references', () => {
  it('shows services with references only, and of these the ends of references only', () => {
    const { nodes, edges } = referencesDiagram({
      services: [AUTH, STORY, { service: 'alone', models: [] }],
      references: [REFERENCE],
    });

    expect(nodes.map(({ id, rows }) => [id, rows.map(({ name }) => name)])).toEqual([
      ['auth', ['User.id']],
      ['story', ['Story.user_id']],
    ]);
    expect(edges.map(({ from, fromRow, to, toRow }) => [from, fromRow, to, toRow])).toEqual([
      ['story', 'Story.user_id', 'auth', 'User.id'],
    ]);
  });
});
