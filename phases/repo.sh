# What the scripts share that look at a checkout or move it. It comes before them; REPO
# and BRANCH are set, BUILDS is true on the build host, and AS says who git is to be run
# as, if this is root, and the checkout someone else's.

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

enter() {
    cd "$REPO" 2>/dev/null || refuse no-checkout
    said=$(git rev-parse --is-inside-work-tree 2>&1) || case $said in
    *'dubious ownership'*) [ ! -w . ] || refuse not-ours; refuse read-only id -un ;;
    *) refuse no-checkout ;;
    esac
}

dirt() { git status --porcelain --untracked-files=normal; }

# clean: refuse what would be lost, or kept and not be what it looks like.
clean() {
    dirty=$(dirt)
    [ -z "$dirty" ] || refuse dirty printf '%s\n' "$dirty"
    [ "$(git symbolic-ref --quiet --short HEAD)" = "$BRANCH" ] ||
        refuse branch git rev-parse --abbrev-ref HEAD
}

# writable: whether git can write what it does not put in place anew. One that was once run
# as root leaves folders, a FETCH_HEAD and logs that are root's.
writable() {
    its=$(git rev-parse --git-dir)
    [ -w . ] && [ -w "$its" ] || return 1
    # Not every find has -writable.
    # shellcheck disable=SC2016 # the inner shell expands it
    ! find "$its/objects" "$its/refs" "$its/logs" "$its/FETCH_HEAD" \( -type d -o -name FETCH_HEAD -o -path "$its/logs/*" \) \
        -exec /bin/sh -c 'for file; do [ -w "$file" ] || echo "$file"; done' sh {} + 2>/dev/null | grep -q .
}

# fetch: bring the branch up to date. One that fails at once may have met another's,
# which had the branch locked: nobody has to hold a host to look at its checkout.
fetch() {
    writable || refuse read-only id -un
    began=$(date +%s)
    fetch_once || { [ $(($(date +%s) - began)) -lt 5 ] && sleep 1 && fetch_once; }
}

fetch_once() { git fetch --quiet --no-tags origin "+refs/heads/$BRANCH:refs/remotes/origin/$BRANCH" >&2; }

# resolve NAME: which commit that is, also in found; of no name, the tip of the branch at
# its origin.
resolve() {
    found=$(git rev-parse --quiet --verify --end-of-options "${1:-origin/$BRANCH}^{commit}") || refuse unknown
    git merge-base --is-ancestor "$found" "origin/$BRANCH" || refuse not-on-branch
    echo "commit=$found"
}

# pushed: refuse a checkout with commits that its origin has not.
pushed() {
    git merge-base --is-ancestor HEAD "origin/$BRANCH" ||
        refuse diverged git log --format='%h %s' "origin/$BRANCH..HEAD"
}

# builder: what only a build host needs. A nix that cannot evaluate flakes shows it
# here, not after a long wait.
builder() {
    [ "$BUILDS" = true ] || return 0
    if said=$(nix --extra-experimental-features 'nix-command flakes' eval --expr 1 2>&1 >/dev/null); then
        nix --version 2>/dev/null | sed -n 's/^/nix=/;1p'
    else
        printf '%s\n' "$said" | sed -n 's/^/nix_error=/;1p'
    fi
    df -Pk "$STORE" 2>/dev/null | awk 'NR == 2 { print "free=" $4 }'
}

# standing: where the checkout is, and what is not committed.
standing() {
    echo "head=$(git rev-parse HEAD)"
    dirt | sed -e 's/^/item=/' -e 20q
    builder
}
