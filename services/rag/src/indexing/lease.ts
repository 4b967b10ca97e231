import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Statement, SuiteError } from '@azora/db-core';
import type { Rag } from '../client';
import { callFor, type Workspace } from '../rows';
import { READER_VERSION } from './reader';

/**
 * Longer than the longest step during which the process answers no timer, which is when the compiler binds a large tree, and short
 * enough to wait for after a crash of another machine.
 */
const LEASE_SECONDS = 120;
const RENEWAL_MS = 20_000;
const MAX_HOST = 200;

export interface Lease {
  readonly owner: string;
  /** The workspace as it was found. */
  readonly workspace: Workspace;
  /** The store, whose `queryLong` writes only as long as the lease is held, and renews it. */
  readonly held: Rag;
  /** Renews the lease before a step without statements. A lease that was lost shows in the next statement. */
  renew(): Promise<unknown>;
}

/**
 * Runs the work of the only indexer of a workspace. A process that loses the lease, because it was stopped for longer than it lasts,
 * writes nothing more.
 * @throws {SuiteError} `RAG.WORKSPACE_NOT_FOUND`, `RAG.INDEX_CLAIMED`, `RAG.INDEX_LOST`
 */
export async function withLease<Result>(
  rag: Rag,
  workspaceId: string,
  work: (lease: Lease) => Promise<Result>,
): Promise<Result> {
  const owner = `${hostname().slice(0, MAX_HOST)} ${process.pid} ${randomUUID()}`;
  const workspace = await claim(rag, workspaceId, owner);
  const values = [workspaceId, owner, LEASE_SECONDS];
  // Whether the renewal succeeded shows the next statement.
  const renew = () => rag.query({ text: 'SELECT hold_index($1, $2, $3)', values }).catch(() => undefined);
  const timer = setInterval(renew, RENEWAL_MS);
  timer.unref();
  const queryLong: Rag['queryLong'] = (statement) => rag.queryLong(heldStatement(statement, values));
  try {
    return await work({ owner, workspace, held: { ...rag, queryLong }, renew });
  } finally {
    clearInterval(timer);
    await release(rag, workspaceId, owner).catch(() => undefined);
  }
}

/** The lease is checked in the transaction of the statement. */
function heldStatement({ text, values }: Statement, lease: readonly unknown[]): Statement {
  const [first, second, third] = lease.map((_, index) => `$${values.length + index + 1}`);
  return {
    text: `SELECT written.* FROM hold_index(${first}, ${second}, ${third}) AS held, LATERAL (${text}) AS written`,
    values: [...values, ...lease],
  };
}

async function claim(rag: Rag, workspaceId: string, owner: string): Promise<Workspace> {
  const text = 'SELECT * FROM claim_index($1, $2, $3, $4)';
  const values = [workspaceId, owner, READER_VERSION, LEASE_SECONDS];
  try {
    return await callFor<Workspace>(rag, text, values);
  } catch (error) {
    const holder = error instanceof SuiteError && error.code === 'RAG.INDEX_CLAIMED' ? error.meta['owner'] : undefined;
    if (typeof holder !== 'string' || !hasEnded(holder)) throw error;
    await release(rag, workspaceId, holder);
    return callFor<Workspace>(rag, text, values);
  }
}

/** Whether the owner was a process of this machine that has ended, such as one that was killed. Its lease need not be waited for. */
function hasEnded(owner: string): boolean {
  const [host, pid] = owner.split(' ');
  if (host !== hostname().slice(0, MAX_HOST)) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function release(rag: Rag, workspaceId: string, owner: string): Promise<unknown> {
  return rag.query({ text: 'SELECT release_index($1, $2)', values: [workspaceId, owner] });
}
