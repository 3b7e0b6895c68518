# Resolve the commit to promote. It fetches, and touches no file of the checkout.
#
# In: REPO BRANCH, WANT (a commit, or empty for the tip of the branch), CONFIG
# (a path in the repository, or empty).
# Out: commit=, subject=, config= (that file's blob), or refused=.
set -eu
export GIT_TERMINAL_PROMPT=0
export GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-ssh -o BatchMode=yes -o ConnectTimeout=15}"

refuse() {
    echo "refused=$1"
    exit 0
}

cd "$REPO" 2>/dev/null || refuse no-checkout
said=$(git rev-parse --is-inside-work-tree 2>&1) || case $said in
*'dubious ownership'*) refuse not-ours ;;
*) refuse no-checkout ;;
esac
git fetch --quiet --no-tags origin "+refs/heads/$BRANCH:refs/remotes/origin/$BRANCH" >&2
commit=$(git rev-parse --quiet --verify --end-of-options "${WANT:-origin/$BRANCH}^{commit}") || refuse unknown
git merge-base --is-ancestor "$commit" "origin/$BRANCH" || refuse not-on-branch
echo "commit=$commit"
git log -1 --format='subject=%s' "$commit"
[ -z "$CONFIG" ] || echo "config=$(git rev-parse --quiet --verify "$commit:$CONFIG" || true)"
