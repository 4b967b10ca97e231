import { type CompletionWords, completedOptions, quoted, type Values, valuedOptions } from './words';

/** The script for zsh. It also completes `npx azora-db`, unless npx has a completion already. */
export function zshScript(words: CompletionWords): string {
  const { commands, services } = words;
  return `#compdef azora-db
# zsh completion of azora-db. Load it with: source <(npx azora-db completion zsh)
autoload -Uz compinit
(( \${+functions[compdef]} )) || compinit

_azora_db_value() {
  case "$1" in
    services) compset -P '*,'; compadd -- ${services.map(quoted).join(' ')} ;;
    directories) _path_files -/ ;;
    *) compadd -- \${=1} ;;
  esac
}

_azora_db() {
  local at='' option='' word
  local -i index first=2 operands=0
  local -a verbs options
  if [[ \${words[1]:t} == npx ]]; then
    if (( CURRENT == 2 )); then compadd azora-db; _files; return; fi
    if [[ \${words[2]} != azora-db ]]; then _files; return; fi
    first=3
  fi
  for (( index = first; index < CURRENT; index++ )); do
    word=\${words[index]}
    if [[ -n $option ]]; then option=''; continue; fi
    case "$word" in
      (${valuedOptions(words).join('|')}) option=$word; continue ;;
      (-*) continue ;;
    esac
    case "$at $word" in
      (' help') ;;
      (${commands
        .filter(({ at }) => at !== '' && at !== 'help')
        .map(({ at }) => quoted(at.includes(' ') ? at : ` ${at}`))
        .join('|')}) at=\${at:+$at }$word ;;
      (*) (( operands += 1 )) ;;
    esac
  done
  if [[ -z $option && \${words[CURRENT]} == --*=* ]]; then
    option=\${words[CURRENT]%%=*}
    compset -P '*='
  fi
  if [[ -n $option ]]; then
    case "$at $option" in
${commands
  .flatMap((command) =>
    completedOptions(command).map(({ names, values }) => {
      const patterns = names.map((name) => quoted(`${command.at} ${name}`)).join('|');
      return `      (${patterns}) _azora_db_value ${valueText(values)} ;;`;
    }),
  )
  .join('\n')}
    esac
    return
  fi
  case "$at" in
${commands.map((it) => `    (${quoted(it.at)}) verbs=(${described(it.verbs)}) options=(${described(it.options.map(({ names, about }) => ({ name: names[0] ?? '', about })))}) ;;`).join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then _describe -o option options; return; fi
  if (( \${#verbs} && operands == 0 )); then _describe command verbs; return; fi
  case "$at $operands" in
${commands
  .flatMap(({ at, operands }) =>
    operands.flatMap((values, index) =>
      values === 'anything' ? [] : [`    (${quoted(`${at} ${index}`)}) _azora_db_value ${valueText(values)} ;;`],
    ),
  )
  .join('\n')}
  esac
}

compdef _azora_db azora-db
(( \${+_comps[npx]} )) || compdef _azora_db npx`;
}

function described(words: readonly { readonly name: string; readonly about: string }[]): string {
  return words.map(({ name, about }) => quoted(`${name.replaceAll(':', '\\:')}:${about}`)).join(' ');
}

function valueText(values: Values): string {
  return quoted(typeof values === 'string' ? values : values.join(' '));
}
