# Make an applied release the confirmed one: compare and swap on its id.
#
# In: APP ID BY (the operator) MANIFEST (where other scripts read what is live)
# KEEP (how many confirmed releases stay pinned); job rows as apply.sh has them.
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
# It is confirmed. What follows is tidying up: a failure is told, and no more.
set +e
if [ "$kind" != adopt ]; then
    written=$(mktemp "$MANIFEST.XXXXXX") && cat "$dir/manifest.env" >"$written" && chmod 0644 "$written" && mv -f "$written" "$MANIFEST"
fi

# What others have begun here is over: nothing of it is to be taken back, now or
# after a restart.
for begun in "$state"/releases/*/begun; do
    other=$(dirname "$begun")
    if [ ! -e "$begun" ] || [ "$other" = "$dir" ] || [ -e "$other/confirmed" ]; then continue; fi
    mv "$begun" "$begun.$ID"
    [ ! -e "$other/armed" ] || mv "$other/armed" "$other/armed.$ID"
    forget "$(basename "$other")"
done

# What a rollback takes off is marked, and a start of that commit asks for a
# reason; not so what was only gone back from to go forward again. What is made
# live again is no longer marked.
origin=$(rows "$dir/release" origin)
from=$(rows "$dir/release" from)
mine=$(content "$dir")
if [ "$kind" = rollback ] && [ -e "$state/releases/$from/release" ] && earlier "$origin" "$from" &&
    [ "$(content "$state/releases/$from")" != "$mine" ]; then
    put "$state/releases/$from/left" "$ID"
fi
for mark in "$state"/releases/*/left; do
    if [ -e "$mark" ] && [ "$(content "${mark%/left}")" = "$mine" ]; then mv "$mark" "$mark.$ID"; fi
done

# Unpin what no one will go back to. Kept are the newest KEEP releases that were
# confirmed, this one, the one that was live until now, whatever a link leads to,
# and the one that a rollback would go to; which may have been let go when it was
# not that yet. Only promotions that came before this one are touched: a later
# one may be under way. Promotions of the same content are one release.
until_now=$(basename "$(cat "$dir/before" 2>/dev/null || true)")
given_up=" $(for mark in "$state"/releases/*/left; do [ ! -e "$mark" ] || content "${mark%/left}"; done | tr '\n' ' ')"
is_in() { case $1 in *" $2 "*) return 0 ;; *) return 1 ;; esac }
led_to() { rows "$1/release" link | while IFS=$tab read -r link target; do [ "$(at "$link")" != "$target" ] || echo yes; done | grep -q yes; }
kept=0 seen=' ' previous=
newest_first() {
    for old in "$state"/releases/*/; do printf '%s %s\n' "$(epoch "$(basename "$old")")" "$(basename "$old")"; done | sort -rn | cut -d' ' -f2
}
for name in $(newest_first); do
    old=$state/releases/$name
    content=$(content "$old")
    if [ -e "$old/confirmed" ]; then
        if ! is_in "$seen" "$content"; then
            kept=$((kept + 1))
            [ "$kept" -gt "$KEEP" ] || seen="$seen$content "
        fi
        if [ -z "$previous" ] && earlier "$name" "$origin" && [ "$content" != "$mine" ] && ! is_in "$given_up" "$content" &&
            [ "$(rows "$old/release" kind)" != rollback ]; then
            previous=$name
            pin "$name"
        fi
    fi
    if ! earlier "$name" "$ID" || [ "$name" = "$previous" ] || [ "$name" = "$until_now" ] || [ "$content" = "$mine" ] ||
        { [ -e "$old/confirmed" ] && is_in "$seen" "$content"; } || led_to "$old"; then
        continue
    fi
    rm -rf "/nix/var/nix/gcroots/rel/$APP/$name"
done
echo "confirmed=yes"
