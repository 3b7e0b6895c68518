# Resolve the commit to promote, and look at the checkout. It fetches, and touches no
# file of the checkout.
#
# In: REPO BRANCH BUILDS STORE, WANT (a commit, or empty for the tip of the branch),
# CONFIG (a path in the repository, or empty), MANIFEST.
# Out: commit=, subject=, config= (that file's blob), manifest= (the lines of the file),
# or refused=; and then what sync.sh's look answers.
set -eu

enter
fetch
resolve "$WANT"
git log -1 --no-show-signature --format='subject=%s' "$found"
[ -z "$CONFIG" ] || echo "config=$(git rev-parse --quiet --verify "$found:$CONFIG" || true)"
# As data: whoever could write there must not be able to run anything here.
[ ! -f "$MANIFEST" ] || head -c 65536 "$MANIFEST" | sed 's/^/manifest=/'
clean
pushed
echo "user=$(id -un)"
standing
