#!/bin/sh
# The server's archive_command: copies a finished log segment to $ARCHIVE/wal and never overwrites a file. Archiving the
# same content again succeeds, because the server may repeat a segment after a crash.
set -eu
from=$1
to=$ARCHIVE/wal/$2
mkdir -p "$ARCHIVE/wal"
if [ -e "$to" ]; then
  exec cmp -s "$from" "$to"
fi
cp "$from" "$to.part"
sync "$to.part"
mv "$to.part" "$to"
