#!/bin/sh
# The browser of the browser tests. Debian's headless build needs about half the time of the whole Chromium; it is
# installed where that may be done, else a Chromium that is here serves.
# Without one those tests are skipped and say so; under CI=true they fail instead.
command -v chromium-headless-shell >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests."
    apt-get update -qq
    for package in chromium-headless-shell chromium; do
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$package" >/dev/null && exit 0
    done
fi
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
echo "No Chromium here, and none could be installed: the browser tests are skipped. Install chromium to run them."
