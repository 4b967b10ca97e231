import { type CompletionWords, completedOptions, quoted, type Values, valuedOptions } from './words';

/** The script for bash 3.2 and newer. It also completes `npx azora-db`, unless npx has a completion already. */
export function bashScript(words: CompletionWords): string {
  const { commands, services } = words;
  const verbs = commands.filter((it) => it.verbs.length > 0);
  return `# bash completion of azora-db. Load it with: source <(npx azora-db completion bash)
_azora_db_services=${quoted(services.join(' '))}

# The words after a command: its verbs, its options, the values of an option, the values of an operand.
_azora_db_words() {
  case "$1" in
${verbs.map(({ at, verbs: names }) => arm(`${at} verbs`, listed(names.map(({ name }) => name)))).join('\n')}
${commands.map(({ at, options }) => arm(`${at} options`, listed(options.flatMap(({ names }) => names)))).join('\n')}
${commands
  .flatMap((command) =>
    completedOptions(command).flatMap(({ names, values }) =>
      names.map((name) => arm(`${command.at} ${name}`, valuesOf(values))),
    ),
  )
  .join('\n')}
${commands.flatMap(({ at, operands }) => operands.map((values, index) => arm(`${at} ${index}`, valuesOf(values)))).join('\n')}
  esac
}

# Completes the current word; $1 is the index of the first word after azora-db.
_azora_db_complete() {
  local at='' option='' word kind cur=\${COMP_WORDS[COMP_CWORD]} prefix='' index operands=0
  for ((index = $1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    if [[ -n $option ]]; then
      [[ $word == '=' ]] || option=''
      continue
    fi
    case "$word" in
      ${valuedOptions(words).join('|')}) option=$word; continue ;;
      -*) continue ;;
    esac
    case "$at $word" in
      ' help') ;;
      ${commands
        .filter(({ at }) => at !== '' && at !== 'help')
        .map(({ at }) => quoted(at.includes(' ') ? at : ` ${at}`))
        .join('|')}) at=\${at:+$at }$word ;;
      *) operands=$((operands + 1)) ;;
    esac
  done
  [[ $cur == '=' ]] && cur=''
  if [[ -n $option ]]; then kind=$option
  elif [[ $cur == -* ]]; then kind=options
  elif [[ -n $(_azora_db_words "$at verbs") && $operands == 0 ]]; then kind=verbs
  else kind=$operands
  fi
  word=$(_azora_db_words "$at $kind")
  case "$word" in
    @directories) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    @services)
      word=$_azora_db_services
      # A list: only its last name is completed.
      if [[ $kind == -* && $cur == *,* ]]; then prefix=\${cur%,*},; fi ;;
  esac
  COMPREPLY=($(compgen -P "$prefix" -W "$word" -- "\${cur#"$prefix"}"))
}

_azora_db() { _azora_db_complete 1; }

_azora_db_npx() {
  if [[ $COMP_CWORD == 1 ]]; then COMPREPLY=($(compgen -W azora-db -- "\${COMP_WORDS[1]}"))
  elif [[ \${COMP_WORDS[1]} == azora-db ]]; then _azora_db_complete 2
  fi
}

complete -F _azora_db azora-db
complete -p npx >/dev/null 2>&1 || complete -o default -F _azora_db_npx npx`;
}

function arm(pattern: string, words: string): string {
  return `    ${quoted(pattern)}) echo ${words} ;;`;
}

function listed(words: readonly string[]): string {
  return quoted(words.join(' '));
}

function valuesOf(values: Values): string {
  if (values === 'anything') return `''`;
  return typeof values === 'string' ? `@${values}` : listed(values);
}
