# Take what weave.sh wrote into the store.
#
# In: as target.sh; EPOCH; MOST (bytes, as weave.sh has it), ALL (bytes, of all that patches
# make); the stream.
# Out: what nix-store --serve --write answers; fenced= is on standard error. The status is 75
# if a patch did not make what it should have: then nothing has changed.
set -eu
tab=$(printf '\t')
# Whoever copies next ends this one, if it still waits for a connection that is gone: it
# keeps Nix's lock of the path that it was at.
mine=$state/unpacking.$$
cut -d' ' -f22 /proc/$$/stat >"$mine"
work=
trap 'rm -rf "$mine" "$work"' EXIT
trap 'exit 143' HUP INT TERM PIPE
# Standard output is for nix-store. Who takes the target over while this runs need not wait
# for it: the copy that comes then ends it.
fence >&2
exec 8>&-
wrong() {
    echo "$*" >&2
    exit 75
}
# read takes one byte at a time, so the rest is left for what follows.
IFS= read -r filter
work=$(mktemp -d "$dir/patches.XXXXXX")
kind=
total=0
while IFS=$tab read -r kind base bytes size before && [ "$kind" = patch ]; do
    # They go into commands, and they come from another host.
    case $base in /nix/store/[!.]*) ;; *) wrong "a patch has no base" ;; esac
    case ${base#/nix/store/} in */*) wrong "a patch has no base" ;; esac
    case $bytes,$size,$before in *[!0-9,]* | ,* | *, | *,,*) wrong "a patch is of no size" ;; esac
    total=$((total + size))
    if [ "$bytes" -gt "$MOST" ] || [ "$size" -gt "$MOST" ] || [ "$total" -gt "$ALL" ]; then wrong "the patches are too large"; fi
    printf '%s\t%s\t%s\t%s\n' "$base" "$bytes" "$size" "$before" >>"$work/list"
done
[ "$kind" = --- ] || { echo "the stream broke off" >&2 && exit 1; }
# undo: what the patch on standard input makes. It is read to its end whatever comes of it:
# that tells a patch that is wrong from a stream that broke off.
undo() {
    zstd -qdc --long=27 --patch-from="$work/base" || true
    cat >/dev/null
}
# had N: the archive of the base of the Nth patch, as $work/had.
had() {
    base=$(sed -n "$1{s/$tab.*//p;q;}" "$work/list")
    [ -z "$base" ] || nix-store --dump "$base" | head -c $((MOST + 1)) >"$work/had"
}
n=0
# Not before all have worked the first path arrives.
if [ -e "$work/list" ]; then
    had 1 &
    while IFS=$tab read -r base bytes size before <&3; do
        n=$((n + 1))
        wait
        mv "$work/had" "$work/base"
        # That of the next is read while this one works.
        had $((n + 1)) &
        # It is made while the patch arrives.
        head -c "$bytes" | tee "$work/patch" | undo | head -c $((size + 1)) >"$work/$n"
        [ "$(wc -c <"$work/patch")" -eq "$bytes" ] || { echo "the stream broke off" >&2 && exit 1; }
        [ "$(wc -c <"$work/$n")" -eq "$size" ] || wrong "zstd cannot make it from $base"
        rm -f "$work/patch" "$work/base"
    done 3<"$work/list"
fi
unpack() {
    case $filter in
    zstd) zstd -qdc ;;
    gzip) gzip -dc ;;
    none) cat ;;
    *) echo "unknown compression '$filter'" >&2 ;;
    esac
}
lay_between() {
    n=0
    [ ! -e "$work/list" ] || while IFS=$tab read -r _ _ _ before <&3; do
        n=$((n + 1))
        head -c "$before"
        cat "$work/$n"
        rm -f "$work/$n"
    done 3<"$work/list"
    cat
}
# It may bring paths, and read them. What else one may ask such a nix-store for is to build
# and to substitute, and that it does not do.
unpack | lay_between | nix-store --serve --write --option max-jobs 0 --option builders '' --option substitute false
