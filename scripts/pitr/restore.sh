#!/bin/sh
# Restores the data of the stopped server ($PGDATA) to a moment: copies the newest base backup before it, and lets the server
# replay the archived log when it starts. The replaced data is kept in $ARCHIVE/replaced.
set -eu
moment=${1:?usage: restore.sh '2026-11-21 10:00:00+00' [timeline]}
# Each restore starts a new timeline. The number of an earlier timeline follows that one.
timeline=${2:-latest}
fail() {
  echo "error: $1" >&2
  exit 2
}
case $timeline in
latest) ;;
*[!0-9]*) fail "$timeline is not the number of a timeline" ;;
esac
# In the format of the names of base backups.
limit=$(date -u -d "$moment" +%Y%m%dT%H%M%SZ) || fail "$moment is not a time, such as 2026-11-21 10:00:00+00"
target=$(date -u -d "$moment" '+%Y-%m-%d %H:%M:%S.%6N+00')
if pg_isready -q -h "${PGHOST:-postgres}"; then
  fail 'the server is running. Stop it first: docker compose stop postgres'
fi
base=$(ls "$ARCHIVE/base" | grep -v part | sort | awk -v limit="$limit" '$0 <= limit' | tail -n 1)
[ -n "$base" ] || fail "no base backup is older than $moment"

replaced=$ARCHIVE/replaced/$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p "$replaced.part"
cp -a "$PGDATA/." "$replaced.part"
# Saves the newest segments, which were not archived yet.
mkdir -p "$ARCHIVE/wal"
for file in "$PGDATA"/pg_wal/????????????????????????; do
  [ -e "$file" ] && [ ! -e "$ARCHIVE/wal/${file##*/}" ] && cp "$file" "$ARCHIVE/wal/"
done
mv "$replaced.part" "$replaced"

find "$PGDATA" -mindepth 1 -delete
cp -a "$ARCHIVE/base/$base/." "$PGDATA"
cat >>"$PGDATA/postgresql.auto.conf" <<SETTINGS
restore_command = 'cp "$ARCHIVE/wal/%f" "%p"'
recovery_target_time = '$target'
recovery_target_timeline = '$timeline'
recovery_target_action = 'promote'
SETTINGS
touch "$PGDATA/recovery.signal"
echo "restored the base backup $base; the server will replay the log up to $moment. The replaced data is in $replaced"
echo 'Start the server: docker compose start postgres'
