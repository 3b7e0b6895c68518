# Tell what Nix would make of a commit, which need not be checked out, and what of it is
# built already. It changes nothing but what Nix remembers; unless BUILD is yes, which has
# it built.
#
# In: REPO COMMIT BUILD; rows "artifact <name> <flake>", separated by tabs.
# Out: built=<name><tab><what nix build --json says>; build=, fetch=<what has to be built or
# fetched for it>; whole=yes if all is there, and then path=, infos=, as build.sh has them.
set -eu
tab=$(printf '\t')
cd "$REPO"
top=$(git rev-parse --show-toplevel)
prefix=$(git rev-parse --show-prefix)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' HUP INT TERM PIPE

# reference FLAKE: the same at the commit, where it lies in the checkout.
reference() {
    case $1 in
    *'?'*) printf '%s\n' "$1" ;;
    . | .#* | ./*)
        inside=${1%%#*}
        inside=${inside#.}
        inside=$prefix${inside#/}
        inside=${inside%/}
        attribute=${1#"${1%%#*}"}
        printf 'git+file://%s?rev=%s%s%s\n' "$top" "$COMMIT" "${inside:+&dir=$inside}" "$attribute"
        ;;
    *) printf '%s\n' "$1" ;;
    esac
}

# What has no quotes in a URL.
case $top$prefix in *[!A-Za-z0-9/._-]*) echo "$top$prefix cannot be named in a flake's URL" >&2 && exit 1 ;; esac
sed -n "s/^artifact$tab//p" >"$work/artifacts"
: >"$work/paths"
: >"$work/said"
while IFS=$tab read -r name flake; do
    at=$(reference "$flake")
    [ "$BUILD" != yes ] || nix build --no-link --print-build-logs "$at" >&2 </dev/null
    said=$(nix build --dry-run --no-link --json "$at" 2>"$work/error" </dev/null) || { cat "$work/error" >&2 && exit 1; }
    cat "$work/error" >>"$work/said"
    printf 'built=%s\t%s\n' "$name" "$said"
    output "$said"
    # Of some derivations it is known only once they are built.
    case $path in /nix/store/*) printf '%s\n' "$path" >>"$work/paths" ;; *) : >"$work/unknown" ;; esac
done <"$work/artifacts"
# The list of what is to be done is for people; it has been the same since Nix 2.4.
sed -n 's|^ *\(/nix/store/[^ ]*\)$|\1|p' "$work/said" | sort -u | sed 's/^/fetch=/; s/^fetch=\(.*\.drv\)$/build=\1/'
if [ ! -e "$work/unknown" ] && xargs nix-store --check-validity <"$work/paths" 2>/dev/null; then
    echo "whole=yes"
    xargs nix-store --query --requisites <"$work/paths" >"$work/closure"
    sed 's/^/path=/' "$work/closure"
    infos <"$work/closure"
fi
