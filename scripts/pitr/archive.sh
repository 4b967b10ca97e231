#!/bin/sh
# The server's archive_command: keeps a finished part of its log in $ARCHIVE/wal. A name is written once; the same content
# again is no error, for the server asks again after a crash.
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
