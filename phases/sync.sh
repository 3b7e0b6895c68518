# Bring a checkout to exactly one commit, or say why not.
#
# STEP=look fetches and answers; STEP=move moves a checkout that look let pass.
# In: STEP REPO BRANCH COMMIT; AS, if this is root, and the checkout someone
# else's. Out: head=, user=, or refused= with item= and total=.
set -eu

refuse() { # reason [command that lists items]
    echo "refused=$1"
    shift
    [ $# -gt 0 ] || exit 0
    items=$("$@")
    [ -n "$items" ] || exit 0
    printf '%s\n' "$items" | sed -e 's/^/item=/' -e 20q
    echo "total=$(printf '%s\n' "$items" | wc -l | tr -d ' ')"
    exit 0
}

# Ask no one: a fetch that wants a password would wait for ever.
export GIT_TERMINAL_PROMPT=0
export GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-ssh -o BatchMode=yes -o ConnectTimeout=15}"
# Quoted names keep a newline in a file's name out of our lines.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=true

[ -z "${AS-}" ] || [ "$AS" = "$(id -un)" ] ||
    git() { runuser -u "$AS" -- env HOME="$(getent passwd "$AS" | cut -d: -f6)" git "$@"; }

cd "$REPO" 2>/dev/null || refuse no-checkout
said=$(git rev-parse --is-inside-work-tree 2>&1) || case $said in
*'dubious ownership'*) refuse not-ours ;;
*) refuse no-checkout ;;
esac
head=$(git rev-parse HEAD)

if [ "$STEP" = look ]; then
    [ -z "$(git status --porcelain --untracked-files=normal)" ] ||
        refuse dirty git status --porcelain --untracked-files=normal
    [ "$(git symbolic-ref --quiet --short HEAD)" = "$BRANCH" ] ||
        refuse branch git rev-parse --abbrev-ref HEAD
    git fetch --quiet --no-tags origin "+refs/heads/$BRANCH:refs/remotes/origin/$BRANCH" >&2
    git cat-file -e "$COMMIT^{commit}" 2>/dev/null || refuse unknown
    git merge-base --is-ancestor "$COMMIT" "origin/$BRANCH" || refuse not-on-branch
    git merge-base --is-ancestor HEAD "origin/$BRANCH" ||
        refuse diverged git log --format='%h %s' "origin/$BRANCH..HEAD"
elif git merge-base --is-ancestor HEAD "$COMMIT"; then
    # Its gc goes on by itself, and is not to keep epoch.lock (target.sh's fence).
    git merge --quiet --ff-only "$COMMIT" >&2 8>&-
else
    # The commit is behind the checkout, which has none of its own (look made
    # sure). --keep refuses rather than lose a change made since.
    git reset --quiet --keep "$COMMIT" >&2 8>&-
fi
echo "head=$head"
echo "user=$(id -un)"
