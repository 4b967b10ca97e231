@echo off
rem The same as "npm run db:restore", from any directory, and before the packages are installed. Passes its arguments on.
node "%~dp0db-setup.js" restore %*
