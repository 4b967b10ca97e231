import type { Store } from '@azora/db-core';

/** How an index stores embeddings: `halfvec` in half precision, which halves its size. */
export type VectorType = 'vector' | 'halfvec';

/** The part of a store that this class uses. */
type IndexStore = Pick<Store<unknown, unknown>, 'query'>;

/** A valid HNSW index by cosine distance on the embeddings of one dimension. */
export interface VectorIndex {
  readonly name: string;
  readonly dimension: number;
  readonly type: VectorType;
  readonly bytes: number;
}

/** The condition of such an index names the dimension, and its expression casts to the type. */
const LIST = `
  SELECT c.relname AS name, (parts[2])::integer AS dimension, parts[1] AS type, pg_relation_size(c.oid)::float8 AS bytes
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam,
    LATERAL regexp_match(pg_get_indexdef(c.oid), '::(vector|halfvec)\\((\\d+)\\).*_cosine_ops') AS parts
  WHERE i.indrelid = 'rag_chunks'::regclass AND i.indisvalid AND a.amname = 'hnsw' AND parts IS NOT NULL
  ORDER BY c.relname`;

/**
 * Knows which dimensions have an index, so that a search can use it. An index that appears is seen by the next search of its dimension,
 * because those without an index look again; one that is dropped meanwhile makes searches slow, not wrong.
 */
export class VectorIndexes {
  readonly #store: IndexStore;
  #known = new Map<number, VectorType>();

  constructor(store: IndexStore) {
    this.#store = store;
  }

  /** The indexes that the database has now. */
  async list(): Promise<readonly VectorIndex[]> {
    const found = await this.#store.query<VectorIndex & { readonly [column: string]: unknown }>({
      text: LIST,
      values: [],
    });
    // Full precision wins when a dimension has both.
    const ordered = found.toSorted((one, other) => one.type.localeCompare(other.type));
    this.#known = new Map(ordered.map(({ dimension, type }) => [dimension, type]));
    return found;
  }

  /** The type of the index on a dimension; undefined when it has none. */
  async typeOf(dimension: number): Promise<VectorType | undefined> {
    if (!this.#known.has(dimension)) await this.list();
    return this.#known.get(dimension);
  }
}
