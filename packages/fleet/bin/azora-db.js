#!/usr/bin/env node
const { existsSync } = require('node:fs');
const path = require('node:path');

if (existsSync(path.join(__dirname, '..', 'dist', 'bin.js'))) {
  require('../dist/bin.js');
} else {
  // Published packages are compiled; in a checkout, "npm start" compiles this one.
  process.stderr.write('error: azora-db is not compiled\nfix:   run "npm start" first\n');
  process.exitCode = 2;
}
