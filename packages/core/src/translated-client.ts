/** A call of a generated client, as Prisma gives it to an extension. */
interface ClientCall {
  /** Absent for raw SQL. */
  readonly model?: string;
  /** A method such as `findMany`, or `$queryRaw`. */
  readonly operation: string;
  readonly args: unknown;
  readonly query: (args: unknown) => Promise<unknown>;
}

/** The part of a generated client that translating its errors needs. */
export interface ExtensibleClient {
  $transaction(...args: readonly never[]): Promise<unknown>;
  $on(...args: readonly never[]): unknown;
  $extends(extension: ClientExtension): unknown;
}

interface ClientExtension {
  readonly name: string;
  readonly query: { readonly $allOperations: (call: ClientCall) => Promise<unknown> };
  readonly client: Readonly<Record<string, unknown>>;
}

/** Returns the error to throw for what a call threw; `statement` is such as `User.findMany` or `$queryRaw`. */
export type Translate = (error: unknown, statement?: string) => unknown;

/**
 * The same client, whose calls, raw SQL and transactions throw what `translate` returns, also inside of a transaction.
 * The extension adds no method and changes no argument and no result, so the type stays.
 */
export function translatedClient<Client extends ExtensibleClient>(client: Client, translate: Translate): Client {
  const { $transaction } = client;
  const extended = client.$extends({
    name: 'azora errors',
    query: {
      $allOperations: ({ model, operation, args, query }) =>
        query(args).catch((error: unknown): never => {
          throw translate(error, model === undefined ? operation : `${model}.${operation}`);
        }),
    },
    client: {
      // `this` is the extended client, or the client of the outer transaction when a transaction is nested.
      async $transaction(this: Client, ...args: readonly never[]) {
        try {
          return await Reflect.apply($transaction, this, args);
        } catch (error) {
          throw translate(error);
        }
      },
    },
  }) as Client;
  // Prisma hides this method of extended clients by a property that cannot be changed.
  return Object.create(extended, { $on: { value: client.$on.bind(client) } }) as Client;
}
