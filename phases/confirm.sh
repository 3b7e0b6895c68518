# Make an applied release the confirmed one: compare and swap on its id.
#
# In: APP ID EPOCH BY (the operator) MANIFEST (where other scripts read what is live);
# job rows as apply.sh has them, and the last line.
# Out: confirmed=yes, or refused= with why it cannot be.
set -eu
fence
exec 9>"$state/apply.lock"
flock -w 60 9 9>&9 || { echo "refused=another apply is running" && exit 0; }
[ ! -e "$dir/reverted" ] || { sed -e 's/^/refused=it went back: /' -e 1q "$dir/reverted" && exit 0; }
job=$(cat)
case $job in
*"# end") ;;
*) say "what was sent broke off" && exit 1 ;;
esac
field() { printf '%s\n' "$job" | sed -n "s/^$1$tab//p"; }
expected "$(field live)" || { echo "refused=${live:-nothing} is live since verify" && exit 0; }
changed=$(field link | while IFS=$tab read -r link target; do
    [ "$(at "$link")" = "$target" ] || printf '%s\n' "$link"
done | sed -n 1p)
[ -z "$changed" ] || { echo "refused=$changed points elsewhere" && exit 0; }

# What is live until now, for an operator who has to take this back. What cannot
# be written is refused here, and not once it is too late.
if [ "$live" != "$ID" ]; then
    put "$dir/before" "$(at "$state/live")"
    if [ "$(rows "$dir/release" kind)" != adopt ]; then
        rm -f "$dir/manifest.before"
        [ ! -e "$MANIFEST" ] || cp "$MANIFEST" "$dir/manifest.before"
        put "$dir/manifest.path" "$MANIFEST"
        publish "$dir/manifest.env" "$MANIFEST" || { echo "refused=cannot write $MANIFEST" && exit 0; }
    fi
fi
# A revert that fires now waits for the lock, and then finds no window.
put "$dir/confirmed" "$(date -u +%Y-%m-%dT%H:%M:%SZ)$tab$BY"
ln -sfn "releases/$ID" "$state/live.new"
mv -fT "$state/live.new" "$state/live"
# It is confirmed. What follows is tidying up: a failure is told, and no more.
set +e
sync "$state"
disarm
kind=$(rows "$dir/release" kind)
case $live,$kind in
"$ID",*) ;;
*,adopt) ledger adopted "$(field ledger)" ;;
*) ledger confirmed "$(field ledger)" ;;
esac

# What others have begun here is over: nothing of it is to be taken back, now or
# after a restart.
for begun in "$state"/releases/*/begun; do
    other=$(dirname "$begun")
    if [ ! -e "$begun" ] || [ "$other" = "$dir" ]; then continue; fi
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
echo "confirmed=yes"
