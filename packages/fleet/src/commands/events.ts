import { SuiteError } from '@azora/db-core';
import { Argument, InvalidArgumentError } from 'commander';
import type { DeadLetterAction, ReplayStart } from '../operations/events/consumers';
import type { EventPlace } from '../operations/events/log-target';
import { type CommandContext, type FleetFlags, openSuite, type Register, withFleetFlags, withJson } from './command';
import { type ConsentFlags, type ConsentRequest, requireConsent, withConsent } from './consent';
import { EXIT_FOUND, exitCodeOfRows } from './exit-codes';

const CONSUMER = 'the name of a consumer, such as notification.greet-members';

export const registerEvents: Register = (program, execute) => {
  const events = program
    .command('events')
    .summary('show, relay and repair the events between services')
    .description(
      'Operates the events between services: the outboxes, their relays and the event log in nexus with its consumers. ' +
        'docs/USE-EVENTS.md explains them.',
    );
  for (const register of [registerStatus, registerRelay, registerDead, registerReplay, registerForget]) {
    register(events, execute);
  }
};

interface StatusFlags extends FleetFlags {
  readonly check?: boolean;
}

const registerStatus: Register = (events, execute) => {
  withFleetFlags(events.command('status'))
    .description('show what waits in each outbox, and how far each consumer has come')
    .option('--check', 'exit 4 when an outbox or a consumer stands still')
    .action(
      execute(async (context, flags: StatusFlags) => {
        const { place, services } = await openFleet(context, flags);
        const { needsOperator, readEvents } = await import('../operations/events/state.js');
        const { eventsText } = await import('../render/events.js');
        const state = await readEvents(place, services, { signal: context.signal });
        const ok = !needsOperator(state);
        const text = eventsText(state);
        return { data: { ok, ...state }, text, exitCode: flags.check && !ok ? EXIT_FOUND : 0 };
      }),
    );
};

const registerRelay: Register = (events, execute) => {
  withFleetFlags(events.command('relay'))
    .summary('relay the outboxes until Ctrl-C')
    .description(
      'Relays the events of the outboxes into the event log until Ctrl-C, and deletes old events there. Each outbox has one ' +
        'relay at a time: more of them wait, and take over within half a minute when the first one is killed.',
    )
    .action(
      execute(async (context, flags: FleetFlags) => {
        const { place, services, home } = await openFleet(context, flags);
        const { openCredentials } = await import('../config/credentials.js');
        const { relayFleet } = await import('../operations/events/relay.js');
        const { countsText, failuresText, rowsData } = await import('../render/fleet.js');
        const { environment, progress, signal, log } = context;
        log(`Relaying ${services.join(', ')}. Press Ctrl-C to stop`);
        const passwordOf = await openCredentials(home);
        const rows = await relayFleet(place.fleet, services, { environment, progress, signal, log, passwordOf });
        const text = [failuresText(rows), `The relays have stopped: ${countsText(rows)}`].filter((it) => it !== '');
        return { data: rowsData(rows), text: text.join('\n'), exitCode: exitCodeOfRows(rows) };
      }),
    );
};

const registerDead: Register = (events, execute) => {
  withConsent(withJson(events.command('dead')))
    .summary('list dead letters, deliver them again, or give them up')
    .description(
      'Works on dead letters: events that a consumer has tried in vain as often as it allows. Later events of the same key were ' +
        'delivered meanwhile.',
    )
    .addArgument(
      new Argument('<what>', 'list: show them; retry: deliver them again; discard: give them up, asks first').choices([
        'list',
        'retry',
        'discard',
      ]),
    )
    .argument('[consumer]', `${CONSUMER}; list shows those of all consumers without it`)
    .argument('[position]', 'the position of one dead letter; all of the consumer without it', parsePosition)
    .action(
      execute(
        async (
          context,
          what: 'list' | DeadLetterAction,
          consumer: string | undefined,
          position: string | undefined,
          flags: ConsentFlags,
        ) => {
          const { place } = await openFleet(context, {});
          if (what === 'list') return listDead(place, consumer, position);
          if (consumer === undefined) throw consumerMissing(what);
          return changeDead(context, place, { what, consumer, position, flags });
        },
      ),
    );
};

async function listDead(place: EventPlace, consumer: string | undefined, position: string | undefined) {
  const { findDeadLetters, listDeadLetters } = await import('../operations/events/consumers.js');
  const { deadLettersText } = await import('../render/events.js');
  const found =
    consumer === undefined || position === undefined
      ? await listDeadLetters(place, { consumer })
      : await findDeadLetters(place, consumer, position);
  return { data: { ok: true, total: found.total, deadLetters: found.letters }, text: deadLettersText(found) };
}

function consumerMissing(what: DeadLetterAction): SuiteError {
  return new SuiteError('USAGE.INVALID_ARGUMENTS', `The command does not say whose dead letters to ${what}`, {
    kind: 'usage',
    next: 'Add the name of the consumer; "npx azora-db events dead list" shows it',
  });
}

interface DeadRequest {
  readonly what: DeadLetterAction;
  readonly consumer: string;
  readonly position: string | undefined;
  readonly flags: ConsentFlags;
}

async function changeDead(
  context: CommandContext,
  place: EventPlace,
  { what, consumer, position, flags }: DeadRequest,
) {
  const { changeDead: change, findDeadLetters } = await import('../operations/events/consumers.js');
  const { countOf } = await import('../operations/fleet.js');
  if (what === 'discard') {
    const { total } = await findDeadLetters(place, consumer, position);
    const which = position === undefined ? countOf(total, 'dead letter') : `the dead letter ${position}`;
    const action = `give up ${which} of ${consumer}, which it then never handles`;
    await requireConsent(context, { ...flags, action, ...(await consentPlace(place)) });
  }
  const positions = await change(place, what, consumer, position);
  const verb = what === 'retry' ? 'will be delivered again' : 'given up';
  const text = `${consumer}: ${countOf(positions.length, 'dead letter')} ${verb}`;
  return { data: { ok: true, consumer, what, positions }, text };
}

interface ReplayFlags extends ConsentFlags {
  readonly from: ReplayStart;
  readonly json?: boolean;
}

const registerReplay: Register = (events, execute) => {
  withConsent(withJson(events.command('replay').argument('<consumer>', CONSUMER)))
    .summary('deliver events to a consumer again; asks first')
    .description(
      'Delivers every event from a position or a time on to a consumer again. Events that its inbox knows have no effect again; ' +
        'the inbox remembers them for at least 30 days.',
    )
    .requiredOption(
      '--from <position|time>',
      'a position of the event log (4711) or of a broker (mint:4711), or a time with a time zone (2026-01-31T12:00:00Z)',
      parseStart,
    )
    .action(
      execute(async (context, consumer: string, flags: ReplayFlags) => {
        const { place } = await openFleet(context, {});
        const { prepareReplay, replay } = await import('../operations/events/consumers.js');
        const { replayAction } = await import('../render/events.js');
        const { countOf } = await import('../operations/fleet.js');
        const plan = await prepareReplay(place, consumer, flags.from);
        const action = replayAction(consumer, plan);
        await requireConsent(context, { ...flags, action, ...(await consentPlace(place)) });
        await replay(place, consumer, plan);
        const text = `${consumer}: ${countOf(plan.events, 'event')} from position ${plan.from} on will be delivered again`;
        return { data: { ok: true, consumer, ...plan }, text };
      }),
    );
};

const registerForget: Register = (events, execute) => {
  withConsent(withJson(events.command('forget').argument('<consumer>', CONSUMER)))
    .summary('remove a consumer that nobody runs any more; asks first')
    .description(
      'Removes a consumer from the event log with its position, its parked events and its dead letters, so that the log need not ' +
        'keep events for it. A consumer that joins again under this name begins with the oldest event of the log.',
    )
    .action(
      execute(async (context, consumer: string, flags: ConsentFlags) => {
        const { place } = await openFleet(context, {});
        const { forgetConsumer, listDeadLetters } = await import('../operations/events/consumers.js');
        await listDeadLetters(place, { consumer });
        const action = `remove the consumer ${consumer} with its position, its parked events and its dead letters`;
        await requireConsent(context, { ...flags, action, ...(await consentPlace(place)) });
        await forgetConsumer(place, consumer);
        return { data: { ok: true, consumer }, text: `${consumer}: removed from the event log` };
      }),
    );
};

/** What a person confirms: the database with the log, or the hosts of the broker. */
async function consentPlace(place: EventPlace): Promise<Pick<ConsentRequest, 'targets' | 'broker'>> {
  const { brokerName, usesBroker } = await import('../operations/events/broker.js');
  const { logTarget } = await import('../operations/events/log-target.js');
  if (usesBroker(place.environment)) return { targets: [], broker: brokerName(place.environment) };
  return { targets: [logTarget(place.fleet)] };
}

/** The databases of the chosen services and the event log, and the names of the chosen services. */
async function openFleet(context: CommandContext, flags: FleetFlags) {
  const { settings, services, allServices } = await openSuite(context, flags);
  const { LOG_SERVICE } = await import('../operations/events/log-target.js');
  const { openTargets } = await import('../operations/targets.js');
  const isSelected = settings.selected === undefined || settings.selected.includes(LOG_SERVICE);
  const log = isSelected ? allServices.filter(({ name }) => name === LOG_SERVICE) : [];
  const needed = [...services, ...log.filter((it) => !services.includes(it))];
  const fleet = await openTargets(settings, needed, context.log, context.signal);
  const found = services.filter((service) => fleet.some((it) => it.service.name === service.name));
  const place = { fleet, environment: settings.environment };
  return { place, services: found.map(({ name }) => name), home: settings.home };
}

/** A broker counts the events of each service by themselves, so a position there names the service. */
const POSITION = /^([a-z][a-z0-9-]*:)?\d{1,18}$/;

function parsePosition(text: string): string {
  if (POSITION.test(text)) return text;
  throw new InvalidArgumentError(
    'It must be a position of the event log such as 4711, or of a broker such as mint:4711.',
  );
}

/** A time without a zone is rejected, because the replay could begin hours off. */
function parseStart(text: string): ReplayStart {
  if (POSITION.test(text)) return { position: text };
  const time = new Date(text);
  const isComplete = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  if (isComplete && !Number.isNaN(time.getTime())) return { time };
  throw new InvalidArgumentError('It must be a position, or a time with a time zone such as 2026-01-31T12:00:00Z.');
}
