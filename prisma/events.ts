// Prints the event types that services declare, one line of JSON for each service: `node prisma/dist/events.js services/mint …`.
// `azora-db docs` runs the compiled file in a process of its own, because the toolkit loads no code of a service.
import path from 'node:path';
import type { EventCatalog, EventType } from '@azora/db-core/events';

async function printEvents(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const module: { readonly EVENTS?: readonly EventType[] } = await import(path.resolve(folder, 'dist/src/index.js'));
    const catalog: EventCatalog = {
      service: path.basename(folder),
      events: (module.EVENTS ?? []).map((event) => ({
        type: event.type,
        about: event.about,
        key: keyFieldsOf(event),
        schema: event.jsonSchema,
      })),
    };
    process.stdout.write(`${JSON.stringify(catalog)}\n`);
  }
}

/** The fields that the key is made of: those that its function reads. */
function keyFieldsOf(event: EventType): readonly string[] {
  const fields = new Set<string>();
  const data = new Proxy(
    {},
    {
      get: (_, field) => {
        fields.add(String(field));
        return String(field);
      },
    },
  );
  event.key(data);
  return [...fields];
}

void printEvents(process.argv.slice(2));
