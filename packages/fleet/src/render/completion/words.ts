/** The possible values of an option or argument: a fixed list, names of services, directories, or anything. */
export type Values = readonly string[] | 'services' | 'directories' | 'anything';

export interface CompletedOption {
  /** `['--service', '-s']`: the long name first. */
  readonly names: readonly string[];
  readonly about: string;
  /** Undefined for an option without a value. */
  readonly values: Values | undefined;
}

/** The words that can follow one command. */
export interface CompletedCommand {
  /** The words of the command: `migrate up`; empty for the program itself. */
  readonly at: string;
  readonly verbs: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly CompletedOption[];
  readonly operands: readonly Values[];
}

/** Everything that a completion script knows. */
export interface CompletionWords {
  readonly commands: readonly CompletedCommand[];
  readonly services: readonly string[];
}

/** The names of all options that take a value. No option takes one in one command and none in another. */
export function valuedOptions({ commands }: CompletionWords): readonly string[] {
  const names = commands.flatMap(({ options }) => options.flatMap((it) => (it.values === undefined ? [] : it.names)));
  return [...new Set(names)];
}

/** The options of a command with each kind of value that a script completes, and one value for each. */
export function completedOptions(
  command: CompletedCommand,
): readonly (CompletedOption & { readonly values: Values })[] {
  return command.options.flatMap((option) => {
    const { values } = option;
    return values === undefined || values === 'anything' ? [] : [{ ...option, values }];
  });
}

/** A word for bash and zsh. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
