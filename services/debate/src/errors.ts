import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; the connection adds `DATABASE.*`. */
export const DEBATE_ERROR_CODES = [
  'DEBATE.AGENT_NOT_FOUND',
  'DEBATE.ARTIFACT_CONCLUDED',
  'DEBATE.ARTIFACT_NOT_FOUND',
  'DEBATE.CIPHERTEXT_INVALID',
  'DEBATE.CYCLE_NOT_FOUND',
  'DEBATE.CYCLE_OPEN',
  'DEBATE.ENCRYPTION_KEY_INVALID',
  'DEBATE.EVOLUTION_NOT_FOUND',
  'DEBATE.EVOLUTION_RECORDED',
  'DEBATE.ILLEGAL_TRANSITION',
  'DEBATE.INVALID_INPUT',
  'DEBATE.KEY_REUSED',
  'DEBATE.KEY_UNKNOWN',
  'DEBATE.MATCH_NOT_FOUND',
  'DEBATE.MATCH_RECORDED',
  'DEBATE.MEMORY_NOT_FOUND',
  'DEBATE.NOT_IN_DEBATE',
  'DEBATE.NO_ENCRYPTION_KEY',
  'DEBATE.PHASE_ENDED',
  'DEBATE.PHASE_NOT_FOUND',
  'DEBATE.POSITION_NOT_FOUND',
  'DEBATE.POSITION_REVERSED',
  'DEBATE.RATING_RANGE',
  'DEBATE.REPLAY_NOT_FOUND',
  'DEBATE.ROW_FIXED',
  'DEBATE.SECRET_NOT_SEALED',
  'DEBATE.SHARE_EXISTS',
  'DEBATE.SHARE_NOT_FOUND',
  'DEBATE.WEBHOOK_NOT_FOUND',
] as const;

export type DebateErrorCode = (typeof DEBATE_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids and numbers. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; DEBATE.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('DEBATE.INVALID_INPUT');

/** DEBATE.INVALID_INPUT: SQL rejected a field that passed the input schema. */
function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('DEBATE.INVALID_INPUT', 'The input is not valid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the named fields and call again',
    meta: { fields: [field] },
  });
}

/** DEBATE.KEY_REUSED: the idempotency key belongs to another request. */
function keyReused({ operation, asked }: Facts): SuiteError {
  return new SuiteError('DEBATE.KEY_REUSED', 'The idempotency key was used for another request', {
    kind: 'usage',
    why: operation === asked ? 'The request with this key had another input.' : 'Another operation used this key.',
    next: 'Repeat a request with the same input, or use a new key',
    meta: { operation, asked },
  });
}

/** DEBATE.CYCLE_OPEN: the loop has a cycle that has not ended. */
function cycleOpen({ loopId, cycleNumber }: Facts): SuiteError {
  return new SuiteError('DEBATE.CYCLE_OPEN', `Cycle ${cycleNumber} of the loop has not ended`, {
    why: 'A loop runs one cycle at a time.',
    next: 'End its phase with completePhase(), as a failure if the cycle was given up',
    meta: { loopId, cycleNumber },
  });
}

/** DEBATE.CYCLE_NOT_FOUND: the loop has no cycle with this number. */
export function cycleNotFound({ loopId, cycleNumber }: Facts): SuiteError {
  return new SuiteError('DEBATE.CYCLE_NOT_FOUND', 'The cycle does not exist', {
    next: 'Start it with startCycle(), or read its number with listPhases()',
    meta: { loopId, cycleNumber },
  });
}

/** DEBATE.PHASE_NOT_FOUND: the cycle has not reached this phase. */
function phaseNotFound({ loopId, cycleNumber, phase }: Facts): SuiteError {
  return new SuiteError('DEBATE.PHASE_NOT_FOUND', `The cycle has no phase ${phase}`, {
    why: 'The cycle does not exist, or has not reached the phase.',
    next: 'Read the phases with getCycle()',
    meta: { loopId, cycleNumber, phase },
  });
}

/** DEBATE.PHASE_ENDED: the phase has an outcome, which stays. */
function phaseEnded({ loopId, cycleNumber, phase }: Facts): SuiteError {
  return new SuiteError('DEBATE.PHASE_ENDED', `The phase ${phase} has ended`, {
    why: 'A phase that has an outcome does not change.',
    next: 'Read its outcome with getCycle(); work on the next phase, or start the next cycle',
    meta: { loopId, cycleNumber, phase },
  });
}

/** DEBATE.ILLEGAL_TRANSITION: a stage or an outcome does not follow the present one; the error names both. */
function illegalTransition({ from, to, ...of }: Facts): SuiteError {
  return new SuiteError('DEBATE.ILLEGAL_TRANSITION', `It cannot go from ${from} to ${to}`, {
    why: 'Another call changed it before, or a step in between is missing.',
    next: 'Read the row again and take the next step from there; services/debate/README.md lists the steps',
    meta: { from, to, ...of },
  });
}

/** DEBATE.ARTIFACT_NOT_FOUND: no debate has this id. */
export function artifactNotFound({ artifactId }: Facts): SuiteError {
  return new SuiteError('DEBATE.ARTIFACT_NOT_FOUND', 'The artifact does not exist', {
    next: 'Pass the id that openArtifact() returned',
    meta: { artifactId },
  });
}

/** DEBATE.ARTIFACT_CONCLUDED: the debate has a result, which stays. */
function artifactConcluded({ artifactId }: Facts): SuiteError {
  return new SuiteError('DEBATE.ARTIFACT_CONCLUDED', 'The debate was concluded', {
    why: 'Its transcript, votes and result do not change any more.',
    next: 'Read it with getArtifact(), or open another one',
    meta: { artifactId },
  });
}

/** DEBATE.NOT_IN_DEBATE: the agent does not take part in the debate. */
function notInDebate({ artifactId, agent }: Facts): SuiteError {
  return new SuiteError('DEBATE.NOT_IN_DEBATE', 'The agent does not take part in the debate', {
    kind: 'usage',
    next: 'Name one of the agents with which the artifact was opened',
    meta: { artifactId, agent },
  });
}

/** DEBATE.MATCH_RECORDED: the debate was rated with other scores. */
function matchRecorded({ debateId }: Facts): SuiteError {
  return new SuiteError('DEBATE.MATCH_RECORDED', 'The debate was rated before, with another result', {
    why: 'A debate is rated once.',
    next: 'Read the result with getMatch()',
    meta: { debateId },
  });
}

/** DEBATE.MATCH_NOT_FOUND: the debate was not rated. */
export function matchNotFound({ debateId }: Facts): SuiteError {
  return new SuiteError('DEBATE.MATCH_NOT_FOUND', 'The debate was not rated', {
    next: 'Rate it with recordMatch()',
    meta: { debateId },
  });
}

/** DEBATE.RATING_RANGE: a rating would fall to 0 or below. */
function ratingRange(): SuiteError {
  return new SuiteError('DEBATE.RATING_RANGE', 'The match would take a rating to 0 or below', {
    why: 'The rating of an agent is already close to 0.',
    next: 'Rate the match with a smaller kFactor',
  });
}

/** DEBATE.AGENT_NOT_FOUND: the agent has no rating. */
export function agentNotFound({ agentName }: Facts): SuiteError {
  return new SuiteError('DEBATE.AGENT_NOT_FOUND', 'The agent has no rating', {
    why: 'An agent is rated from its first match, resolved position or critique on.',
    next: 'Check the name with listRatings()',
    meta: { agentName },
  });
}

/** DEBATE.POSITION_NOT_FOUND: no position has this id. */
export function positionNotFound({ positionId }: Facts): SuiteError {
  return new SuiteError('DEBATE.POSITION_NOT_FOUND', 'The position does not exist', {
    next: 'Pass the id that takePosition() returned',
    meta: { positionId },
  });
}

/** DEBATE.POSITION_REVERSED: the position was reversed in another debate. */
function positionReversed({ positionId, debateId }: Facts): SuiteError {
  return new SuiteError('DEBATE.POSITION_REVERSED', 'The position was reversed before', {
    why: 'A position is reversed once.',
    next: 'Record the opinion that the agent holds now with takePosition()',
    meta: { positionId, debateId },
  });
}

/** DEBATE.ROW_FIXED: a statement would change the claim of a position. */
function rowFixed({ positionId }: Facts): SuiteError {
  return new SuiteError('DEBATE.ROW_FIXED', 'The claim of a position does not change', {
    next: 'Record another position with takePosition()',
    meta: { positionId },
  });
}

/** DEBATE.SHARE_EXISTS: the debate has a link. */
function shareExists(): SuiteError {
  return new SuiteError('DEBATE.SHARE_EXISTS', 'The debate has a share link', {
    why: 'A debate has one link.',
    next: 'Its owner can change it with updateShareLink(), or get a new token with rotateShareToken()',
  });
}

/** DEBATE.SHARE_NOT_FOUND: there is no link, it has expired, or it is not for this person; the error does not tell which. */
function shareNotFound(): SuiteError {
  return new SuiteError('DEBATE.SHARE_NOT_FOUND', 'The link does not exist, has expired, or is not for this person', {
    next: 'Ask the owner of the debate for a new link',
  });
}

/** DEBATE.WEBHOOK_NOT_FOUND: this person has no webhook with this id. */
export function webhookNotFound({ webhookId }: Facts): SuiteError {
  return new SuiteError('DEBATE.WEBHOOK_NOT_FOUND', 'The webhook does not exist, or belongs to another person', {
    next: 'Pass an id from listWebhooks(), in the name of its owner',
    meta: { webhookId },
  });
}

/** DEBATE.SECRET_NOT_SEALED: a statement would store the secret of a webhook as it is. */
function secretNotSealed(): SuiteError {
  return new SuiteError('DEBATE.SECRET_NOT_SEALED', 'The secret of the webhook is not encrypted', {
    kind: 'usage',
    next: 'Create webhooks with createWebhook(), which encrypts their secrets',
  });
}

/** DEBATE.MEMORY_NOT_FOUND: no memory has this id, or its time is over. */
export function memoryNotFound({ memoryId }: Facts): SuiteError {
  return new SuiteError('DEBATE.MEMORY_NOT_FOUND', 'The memory does not exist, or its time is over', {
    next: 'Store it again with storeMemory()',
    meta: { memoryId },
  });
}

/** DEBATE.REPLAY_NOT_FOUND: no replay has this id. */
export function replayNotFound({ traceId }: Facts): SuiteError {
  return new SuiteError('DEBATE.REPLAY_NOT_FOUND', 'The replay does not exist', {
    next: 'Pass the id that recordReplay() returned',
    meta: { traceId },
  });
}

/** DEBATE.EVOLUTION_NOT_FOUND: nothing was recorded about what the cycle changed. */
export function evolutionNotFound({ loopId, cycleNumber }: Facts): SuiteError {
  return new SuiteError('DEBATE.EVOLUTION_NOT_FOUND', 'No changes of this cycle were recorded', {
    next: 'Record them with recordEvolution()',
    meta: { loopId, cycleNumber },
  });
}

/** DEBATE.EVOLUTION_RECORDED: the cycle has another record of what it changed. */
function evolutionRecorded({ loopId, cycleNumber }: Facts): SuiteError {
  return new SuiteError('DEBATE.EVOLUTION_RECORDED', 'Other changes of this cycle were recorded before', {
    why: 'A cycle has one evolution.',
    next: 'Read it with getEvolution()',
    meta: { loopId, cycleNumber },
  });
}

/** DEBATE.NO_ENCRYPTION_KEY: an operation must encrypt or decrypt the secret of a webhook, and the handle has no key. */
export function noEncryptionKey(): SuiteError {
  return new SuiteError('DEBATE.NO_ENCRYPTION_KEY', 'No encryption key is set', {
    kind: 'configuration',
    why: 'Neither the option encryptionKeys nor AZORA_ENCRYPTION_KEY is set.',
    next: 'Set AZORA_ENCRYPTION_KEY to 32 random bytes in base64: openssl rand -base64 32',
    meta: { variable: 'AZORA_ENCRYPTION_KEY' },
  });
}

/** DEBATE.ENCRYPTION_KEY_INVALID: the keys cannot be parsed. The error does not show them. */
export function encryptionKeyInvalid(why: string): SuiteError {
  return new SuiteError('DEBATE.ENCRYPTION_KEY_INVALID', 'The encryption keys are not valid', {
    kind: 'configuration',
    why: `In the option encryptionKeys or in AZORA_ENCRYPTION_KEY, ${why}.`,
    next: 'Set one key of 32 bytes in base64 or hex, or several as v2:<key>,v1:<key>, newest first',
    meta: { variable: 'AZORA_ENCRYPTION_KEY' },
  });
}

/** DEBATE.KEY_UNKNOWN: a secret was encrypted with a key version that the handle does not have. */
export function keyUnknown(version: number, known: readonly number[]): SuiteError {
  return new SuiteError('DEBATE.KEY_UNKNOWN', `The encryption key v${version} is missing`, {
    kind: 'configuration',
    why: `A secret was encrypted with v${version}; the handle has ${known.map((each) => `v${each}`).join(', ')}.`,
    next: 'Add the key after the newest one, and remove it after resealWebhooks()',
    meta: { version, known },
  });
}

/** DEBATE.CIPHERTEXT_INVALID: a stored secret is not what the store encrypted for this webhook. */
export function ciphertextInvalid(webhookId: string): SuiteError {
  return new SuiteError('DEBATE.CIPHERTEXT_INVALID', 'The secret of a webhook cannot be decrypted', {
    why: 'It was changed, copied from another row, encrypted with another key of the same version, or never encrypted.',
    next: 'Encrypt imported secrets with resealWebhooks(), or give the webhook a new one with rotateWebhookSecret()',
    meta: { webhookId },
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  share_links_team_check: () => invalidField('orgId', 'is missing, and a team link needs an organization'),
  share_links_period_check: () => invalidField('expiresInMs', 'is not in the future'),
  nomic_cycles_tasks_check: () => invalidField('completedTasks', 'is more than the number of tasks'),
  ratings_critiques_check: () => invalidField('accepted', 'is more than the number of critiques'),
  key_reused: keyReused,
  cycle_open: cycleOpen,
  phase_not_found: phaseNotFound,
  phase_ended: phaseEnded,
  stage_transition: illegalTransition,
  outcome_transition: illegalTransition,
  delivery_decided: illegalTransition,
  artifact_not_found: artifactNotFound,
  artifact_concluded: artifactConcluded,
  not_in_debate: notInDebate,
  match_recorded: matchRecorded,
  matches_debate_id_key: matchRecorded,
  ratings_elo_check: ratingRange,
  elo_history_domain_elo_check: ratingRange,
  position_not_found: positionNotFound,
  position_reversed: positionReversed,
  position_fixed: rowFixed,
  share_not_found: shareNotFound,
  share_links_debate_id_key: shareExists,
  webhook_not_found: webhookNotFound,
  secret_not_sealed: secretNotSealed,
  memory_not_found: memoryNotFound,
  replay_not_found: replayNotFound,
  evolution_recorded: evolutionRecorded,
};
