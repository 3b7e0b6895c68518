# Make an applied release the confirmed one: compare and swap on its id.
#
# In: APP ID BY (the operator) KEEP (how many confirmed releases stay pinned);
# job rows as apply.sh has them.
# Out: confirmed=yes, or refused= with why it cannot be.
set -eu
exec 9>"$state/apply.lock"
flock -w 60 9 || { echo "refused=another apply is running" && exit 0; }
[ ! -e "$dir/reverted" ] || { sed -e 's/^/refused=it went back: /' -e 1q "$dir/reverted" && exit 0; }
job=$(cat)
field() { printf '%s\n' "$job" | sed -n "s/^$1$tab//p"; }
live=$(live)
[ "$live" = "$(field live)" ] || [ "$live" = "$ID" ] || { echo "refused=${live:-nothing} is live since verify" && exit 0; }
changed=$(field link | while IFS=$tab read -r link target; do
    [ "$(at "$link")" = "$target" ] || printf '%s\n' "$link"
done | sed 1q)
[ -z "$changed" ] || { echo "refused=$changed points elsewhere" && exit 0; }

# What is live until now, for an operator who has to take this back.
[ "$live" = "$ID" ] || put "$dir/before" "$(at "$state/live")"
# A revert that fires now waits for the lock, and then finds no window.
put "$dir/confirmed" "$(date -u +%Y-%m-%dT%H:%M:%SZ)$tab$BY"
ln -sfn "releases/$ID" "$state/live.new"
mv -fT "$state/live.new" "$state/live"
sync "$state"
disarm
kind=$(rows "$dir/release" kind)
case $kind in
adopt) ledger adopted "$(field ledger)" ;;
*) ledger confirmed "$(field ledger)" ;;
esac

# One that waited, and that nothing would have taken back, waits no longer.
for armed in "$state"/releases/*/armed; do
    if [ -e "$armed" ]; then mv "$armed" "$armed.$ID"; fi
done

# What a rollback takes off is marked, and a start of that commit asks for a
# reason; one that is made live again is no longer marked.
from=$(rows "$dir/release" from)
sha=$(rows "$dir/release" sha)
if [ "$kind" = rollback ] && [ -n "$from" ] && [ -d "$state/releases/$from" ]; then put "$state/releases/$from/left" "$ID"; fi
for mark in "$state"/releases/*/left; do
    if [ -e "$mark" ] && [ "$(rows "${mark%/left}/release" sha)" = "$sha" ]; then mv "$mark" "$mark.$ID"; fi
done

# Unpin what no one will go back to. Kept are the newest KEEP releases that were
# confirmed, this one, the one that was live until now, and the one that a
# rollback would go to; which may have been let go when it was not that yet. Ids
# sort by their time, and only promotions older than this one are touched: a
# newer may be under way. Promotions of the same content are one release.
before() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort | sed 1q)" = "$1" ]; }
until_now=$(basename "$(cat "$dir/before" 2>/dev/null || true)")
origin=$(rows "$dir/release" origin)
mine=$(content "$dir")
kept=0 seen=' ' previous=
for old in $(find "$state/releases" -mindepth 1 -maxdepth 1 -type d | sort -r); do
    name=$(basename "$old")
    content=$(content "$old")
    if [ -e "$old/confirmed" ]; then
        case $seen in
        *" $content "*) ;;
        *) kept=$((kept + 1)) && [ "$kept" -gt "$KEEP" ] || seen="$seen$content " ;;
        esac
        if [ -z "$previous" ] && before "$name" "$origin" && [ ! -e "$old/left" ] &&
            [ "$(rows "$old/release" kind)" != rollback ] && [ "$content" != "$mine" ]; then
            previous=$name
            pin "$name"
        fi
    fi
    if ! before "$name" "$ID" || [ "$name" = "$previous" ] || [ "$name" = "$until_now" ] || [ "$content" = "$mine" ]; then continue; fi
    case $seen in
    *" $content "*) [ ! -e "$old/confirmed" ] || continue ;;
    esac
    rm -rf "/nix/var/nix/gcroots/rel/$APP/$name"
done
echo "confirmed=yes"
