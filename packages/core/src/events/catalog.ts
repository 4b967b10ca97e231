/** The event types of a service, as `docs/events/<service>.json` has them. */
export interface EventCatalog {
  readonly service: string;
  readonly events: readonly CatalogEvent[];
}

export interface CatalogEvent {
  readonly type: string;
  readonly about: string;
  /** The fields of the data that the key is made of. */
  readonly key: readonly string[];
  /** The JSON Schema of the data. */
  readonly schema: Readonly<Record<string, unknown>>;
}
