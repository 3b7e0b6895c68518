#!/bin/sh
# Install the Debian packages that the lab and the checks need, where that can
# be done, and only those that are missing.
set -eu
command -v go >/dev/null 2>&1 || {
    echo "deps: there is no go command; install Go 1.26 or newer" >&2
    exit 1
}
[ "$(uname -s)" = Linux ] || {
    echo "deps: this is $(uname -s); the lab's hosts need Linux, and tests that need them are skipped" >&2
    exit 0
}
command -v dpkg-query >/dev/null 2>&1 || {
    echo "deps: this is not Debian; install the counterparts of: $*" >&2
    exit 0
}
missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || {
    echo "deps: not root, so these are not installed:$missing" >&2
    exit 0
}
echo "deps: installing$missing"
# Services that a package brings must not start on this machine: they are for
# the lab's hosts. policy-rc.d is Debian's way to say so.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o Acquire::Retries=3 update
# shellcheck disable=SC2086 # package names, one a word
apt-get -qq -o Acquire::Retries=3 -y --no-install-recommends install $missing >/dev/null
