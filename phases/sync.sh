# Bring a checkout to exactly one commit, or say why not.
#
# STEP=look fetches and answers; STEP=move moves a checkout that look let pass, and
# that is still where it was then.
# In: STEP REPO BRANCH BUILDS STORE; COMMIT, of a look also abbreviated, or empty for
# the tip of the branch; FROM, of a move: what look answered for head; AS, if this is
# root, and the checkout someone else's.
# Out: head=, nix= or nix_error=, free= (KiB), as checkout.sh has them; of a look also
# commit= and user=, of a move item=; or refused= with item= and total=.
set -eu

enter
if [ "$STEP" = look ]; then
    clean
    fetch
    resolve "$COMMIT"
    pushed
    echo "user=$(id -un)"
elif [ "$(git rev-parse HEAD)" != "$FROM" ]; then
    # Whoever has moved it since may have commits there that nobody looked at.
    echo "$REPO was moved in between" >&2
elif git merge-base --is-ancestor HEAD "$COMMIT"; then
    # Its gc goes on by itself, and is not to keep epoch.lock (target.sh's fence).
    git merge --quiet --ff-only "$COMMIT" >&2 8>&-
else
    # The commit is behind the checkout, which has none of its own (look made
    # sure). --keep refuses rather than lose a change made since.
    git reset --quiet --keep "$COMMIT" >&2 8>&-
fi
standing
