# Tell which commits come with NEW to what runs OLD. It changes nothing.
#
# In: REPO OLD NEW.
# Out: origin=<its URL>; new=, gone=<commit><tab><author><tab><when><tab><subject>, newest
# first, of those that NEW has and OLD has not, and the other way round; more=, fewer=<how
# many of them are not told>; unknown=yes if OLD is not there.
set -eu
most=100
cd "$REPO"
git remote get-url origin 2>/dev/null | sed 's/^/origin=/;1q'
git rev-parse --quiet --verify "$OLD^{commit}" >/dev/null || { echo "unknown=yes" && exit 0; }
list() { # RANGE KEY REST
    git log --no-show-signature --max-count="$most" --format="$2=%H%x09%an%x09%aI%x09%s" "$1"
    count=$(git rev-list --count "$1")
    [ "$count" -le "$most" ] || echo "$3=$((count - most))"
}
list "$OLD..$NEW" new more
list "$NEW..$OLD" gone fewer
