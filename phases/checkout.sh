# Answer where a checkout is and whether it is clean; on the build host, also
# whether it can build. It changes nothing.
#
# In: REPO STORE, BUILDS (true on the build host).
# Out: head=, item= (uncommitted changes), nix= or nix_error=, free= (KiB).
set -eu
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=true
cd "$REPO"
echo "head=$(git rev-parse HEAD)"
git status --porcelain --untracked-files=normal | sed -e 's/^/item=/' -e 20q
[ "$BUILDS" = true ] || exit 0
# A nix that cannot evaluate flakes shows it here, not after a long wait.
if said=$(nix --extra-experimental-features 'nix-command flakes' eval --expr 1 2>&1 >/dev/null); then
    nix --version 2>/dev/null | sed -n 's/^/nix=/;1p'
else
    printf '%s\n' "$said" | sed -n 's/^/nix_error=/;1p'
fi
df -Pk "$STORE" 2>/dev/null | awk 'NR == 2 { print "free=" $4 }'
