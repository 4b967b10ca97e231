@echo off
rem Sets up the databases, the same as "npm run db:setup". Passes its arguments on.
node "%~dp0db-setup.js" setup %*
