declare const inside: unique symbol;

/** A client that is inside a transaction. Only `store.transaction` makes one, so a plain client does not compile. */
export type Inside<Client> = Client & { readonly [inside]: true };
