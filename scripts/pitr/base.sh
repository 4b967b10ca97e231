#!/bin/sh
# Makes a base backup of the running server in $ARCHIVE/base, named after the time of its completion. Every later moment can
# be restored. Then removes all but the newest base backups (2, or the first argument), and the log that only those need.
set -eu
keep=${1:-2}
bases=$ARCHIVE/base
mkdir -p "$bases"
rm -rf "$bases"/*.part
part=$bases/$$.part
pg_basebackup --pgdata "$part" --checkpoint fast --wal-method stream
name=$(date -u +%Y%m%dT%H%M%SZ)
mv "$part" "$bases/$name"
ls "$bases" | sort -r | tail -n "+$((keep + 1))" | while read -r old; do
  rm -rf "${bases:?}/$old"
done
oldest=$(ls "$bases" | sort | head -n 1)
first=$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p' "$bases/$oldest/backup_label")
pg_archivecleanup "$ARCHIVE/wal" "$first"
echo "base backup $name"
