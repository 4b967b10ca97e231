#!/bin/sh
# The same as `npm run db:backup`, from any directory, and before the packages are installed. Passes its arguments on.
exec node "$(dirname -- "$(readlink -f -- "$0")")/db-setup.js" backup "$@"
