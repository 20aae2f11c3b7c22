#!/bin/sh
# The browser of the browser tests: one that is here, else Debian's where that may be installed.
# Without one those tests are skipped and say so; under CI=true they fail instead.
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium >/dev/null && exit 0
    echo "Chromium could not be installed: the browser tests cannot run."
else
    echo "No Chromium here and not root: the browser tests are skipped. Install chromium to run them."
fi
