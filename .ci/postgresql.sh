#!/bin/sh
# The PostgreSQL of the storage tests: one that is here, else Debian's where that may be installed.
# Without one those tests are skipped and say so; under CI=true they fail instead.
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && exit 0
command -v initdb >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing PostgreSQL for the storage tests."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y postgresql >/dev/null && exit 0
    echo "PostgreSQL could not be installed: its tests cannot run."
else
    echo "No PostgreSQL here and not root: its tests are skipped. Install postgresql to run them."
fi
