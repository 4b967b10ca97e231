export { acceptedInput, BAD, type BadCall, type BadValues, badElements, outcomeOfGood, rowsOf } from './bad-input';
export {
  type ChaosCall,
  type ChaosOutcome,
  type ChaosRun,
  type ChaosServer,
  callUnderKills,
  openChaosServer,
} from './chaos';
export { type TestClock, useTestClock } from './clock';
export { endSessionInside } from './crash';
export { openTestDatabase, type Query, type TestDatabase, useDatabase } from './database';
export { testEffort } from './effort';
export { type Direction, type FaultProxy, type Faults, openFaultProxy } from './faults';
export { callAtGate, type Gate, type RacingCalls, racePairs } from './race';
export { insertRow, itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses } from './schema';
export { repositoryRoot, TEST_PREFIX, testServerUrl } from './server';
export { CTRL_C, openTerminal, type Terminal, type TerminalOptions } from './terminal';
