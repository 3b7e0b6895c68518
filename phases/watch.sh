# Tell of each artifact once it is built, while build.sh builds them all: it can be on its
# way while the others are. It ends with its input, when nobody wants to know any more.
#
# In: REPO; rows "artifact <name> <flake>", separated by tabs, and the last line.
# Out: for each, as it is built: built=, path=, infos=, as build.sh has them, and told=<its
# name>.
set -eu
tab=$(printf '\t')
cd "$REPO"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' HUP INT TERM PIPE
to_end >"$work/rows"

# awaited: a row for each artifact, with what Nix will build for it. What it cannot tell
# before, copy will see.
awaited() {
    sed -n "s/^artifact$tab//p" "$work/rows" | while IFS=$tab read -r name flake; do
        # Whoever has ended has taken it away.
        [ -e "$work" ] || exit 0
        said=$(nix build --dry-run --no-link --json "$flake" 2>/dev/null) || continue
        output "$said"
        case $path in /nix/store/*) printf '%s\t%s\t%s\n' "$name" "$path" "$(printf '%s' "$said" | tr -d '\n')" ;; esac
    done >"$work/awaited"
}

tell() {
    nix-store --query --requisites "$2" >"$work/closure"
    printf 'built=%s\t%s\n' "$1" "$3"
    sed 's/^/path=/' "$work/closure"
    infos <"$work/closure"
    echo "told=$1"
}

watch() {
    awaited
    while [ -s "$work/awaited" ]; do
        while IFS=$tab read -r name path said; do
            if nix-store --check-validity "$path" 2>/dev/null; then
                tell "$name" "$path" "$said"
            else
                printf '%s\t%s\t%s\n' "$name" "$path" "$said" >&3
            fi
        done <"$work/awaited" 3>"$work/rest"
        mv "$work/rest" "$work/awaited"
        sleep 1
    done
}

watch </dev/null &
cat >/dev/null
kill "$!" 2>/dev/null || true
