# Sourced by .ci/run: installs PostgreSQL 15 from Debian, builds pgvector for it from the source package of the newest release of
# Debian that the mirror has it for, starts a server in a temporary directory and sets $ordinary_url to its URL.
bin=/usr/lib/postgresql/15/bin
apt-get update -qq
apt-get install -y -qq postgresql-15 postgresql-server-dev-15 make gcc dpkg-dev >/dev/null

if [ ! -e /usr/share/postgresql/15/extension/vector.control ]; then
  sources=$(mktemp -d)
  mkdir "$sources/lists"
  apt=(apt-get -o Dir::Etc::sourcelist="$sources/next.sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$sources/lists")
  for suite in forky trixie; do
    # The mirror that this machine uses.
    {
      echo 'Types: deb-src'
      grep -rhm1 '^URIs:' /etc/apt/sources.list.d/debian.sources
      printf 'Suites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' "$suite"
    } >"$sources/next.sources"
    mkdir "$sources/$suite"
    (cd "$sources/$suite" && "${apt[@]}" update -qq && "${apt[@]}" source -qq --download-only pgvector) && break
    echo "the mirror has no source of pgvector for $suite"
  done
  (
    cd "$sources/$suite"
    tar xf pgvector_*.orig.tar.*
    cd pgvector-*/
    make -s PG_CONFIG="$bin/pg_config" OPTFLAGS= >/dev/null
    make -s PG_CONFIG="$bin/pg_config" install >/dev/null
  )
  rm -rf "$sources"
fi

ordinary=$(mktemp -d)
chown postgres "$ordinary"
ordinary_port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
ordinary_password=$(node -p 'require("crypto").randomBytes(16).toString("hex")')
(umask 077 && echo "$ordinary_password" >"$ordinary/password") && chown postgres "$ordinary/password"
runuser -u postgres -- "$bin/initdb" -D "$ordinary/data" -A scram-sha-256 --pwfile="$ordinary/password" -E UTF8 --locale=C.UTF-8 >/dev/null
runuser -u postgres -- "$bin/pg_ctl" -D "$ordinary/data" -w -s -l "$ordinary/log" \
  -o "-p $ordinary_port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$ordinary' -c max_connections=300 -c fsync=off" start
trap 'runuser -u postgres -- "$bin/pg_ctl" -D "$ordinary/data" -m fast -s stop; rm -rf "$ordinary"' EXIT
ordinary_url="postgresql://postgres:$ordinary_password@127.0.0.1:$ordinary_port/postgres"
