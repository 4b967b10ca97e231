// The environment of the programs that bootstrap.js starts. Install scripts of packages run in it, so it contains no
// database URL and no backup key. Plain Node: the toolkit's own childEnvironment is not compiled yet.

const INHERITED =
  /^(PATH|HOME|USER|TMPDIR|TEMP|TMP|LANG|LC_\w+|TZ|SystemRoot|windir|ComSpec|PATHEXT|USERPROFILE|APPDATA|LOCALAPPDATA)$/i;
/** Steer npm, lerna, Nx and Prisma. An .npmrc may refer to a registry token as NPM_TOKEN or NODE_AUTH_TOKEN. */
const STEERING = /^(CI|NX_\w+|PRISMA_\w+|npm_config_.+|NPM_TOKEN|NODE_AUTH_TOKEN)$/i;
/** Let npm reach the registry through a proxy and trust its certificate. */
const NETWORK = /^(https?_proxy|no_proxy|all_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|SSL_CERT_DIR)$/i;

/** The variables for npm and for builds; a daemon of Nx would outlive the command and watch the checkout. */
function bootstrapEnvironment(environment) {
  const kept = Object.entries(environment).filter(([name]) =>
    [INHERITED, STEERING, NETWORK].some((it) => it.test(name)),
  );
  return { ...Object.fromEntries(kept), NX_DAEMON: 'false' };
}

module.exports = { bootstrapEnvironment };
