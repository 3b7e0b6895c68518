# Answer what a host is like, as whoever logs in there has it. It changes nothing:
# git refreshes no index, and fetches nothing.
#
# In: APP STORE MANIFEST; REPO (empty: there is no checkout) BRANCH; BUILDS (true on the
# build host).
# Out: began=, ended= (seconds, by this clock); lacks= (commands that rel runs there);
# free=<folder><tab><KiB>; temporary= (files of uploads that broke off); one_use= (the
# promotions that have left a key in authorized_keys);
# checkout= (yes, none, not-ours or read-only), user= (if read-only: who logs in), origin= (its address), head=, branch=, item=, total=
# (uncommitted changes), ahead= (commits that are not at the origin), tip= (the
# origin's) or origin_error=; nix= or nix_error=, flakes= (yes, if they are on), key=
# (names of trusted keys), cache=<address><tab><HTTP status><tab><whether netrc has its
# host><tab><what curl said>.
set -eu
# The full stop and what comes after it are of GNU's date.
echo "began=$(date +%s.%N)"
tab=$(printf '\t')
for command in scp flock timeout sha256sum ${REPO:+git}; do
    command -v "$command" >/dev/null 2>&1 || echo "lacks=$command"
done
# That of mksh counts in 32 bits.
[ $((2147483647 + 1)) -gt 0 ] || echo "lacks=sh that counts beyond 2147483647"
# That of busybox waits for ever, or not at all.
! command -v flock >/dev/null 2>&1 || flock -w 1 / true 2>/dev/null || echo "lacks=flock of util-linux"
# The nearest folder above, of what is not there yet.
for folder in "$STORE" /var/lib/rel /tmp; do
    there=$folder
    while [ ! -e "$there" ]; do there=$(dirname "$there"); done
    df -Pk "$there" 2>/dev/null | awk -v folder="$folder" 'NR == 2 { print "free=" folder "\t" $4 }'
done
# An upload takes two minutes at most.
{
    find /tmp "$(dirname "$MANIFEST")" -maxdepth 1 -name '.rel-*' -mmin +60
    find "$(dirname "$MANIFEST")" -maxdepth 1 -name "$(basename "$MANIFEST").??????" -mmin +60
} 2>/dev/null | sort -u | sed -e 's/^/temporary=/' -e 20q
sed -n "s/.* rel-one-use $APP \([^ ]*\)\( new\)\{0,1\} *\$/one_use=\1/p" "$HOME/.ssh/authorized_keys" 2>/dev/null || true

# no_secrets: addresses may have a password in them.
no_secrets() { sed 's|//[^/ ]*@|//|g'; }

export GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0
export GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-ssh -o BatchMode=yes -o ConnectTimeout=10}"
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=true

checkout() {
    cd "$REPO" 2>/dev/null || { echo "checkout=none" && return; }
    said=$(git rev-parse --is-inside-work-tree 2>&1) || case $said in
    *'dubious ownership'*) [ -w . ] && echo "checkout=not-ours" && return ;;
    *) echo "checkout=none" && return ;;
    esac
    # As in repo.sh.
    its=$(git rev-parse --git-dir 2>/dev/null) || its=.git
    # shellcheck disable=SC2016 # the inner shell expands it
    if [ ! -w . ] || [ ! -w "$its" ] || find "$its/objects" "$its/refs" "$its/logs" "$its/FETCH_HEAD" \( -type d -o -name FETCH_HEAD -o -path "$its/logs/*" \) \
        -exec /bin/sh -c 'for file; do [ -w "$file" ] || echo "$file"; done' sh {} + 2>/dev/null | grep -q .; then
        echo "checkout=read-only"
        echo "user=$(id -un)"
        return
    fi
    echo "checkout=yes"
    echo "head=$(git rev-parse --quiet --verify HEAD || true)"
    echo "branch=$(git symbolic-ref --quiet --short HEAD || echo HEAD)"
    items=$(timeout 30 git status --porcelain --untracked-files=normal) || items="git status came to no end, or to a bad one"
    if [ -n "$items" ]; then
        printf '%s\n' "$items" | sed -e 's/^/item=/' -e 20q
        echo "total=$(printf '%s\n' "$items" | wc -l | tr -d ' ')"
    fi
    git remote get-url origin 2>/dev/null | no_secrets | sed -n 's/^/origin=/;1p'
    # Against what the origin has now, if that was ever fetched, and else against what
    # was fetched last.
    since=origin/$BRANCH
    status=0
    said=$(timeout 15 git ls-remote origin "refs/heads/$BRANCH" 2>&1) || status=$?
    tip=$(printf '%s\n' "$said" | sed -n "s|^\([0-9a-f]*\)${tab}refs/heads/.*|\1|p")
    if [ "$status" -eq 124 ]; then
        echo "origin_error=no answer within 15 seconds"
    elif [ "$status" -ne 0 ]; then
        printf 'origin_error=%s\n' "$(printf '%s\n' "$said" | no_secrets | head -n 4 | tr '\n' ' ')"
    else
        echo "tip=$tip"
        ! git cat-file -e "$tip^{commit}" 2>/dev/null || since=$tip
    fi
    git log --format='ahead=%h %s' --max-count=20 "$since..HEAD" 2>/dev/null || true
}

# known HOST: whether netrc has credentials for it.
known() {
    if [ -e "$netrc" ] && [ ! -r "$netrc" ]; then
        echo unreadable
    elif [ -e "$netrc" ] && tr -s '[:space:]' '\n' <"$netrc" | grep -A 1 -xF -e machine -e default | grep -qxF -e "$1" -e default; then
        echo yes
    else
        echo no
    fi
}

# cache ADDRESS: ask a binary cache who it is. What may hold a password is not among
# the arguments, which every user of the host can read.
cache() {
    shown=$(printf '%s\n' "$1" | no_secrets)
    url=$(printf '%s\n' "$1" | sed 's|/*\(?.*\)*$||')/nix-cache-info
    host=${shown#*//}
    host=${host%%[/:?]*}
    credentials=$(known "$host")
    set --
    [ "$credentials" != yes ] || set -- --netrc-file "$netrc"
    said=$(printf 'url = "%s"\n' "$url" |
        curl --config - --silent --show-error --location --max-time 10 --output /dev/null \
            --write-out '\n%{http_code}' "$@" 2>&1) || true
    printf 'cache=%s\t%s\t%s\t%s\n' "$shown" "$(printf '%s\n' "$said" | tail -n 1)" "$credentials" \
        "$(printf '%s\n' "$said" | no_secrets | sed -n 1p | cut -c1-300)"
}

# Each prints lines that are short enough to stay whole beside the others'.
caches() {
    addresses=$(printf '%s %s\n' "$(setting substituters)" "$(setting trusted-substituters)" | tr -s ' ' '\n' | sort -u)
    for address in $addresses; do
        case $address in
        http://* | https://*) cache "$address" & ;;
        *) printf 'cache=%s\t\t\t\n' "$(printf '%s\n' "$address" | no_secrets)" ;;
        esac
    done
    wait
}

builder() {
    # A nix that cannot evaluate shows it here, not after a long wait.
    if said=$(timeout 20 nix --extra-experimental-features 'nix-command flakes' eval --expr 1 2>&1 >/dev/null); then
        nix --version 2>/dev/null | sed -n 's/^/nix=/;1p'
    else
        printf '%s\n' "$said" | sed -n 's/^/nix_error=/;1p' && return
    fi
    # The command has had two names.
    settings=$(timeout 20 nix --extra-experimental-features nix-command config show 2>/dev/null ||
        timeout 20 nix --extra-experimental-features nix-command show-config 2>/dev/null || true)
    setting() { printf '%s\n' "$settings" | sed -n "s/^$1 = //p"; }
    case " $(setting experimental-features) " in *' flakes '*) echo "flakes=yes" ;; esac
    for key in $(setting trusted-public-keys); do echo "key=${key%%:*}"; done
    netrc=$(setting netrc-file)
    caches
}

[ -z "$REPO" ] || checkout &
# Held back, since of two who print at once neither's lines would stay whole.
[ "$BUILDS" != true ] || built=$(builder)
wait
[ -z "${built-}" ] || printf '%s\n' "$built"
echo "ended=$(date +%s.%N)"
