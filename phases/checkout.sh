# Answer where a checkout is and whether it is clean; on the build host, also
# whether it can build. It changes nothing.
#
# In: REPO BRANCH STORE, BUILDS (true on the build host).
# Out: head=, item= (uncommitted changes), nix= or nix_error=, free= (KiB).
set -eu

cd "$REPO"
standing
