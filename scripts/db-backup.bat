@echo off
rem The same as "npm run db:backup", from anywhere and before anything is installed. Arguments are passed on.
node "%~dp0db-setup.js" backup %*
