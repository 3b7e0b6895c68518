# Make a target ready to receive a release, and answer what it lacks.
#
# In: APP ID EPOCH STORE; rows separated by tabs: "root <name> <store path>" and "path
# <store path>", and with them what is to be known of the release here, whoever
# asks: "origin <promotion that built it>", "sha <commit>", "kind <start,
# rollback or adopt>", "from <promotion that it takes off>", "link <link>
# <target>", "json <all but the paths>"; and the last line.
# Out: missing=, free= (KiB in the store), accept= (the compressions that can be
# undone here, best first).
set -eu
fence
mkdir -p "$dir"
# Apart, since the paths are many, and seldom asked for.
cat >"$dir/rows.new"
whole "$dir/rows.new"
sed -n "s/^path$tab//p" "$dir/rows.new" >"$dir/closure"
grep -v -e "^path$tab" -e '^#' "$dir/rows.new" >"$dir/release.new"
sync "$dir/closure" "$dir/release.new"
rm -f "$dir/rows.new"
mv -f "$dir/release.new" "$dir/release"
sync "$dir"
# One that was confirmed, or is applied, keeps its place, whoever asks for it again.
[ -e "$dir/confirmed" ] || [ -e "$dir/begun" ] || put "$dir/epoch" "$EPOCH $ID"
pin "$ID"
withdraw_all || say "a key that an older copy has left could not be taken away"
# Not piped on: a nix-store that fails must not pass for one that misses nothing.
missing=$(xargs nix-store --check-validity --print-invalid <"$dir/closure")
[ -z "$missing" ] || printf '%s\n' "$missing" | sed 's/^/missing=/'
df -Pk "$STORE" 2>/dev/null | awk 'NR == 2 { print "free=" $4 }'
accept=
for filter in zstd gzip; do
    ! command -v "$filter" >/dev/null 2>&1 || accept="$accept $filter"
done
echo "accept=$accept"
