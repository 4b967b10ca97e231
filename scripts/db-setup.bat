@echo off
rem Sets the databases up; the same as "npm run db:setup". Arguments are passed on.
node "%~dp0db-setup.js" setup %*
