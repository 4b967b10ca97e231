import { useDatabase } from '@azora/db-testkit';
import { testAppRole } from './stores/app-role';
import { testContents } from './stores/contents';
import { testCorpus } from './stores/corpus';
import { testEvents } from './stores/events';
import { testGraph } from './stores/graph';
import { testModel } from './stores/model';
import { testModels } from './stores/models';
import { testRecall } from './stores/recall';
import { testReembedding } from './stores/reembedding';
import { testSearch } from './stores/search';
import { testSeed } from './stores/seed';
import { testWorkspaces } from './stores/workspaces';

describe('the stores of rag', () => {
  const db = useDatabase('rag');
  testContents(db);
  testReembedding(db);
  testModel(db);
  testWorkspaces(db);
  testGraph(db);
  testCorpus(db);
  testSearch(db);
  testModels(db);
  testEvents(db);
  testAppRole(db);
  testSeed(db);
  testRecall(db);
});
