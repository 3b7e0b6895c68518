# Answer which releases were confirmed here, oldest first. It changes nothing.
#
# In: APP; ID, to have one of them in full.
# Out: live=; astray=<promotion that was kept, if known> if the links are not those
# of the live one; release=<promotion><tab><promotion that built it><tab><sha><tab>
# <kind><tab><content><tab><since><tab><operator><tab><the rollback that took it
# off><tab><how many of its artifacts are no longer in the store>; json=, path=
# of the one.
set -eu
if [ -n "$ID" ]; then
    rows "$dir/release" json | sed 's/^/json=/'
    sed 's/^/path=/' "$dir/closure"
    exit 0
fi
echo "live=$(live)"
if rows "$state/live/release" link 2>/dev/null | while IFS=$tab read -r link target; do
    [ "$(at "$link")" = "$target" ] || echo astray
done | grep -q astray; then
    kept=
    for begun in "$state"/releases/*/begun; do
        [ ! -e "$begun" ] || [ -e "${begun%begun}confirmed" ] || kept=$(basename "${begun%/begun}")
    done
    echo "astray=$kept"
fi
# No one goes back further than this; and each costs a question to the store.
oldest_first() {
    find "$state/releases" -mindepth 2 -maxdepth 2 -name confirmed 2>/dev/null | while read -r confirmed; do
        printf '%s %s\n' "$(epoch "$(basename "${confirmed%/confirmed}")")" "${confirmed%/confirmed}"
    done | sort -n | tail -n 50 | cut -d' ' -f2
}
for release in $(oldest_first); do
    missing=$(rows "$release/release" root | cut -f2 | xargs nix-store --check-validity --print-invalid | grep -c . || true)
    printf 'release=%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(basename "$release")" \
        "$(rows "$release/release" origin)" "$(rows "$release/release" sha)" "$(rows "$release/release" kind)" \
        "$(content "$release")" "$(sed 1q "$release/confirmed")" "$(cat "$release/left" 2>/dev/null || true)" "$missing"
done
