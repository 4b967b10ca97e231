import { type CompletedCommand, type CompletionWords, type Values, valuedOptions } from './words';

/** The script for fish. It also completes `npx azora-db`. */
export function fishScript(words: CompletionWords): string {
  const { commands, services } = words;
  const known = commands.filter(({ at }) => at !== '' && at !== 'help').map(({ at }) => quoted(at));
  return `# fish completion of azora-db. Load it with: npx azora-db completion fish | source
# Succeeds when the words before the cursor name exactly this command, with this number of operands if one is given.
function __azora_db_at
    set -l words (commandline -opc)
    test (path basename -- $words[1]) = npx; and set -e words[1]
    test "$words[1]" = azora-db; or return 1
    set -l at ''
    set -l operands 0
    set -l is_value 0
    for word in $words[2..]
        if test $is_value = 1
            set is_value 0
        else if contains -- $word ${valuedOptions(words).join(' ')}
            set is_value 1
        else if string match -q -- '-*' $word
            continue
        else if contains -- (string trim "$at $word") ${known.join(' ')}
            set at (string trim "$at $word")
        else if test "$word" != help
            set operands (math $operands + 1)
        end
    end
    test "$at" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; or test $operands = $argv[2]
end

# Only the last name of a list is completed.
function __azora_db_services
    set -l token (string replace -r -- '^--service=' '' (commandline -ct))
    set -l before (string match -r -- '.*,' $token)
    printf "$before%s\\n" ${services.map(quoted).join(' ')}
end

for program in azora-db npx
${commands.flatMap(linesOf).join('\n')}
end
complete -c npx -n 'test (count (commandline -opc)) = 1' -a azora-db -d 'the toolkit of the Azora databases'`;
}

function linesOf({ at, verbs, options, operands }: CompletedCommand): readonly string[] {
  const complete = (condition: string, rest: string) =>
    `    complete -c $program -f -n ${quoted(`__azora_db_at ${condition}`)} ${rest}`;
  return [
    ...verbs.map(({ name, about }) => complete(`"${at}" 0`, `-a ${quoted(name)} -d ${quoted(about)}`)),
    ...options.map(({ names, about, values }) => {
      const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
      const value = values === undefined ? '' : ` -x${valueText(values)}`;
      return complete(`"${at}"`, `${flags.join(' ')}${value} -d ${quoted(about)}`);
    }),
    ...operands.flatMap((values, index) =>
      values === 'anything' ? [] : [complete(`"${at}" ${index}`, valueText(values).trim())],
    ),
  ];
}

function valueText(values: Values): string {
  if (values === 'anything') return '';
  if (values === 'services') return ` -a '(__azora_db_services)'`;
  if (values === 'directories') return ` -a '(__fish_complete_directories)'`;
  return ` -a ${quoted(values.join(' '))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
