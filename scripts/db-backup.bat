@echo off
rem The same as "npm run db:backup", from any directory, and before the packages are installed. Passes its arguments on.
node "%~dp0db-setup.js" backup %*
