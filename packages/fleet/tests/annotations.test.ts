import { parseColumnComment, parseModelComment } from '../src/schema/annotations';

const lines = (...texts: string[]) => texts.map((text, index) => ({ line: index + 1, text }));

describe('annotations of a column', () => {
  const user = { service: 'auth', model: 'User', field: 'id' };

  it.each([
    ['@ref auth.User.id', { ref: user }],
    ['@subject auth.User.id', { subject: user }],
    ['@pii birth-date', { pii: 'birth-date' }],
    ['@secret', { secret: true }],
    ['@ref   auth.User.id ', { ref: user }],
  ])('%s is read', (text, annotations) => {
    expect(parseColumnComment(lines(text))).toEqual({ prose: '', annotations, problems: [] });
  });

  it.each([
    ['@ref', '"@ref" does not read as @ref service.Model.field'],
    ['@ref auth.User', '"@ref auth.User" does not read as @ref service.Model.field'],
    ['@ref auth.User.id and more', '"@ref auth.User.id and more" does not read as @ref service.Model.field'],
    ['@secret yes', '"@secret yes" does not read as @secret'],
    ['@erase delete', '@erase does not belong above a column'],
    [
      '@reff auth.User.id',
      '@reff is no annotation; known are @ref, @subject, @pii, @secret, @mask, @erase, @retain, @grant',
    ],
    ['The owner. @ref auth.User.id', '@ref must stand on a line of its own'],
    [
      '@toString',
      '@toString is no annotation; known are @ref, @subject, @pii, @secret, @mask, @erase, @retain, @grant',
    ],
  ])('%s is refused', (text, message) => {
    expect(parseColumnComment(lines('First.', text))).toMatchObject({
      annotations: {},
      problems: [{ line: 2, message }],
    });
  });

  it('names the known kinds of personal data when one is unknown', () => {
    const [problem] = parseColumnComment(lines('@pii mail')).problems;

    expect(problem?.message).toMatch(/^"@pii mail" does not read as @pii email \| name \| .* \| behaviour$/);
  });

  it('refuses a second annotation of the same word and keeps the first', () => {
    expect(parseColumnComment(lines('@pii name', '@pii email'))).toEqual({
      prose: '',
      annotations: { pii: 'name' },
      problems: [{ line: 2, message: '@pii stands twice above the same place' }],
    });
  });

  it('keeps prose apart, an address with @ included', () => {
    const { prose, problems } = parseColumnComment(lines('Where letters go,', 'such as a@example.org.', '@secret'));

    expect({ prose, problems }).toEqual({ prose: 'Where letters go, such as a@example.org.', problems: [] });
  });
});

describe('annotations of a model', () => {
  it.each([
    ['@erase delete', { erase: { action: 'delete' } }],
    ['@erase anonymise', { erase: { action: 'anonymise' } }],
    ['@erase retain(tax law (10 years))', { erase: { action: 'retain', reason: 'tax law (10 years)' } }],
    ['@retain 90d by createdAt', { retain: { days: 90, field: 'createdAt' } }],
    ['@grant insert, select', { grant: ['select', 'insert'] }],
  ])('%s is read', (text, annotations) => {
    expect(parseModelComment(lines(text))).toEqual({ prose: '', annotations, problems: [] });
  });

  it.each([
    ['@erase'],
    ['@erase retain'],
    ['@erase retain()'],
    ['@erase retain( )'],
    ['@retain 0d by createdAt'],
    ['@retain 90 by createdAt'],
    ['@retain 90d'],
    ['@grant'],
    ['@grant all'],
    ['@grant select, select'],
    ['@grant select insert'],
    ['@ref auth.User.id'],
  ])('%s is refused', (text) => {
    expect(parseModelComment(lines(text))).toMatchObject({ annotations: {}, problems: [{ line: 1 }] });
  });
});
