import { useDatabase } from '@azora/db-testkit';
import { openRag } from '../src';
import { checkSequences } from './index-sequences';
import { useFolders } from './trees';

describe('the index of a tree that changes', () => {
  const db = useDatabase('rag');
  const newFolder = useFolders();

  it('equals an index from scratch after each of 1,000 random sequences', async () => {
    const rag = openRag({ url: db().url, slowQueryMs: 60_000, pool: { connectTimeoutMs: 60_000 } });
    try {
      await checkSequences({ db: db(), rag, newFolder }, { runs: 1_000, seed: 20_261_207 });
    } finally {
      await rag.close();
    }
  }, 3_600_000);
});
