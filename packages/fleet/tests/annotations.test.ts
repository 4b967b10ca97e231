/** @server none */
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
    ['@ref', '"@ref" does not match @ref service.Model.field'],
    ['@ref auth.User', '"@ref auth.User" does not match @ref service.Model.field'],
    ['@ref auth.User.id and more', '"@ref auth.User.id and more" does not match @ref service.Model.field'],
    ['@secret yes', '"@secret yes" does not match @secret'],
    ['@erase delete', '@erase is not allowed on a column'],
    ['@reff auth.User.id', '@reff is not an annotation. Did you mean @ref?'],
    ['@PII email', '@PII is not an annotation. Did you mean @pii?'],
    ['@sercet', '@sercet is not an annotation. Did you mean @secret?'],
    ['@earse delete', '@earse is not an annotation. Did you mean @erase?'],
    ['The owner. @ref auth.User.id', '@ref must be on a line of its own'],
  ])('%s is rejected', (text, message) => {
    expect(parseColumnComment(lines('First.', text))).toMatchObject({
      annotations: {},
      problems: [{ line: 2, message }],
    });
  });

  it.each([
    '@deprecated Use createdAt instead',
    '@zod.string().min(3).max(10)',
    '@TypeGraphQL.omit(output: true)',
    '@HideField()',
    '@default now',
    '@internal',
    '@example 42',
    '@toString',
  ])('%s belongs to another tool', (text) => {
    expect(parseColumnComment(lines('First.', text, '@secret'))).toEqual({
      prose: `First. ${text}`,
      annotations: { secret: true },
      problems: [],
    });
  });

  it('names the kinds of personal data when one is unknown', () => {
    const [problem] = parseColumnComment(lines('@pii mail')).problems;

    expect(problem?.message).toMatch(/^"@pii mail" does not match @pii email \| name \| .* \| behaviour$/);
  });

  it('rejects a second annotation of the same word and keeps the first', () => {
    expect(parseColumnComment(lines('@pii name', '@pii email'))).toEqual({
      prose: '',
      annotations: { pii: 'name' },
      problems: [{ line: 2, message: '@pii is given twice' }],
    });
  });

  it('separates prose, including an e-mail address', () => {
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
    ['@retain 9d by endedAt where state = 1', { retain: { days: 9, field: 'endedAt', where: 'state = 1' } }],
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
    ['@retain 90d by createdAt where'],
    ['@grant'],
    ['@grant all'],
    ['@grant select, select'],
    ['@grant select insert'],
    ['@ref auth.User.id'],
  ])('%s is rejected', (text) => {
    expect(parseModelComment(lines(text))).toMatchObject({ annotations: {}, problems: [{ line: 1 }] });
  });
});
