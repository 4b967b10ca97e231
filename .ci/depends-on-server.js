// jest's --filter for the run on another server: leaves out the tests that have the same result on every server. The first comment
// of such a file says so: `@server none` when it uses no server or a server of its own, `@server any` when it uses the test server.
const { readFileSync } = require('node:fs');

const MARK = /^\/\*\* @server (none|any) \*\/\n/;

module.exports = async (files) => ({ filtered: files.filter((file) => !MARK.test(readFileSync(file, 'utf8'))) });
