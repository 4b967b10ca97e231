import { normalizePath, workspaceId } from '../src/workspaces';

describe('workspaceId', () => {
  it('is the first 16 hex characters of the SHA-256 of the normalised path', () => {
    expect(workspaceId('/home/dev/project')).toBe('1afbf223bb0b58ba');
  });

  it.each(['C:\\Work\\Aura', 'c:/work/aura', 'C:\\\\Work\\\\Aura', 'C:/Work//Aura/', 'c:\\WORK/aura\\'])(
    'is the same for %s as for every other spelling of that path',
    (path) => {
      expect(workspaceId(path)).toBe('e2d3f9c46aa06742');
    },
  );

  it('differs between paths', () => {
    expect(workspaceId('/home/dev/a')).not.toBe(workspaceId('/home/dev/b'));
  });

  it.each(['', '  '])('refuses a blank path', (path) => {
    expect(() => workspaceId(path)).toThrow(expect.objectContaining({ code: 'RAG.INVALID_INPUT' }));
  });
});

describe('normalizePath', () => {
  it.each([
    ['C:\\Work\\Aura\\', 'c:/work/aura'],
    ['\\\\Server\\Share', '/server/share'],
    ['/home//dev/', '/home/dev'],
    ['/', '/'],
    ['C:\\', 'c:/'],
    ['file:///Home//Dev/', 'file:///home/dev'],
  ])('writes %s as %s', (path, normalized) => {
    expect(normalizePath(path)).toBe(normalized);
    expect(normalizePath(normalized)).toBe(normalized);
  });
});
