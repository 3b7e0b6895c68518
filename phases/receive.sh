# Make a target ready to receive a release, and answer what it lacks.
#
# In: APP ID EPOCH STORE, SUM (SHA-256 of the job's script); rows separated by tabs: "root <name> <store path>" and "path
# <store path>", "large <store path>" (which may go as a patch, if what is live has one of
# that name), and with them what is to be known of the release here, whoever
# asks: "origin <promotion that built it>", "sha <commit>", "kind <start,
# rollback or adopt>", "from <promotion that it takes off>", "link <link>
# <target>", "json <all but the paths>"; and the last line.
# Out: missing=, base=<path><tab><the live release's of that name>, free= (KiB in the
# store), room= (KiB for what is kept here), accept= (the compressions that can be undone
# here, best first), job=yes if what is live has that script.
set -eu
fence
mkdir -p "$dir"
# Apart, since the paths are many, and seldom asked for.
cat >"$dir/rows.new"
whole "$dir/rows.new"
sed -n "s/^path$tab//p" "$dir/rows.new" >"$dir/closure"
grep -v -e "^path$tab" -e "^large$tab" -e '^#' "$dir/rows.new" >"$dir/release.new"
rows "$dir/rows.new" large >"$dir/large"
sync "$dir/closure" "$dir/release.new"
rm -f "$dir/rows.new"
mv -f "$dir/release.new" "$dir/release"
sync "$dir"
# One that was confirmed, or is applied, keeps its place, whoever asks for it again.
[ -e "$dir/confirmed" ] || [ -e "$dir/begun" ] || put "$dir/epoch" "$EPOCH $ID"
pin "$ID"
withdraw_all || say "a key that an older copy has left could not be taken away"
# A copy that waits for a connection that is gone keeps its lock on a path.
for other in "$state"/unpacking.*; do
    pid=${other##*.}
    if [ -e "$other" ] && [ "$(cut -d' ' -f22 "/proc/$pid/stat" 2>/dev/null)" = "$(cat "$other")" ]; then
        pkill -KILL -P "$pid" || true
        kill -KILL "$pid" 2>/dev/null || true
    fi
    rm -f "$other"
done
# Not piped on: a nix-store that fails must not pass for one that misses nothing.
missing=$(xargs nix-store --check-validity --print-invalid <"$dir/closure")
[ -z "$missing" ] || printf '%s\n' "$missing" | sed 's/^/missing=/'
# A name is what comes after the hash; without what looks like a version, if there is none
# with the same.
[ ! -s "$dir/large" ] || [ ! -e "$state/live/closure" ] || awk -v OFS="$tab" '
    { name = substr($0, 45); stem = name; sub(/-[0-9].*/, "", stem) }
    FNR == NR { exact[name] = like[stem] = $0; next }
    { base = name in exact ? exact[name] : like[stem]; if (base != "" && base != $0) print "base=" $0, base }
' "$state/live/closure" "$dir/large"
rm -f "$dir/large"
# What an older copy left that was killed.
rm -rf "$state"/releases/*/patches.* "$state"/releases/*/unpack.used
df -Pk "$STORE" 2>/dev/null | awk 'NR == 2 { print "free=" $4 }'
df -Pk "$state" 2>/dev/null | awk 'NR == 2 { print "room=" $4 }'
sum=$(sha256sum "$state/live/apply.sh" 2>/dev/null) || true
[ "${sum%% *}" != "$SUM" ] || echo "job=yes"
accept=
for filter in zstd gzip; do
    ! command -v "$filter" >/dev/null 2>&1 || accept="$accept $filter"
done
echo "accept=$accept"
