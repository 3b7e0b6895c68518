#!/bin/sh
# Promotes what the build host has, as it was done before rel: one ssh after the other, and every byte through here.
#
# Each stage writes its name and the time when it begins to the file STAGES.
#
# In: BUILD and TARGET (aliases), SSH_CONFIG, REPO, MANIFEST, ARTIFACTS (name:flake:binary:link, one a word), UNITS, CHECKS
# (URLs, one a word), CURL (its options).
set -eu
on() {
    host=$1
    shift
    ssh -F "$SSH_CONFIG" "$host" "$@"
}
stage() { echo "$1 $(date +%s%N)" >>"$STAGES"; }
stage sync
sync="set -e; cd $REPO; git fetch --quiet origin main; [ -z \"\$(git status --porcelain)\" ]; git merge --quiet --ff-only FETCH_HEAD"
on "$BUILD" "$sync" >&2
on "$TARGET" "$sync" >&2
here=$(on "$BUILD" "git -C $REPO rev-parse HEAD")
there=$(on "$TARGET" "git -C $REPO rev-parse HEAD")
[ "$here" = "$there" ] || { echo "the hosts are at $here and $there" >&2 && exit 1; }

stage build
make="set -eu; cd $REPO; { echo RELEASE_SHA=$here"
for artifact in $ARTIFACTS; do
    flake=$(echo "$artifact" | cut -d: -f2)
    make="$make; path=\$(nix build '$flake' --json --no-link | sed 's/.*\"out\":\"\\([^\"]*\\)\".*/\\1/'); echo $(echo "$artifact" | cut -d: -f1)=\$path"
done
on "$BUILD" "$make; } >$MANIFEST"
made=$(on "$BUILD" "cat $MANIFEST")

stage copy
paths=$(echo "$made" | grep -o '/nix/store/[^ ]*')
export NIX_SSHOPTS="-F $SSH_CONFIG"
# shellcheck disable=SC2086 # store paths, one a word
nix --extra-experimental-features nix-command copy --from "ssh://$BUILD" --to "ssh://$TARGET" $paths >&2

stage apply
links="set -eu"
for artifact in $ARTIFACTS; do
    name=$(echo "$artifact" | cut -d: -f1)
    path=$(echo "$made" | sed -n "s/^$name=//p")
    links="$links; ln -sfn $path/$(echo "$artifact" | cut -d: -f3) $(echo "$artifact" | cut -d: -f4)"
done
[ -z "${UNITS:-}" ] || links="$links; systemctl restart $UNITS"
on "$TARGET" "$links" >&2

stage health
checks=:
for url in ${CHECKS:-}; do
    checks="$checks && curl -sS -o /dev/null --retry 20 --retry-delay 1 --retry-connrefused --max-time 10 ${CURL:-} $url"
done
on "$TARGET" "$checks" >&2
stage end
