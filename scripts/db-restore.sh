#!/bin/sh
# The same as `npm run db:restore`, from anywhere and before anything is installed. Arguments are passed on.
exec node "$(dirname "$0")/db-setup.js" restore "$@"
