import { normalizePath, workspaceId } from '../src/workspaces';

describe('workspaceId', () => {
  it('returns the first 16 hex characters of the SHA-256 hash of the normalized path', () => {
    expect(workspaceId('/home/dev/project')).toBe('1afbf223bb0b58ba');
  });

  it.each(['C:\\Work\\Aura', 'c:/work/aura', 'C:\\\\Work\\\\Aura', 'C:/Work//Aura/', 'c:\\WORK/aura\\'])(
    'returns the same id for %s and every other spelling of the path',
    (path) => {
      expect(workspaceId(path)).toBe('e2d3f9c46aa06742');
    },
  );

  it('returns different ids for different paths', () => {
    expect(workspaceId('/home/dev/a')).not.toBe(workspaceId('/home/dev/b'));
  });

  it.each(['', '  '])('rejects a blank path', (path) => {
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
  ])('normalizes %s to %s', (path, normalized) => {
    expect(normalizePath(path)).toBe(normalized);
    expect(normalizePath(normalized)).toBe(normalized);
  });
});
