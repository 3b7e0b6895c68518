# Build FLAKES of the newest commit in $BUILT/repo, and print how few bytes what is new in them can be sent in: each path
# as a delta to the one of its name that was built before, or whole, packed in one stream where that is less.
# Leaves in $BUILT: top and all, the paths asked for and all they need; new, those that were not in all before.
#
# shellcheck disable=SC2046,SC2086,SC2154 # store paths, one a word; the variables come from copy.go
cd "$BUILT/repo" || exit 1
git fetch --quiet origin main
git reset --quiet --hard FETCH_HEAD
touch "$BUILT/all"
mv "$BUILT/all" "$BUILT/before"
rm -f "$BUILT"/top "$BUILT"/link-*
n=0
for flake in $FLAKES; do
    n=$((n + 1))
    nix build "$flake" --out-link "$BUILT/link-$n" >&2
    readlink "$BUILT/link-$n" >>"$BUILT/top"
done
[ $n -gt 0 ] || { rm -f "$BUILT/before"; : >"$BUILT/top"; : >"$BUILT/all"; : >"$BUILT/new"; echo 0; exit 0; }
nix-store -qR $(cat "$BUILT/top") | sort >"$BUILT/all"
comm -13 "$BUILT/before" "$BUILT/all" >"$BUILT/new"

most=$((4 << 20))
least=0
whole=
while read -r path; do
    base=$(grep -- "-$(basename "$path" | cut -d- -f2- | sed 's/-[0-9]*$//')\(-[0-9]*\)\{0,1\}\$" "$BUILT/before" | head -n 1) || true
    if [ -z "$base" ] || [ "$(du -sb "$path" | cut -f1)" -lt $most ]; then
        whole="$whole $path"
        continue
    fi
    nix-store --dump "$base" >"$BUILT/base.nar"
    nix-store --dump "$path" >"$BUILT/path.nar"
    least=$((least + $(zstd -q -3 --long=27 --patch-from="$BUILT/base.nar" "$BUILT/path.nar" -c | wc -c)))
done <"$BUILT/new"
rm -f "$BUILT/base.nar" "$BUILT/path.nar"
[ -z "$whole" ] || least=$((least + $(for path in $whole; do nix-store --dump "$path"; done | zstd -q -3 -c | wc -c)))
echo $least
